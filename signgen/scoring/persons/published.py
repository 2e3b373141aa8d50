"""Figures that papers report of person synthesis, each table in its own family; nothing here was measured by signgen.

What a column means in one table it does not mean in another: see `signgen.scoring.persons.protocols`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from signgen.scoring.persons.protocols import RETRIEVAL, Protocol

Row = tuple[float | None, ...]


@dataclass(frozen=True)
class Reported:
    """A table, or the part of one at a resolution.

    Attributes:
        source: where it is printed; family: by whose definitions; resolution: as papers write it, height first.
        columns: names of scores; rows: method -> value of each, None where the paper has none.
        note: what a reader must know.
    """

    source: str
    family: str
    resolution: str
    columns: tuple[str, ...]
    rows: Mapping[str, Row]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; each row says that it is reported."""
        rows = [
            {"method": method, "mark": "reported", **dict(zip(self.columns, row, strict=True))}
            for method, row in self.rows.items()
        ]
        return {**asdict(self), "columns": list(self.columns), "rows": rows}


_FPDM = ("fid", "fid_test", "lpips", "ssim", "psnr")
_MARKS = "fid is against all pictures that are no target, fid_test against the targets; marks are the paper's own"
_INFERRED = "by which SSIM and LPIPS the paper does not say; PCDMs' code is likely"
TABLES = (
    Reported(
        "FPDM Table 1", "cfld", "256x176", _FPDM,
        {
            "SPGNet†": (16.184, 14.107, 0.2256, 0.6965, 17.222), "DPTN†": (17.419, 15.491, 0.2093, 0.6975, 17.811),
            "NTED†": (8.517, 6.935, 0.1770, 0.7156, 17.740), "CASD†": (13.137, 11.619, 0.1781, 0.7224, 17.880),
            "PIDM†": (6.812, 5.168, 0.2006, 0.6621, 15.630), "PoCoLD": (8.067, None, 0.1642, 0.7310, None),
            "CFLD†": (6.804, 5.688, 0.1519, 0.7378, 18.235), "PCDM‡": (7.699, 5.901, 0.1572, 0.7280, 18.385),
            "FPDM (B6)": (7.318, 5.459, 0.1445, 0.7417, 18.832),
            "VAE reconstructed": (8.338, 1.250, 0.0103, 0.9634, 34.878), "ground truth": (7.847, 0.0, 0.0, 1.0, None),
        },
        _MARKS,
    ),
    Reported(
        "FPDM Table 1", "cfld", "512x352", _FPDM,
        {
            "CoCosNet2": (13.325, None, 0.2265, 0.7236, None), "NTED†": (7.645, 6.602, 0.1999, 0.7359, 17.385),
            "PoCoLD": (8.416, None, 0.1920, 0.7430, None), "CFLD†": (7.149, 6.177, 0.1819, 0.7478, 17.645),
            "PCDM‡": (7.747, 6.086, 0.1729, 0.7471, 18.028), "FPDM (B4)": (7.464, 5.797, 0.1734, 0.7466, 18.125),
            "FPDM (B6)": (7.534, 5.884, 0.1717, 0.7487, 18.197),
            "VAE reconstructed": (8.492, 1.488, 0.0212, 0.9149, 30.633), "ground truth": (8.010, 0.0, 0.0, 1.0, None),
        },
        _MARKS,
    ),
    Reported(
        "IMAGPose Table 1", "pcdm", "256x176", ("ssim", "lpips", "fid"),
        {"IMAGPose": (0.7561, 0.1284, 5.8738), "IMAGPose T3 (three sources, Figure 7)": (0.7727, 0.1172, 5.3286)},
        _INFERRED,
    ),
    Reported(
        "IMAGPose Table 1", "pcdm", "512x352", ("ssim", "lpips", "fid"), {"IMAGPose": (0.7718, 0.1396, 5.6298)},
        _INFERRED,
    ),
    Reported(
        "IMAGPose Table 1", "patn", "128x64", ("ssim", "lpips", "fid"), {"IMAGPose": (0.3282, 0.2104, 12.659)},
        "by which SSIM the paper does not say: its size is that of PATN's scale, no more is known; not comparable",
    ),
    Reported(
        "FPDM Table 2", RETRIEVAL, "512x352", ("recall_at_1", "recall_at_3", "recall_at_5", "mean_rank"),
        {
            "random": (0.000, 0.001, 0.002, 1597.0), "A1 source alone": (0.000, 0.450, 0.609, 63.85),
            "A2 baseline InfoNCE": (0.050, 0.793, 0.976, 3.474), "A3 source-enhanced": (0.997, 0.985, 0.998, 1.325),
        },
        "as printed, where A3 has a higher R@1 than R@3, which cannot be; the size of its gallery is not said",
    ),
)  # fmt: skip


def reported_beside(protocol: Protocol) -> list[Reported]:
    """The published tables of a protocol's family and resolution."""
    return [table for table in TABLES if (table.family, table.resolution) == (protocol.family, protocol.resolution)]
