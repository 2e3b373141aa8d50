"""Small clips for the report whose pixels say which frame they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from signgen.scoring.comparison import Difference
from signgen.scoring.metrics.metric import Chunk
from signgen.scoring.report.clips import ReportClip
from signgen.scoring.report.page import report_page
from signgen.scoring.report.pictures import Album, HandCrop, Limits, webp
from signgen.scoring.summary import Against, ClipScore, EvaluationResult

FRAMES, WIDTH, HEIGHT = 24, 48, 64
STEP, OFFSET = 9, 12  # levels from one frame to the next, and between true and generated
HOSTILE = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned=1'>\"'&\u202e手話 \udcff"
LIMITS = Limits()
SIGNATURE = "ssim|wang,window:gaussian11|rgb|v1"


def level(frame: int, generated: bool = False) -> int:
    """The grey of a frame."""
    return 10 + STEP * frame + (OFFSET if generated else 0)


def flat(levels: Sequence[int], width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(N,H,W,3) uint8 frames of one grey each."""
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), height, width, 3))


def scores(worst: int, frames: int = FRAMES) -> np.ndarray:
    """(N,) a score per frame with its minimum, 0.5, at ``worst``."""
    return 0.5 + 0.4 * np.abs(np.arange(frames) - worst) / frames


def make_clip(
    name: str, worst: int = 7, frames: int = FRAMES, limits: Limits = LIMITS, **changes: object
) -> ReportClip:
    """A clip with a curve of two gaps and one hand per frame; ``changes`` replace parts of it."""
    ssim = scores(worst, frames)
    hand = ssim.copy()
    hand[[2, 3, 5]] = np.nan  # frame 4 stands alone between two gaps
    rng = np.random.default_rng(worst)
    crops = rng.integers(0, 256, (frames, 2, 20, 20, 3)).astype(np.uint8)
    hands = [HandCrop(i, "left", "hand_ssim", float(hand[i]), *crops[i]) for i in range(frames) if np.isfinite(hand[i])]
    parts: dict[str, Any] = {
        "generated": flat([level(i, True) for i in range(frames)]),
        "true": flat([level(i) for i in range(frames)]),
        "pose": flat([255 - level(i) for i in range(frames)]),
        "source": flat([200])[0],
        "per_frame": {"ssim_wang": ssim, "hand_ssim": hand},
        "hands": hands,
        **changes,
    }
    album = Album(frames, limits)
    for start in range(0, frames, 10):  # in chunks, as scoring does
        part = slice(start, start + 10)
        values = {name: column[part] for name, column in parts["per_frame"].items()}
        album.add(Chunk(parts["generated"][part], parts["true"][part], start=start), values)
    pictures = album.pictures()
    streams = dict(pictures.streams)
    if parts["pose"] is not None:
        streams["pose"] = [webp(parts["pose"][i], limits.side) for i in range(pictures.first, pictures.last + 1)]
    source = None if parts["source"] is None else webp(parts["source"], limits.side)
    pictures = replace(pictures, streams=streams, source=source, hands=list(parts["hands"]))
    return ReportClip(name, 25.0, frames, pictures, parts["per_frame"])


def write_report(path: Path, result: EvaluationResult, clips: Sequence[ReportClip] = (), **options: Any) -> Path:
    """The page as a file."""
    path.write_bytes(report_page(result, clips, **options))
    return path


def make_result(names: Sequence[str], against: bool = False, **changes: object) -> EvaluationResult:
    """Scores of clips of these names: the later, the better by Hand SSIM and the worse by PSNR."""
    clips = [
        ClipScore(name, FRAMES, {"hand_ssim": 0.5 + 0.1 * i, "psnr": 30.0 - i, "fid": None})
        for i, name in enumerate(names)
    ]
    other = Against(
        "copy-source",
        {"hand_ssim": 0.61, "psnr": 20.0},
        {"hand_ssim": (0.55, 0.67), "psnr": None},
        {
            "hand_ssim": Difference(0.1023, (0.0811, 0.1234), 0.0005, "generated"),
            "psnr": Difference(-3.456, None, None, None),
            "fid": Difference(None, None, None, None),
        },
    )
    parts = {
        "metrics": {"hand_ssim": 0.7123, "psnr": 28.4567, "fid": None, "motion_ratio": 1.228},
        "intervals": {"hand_ssim": (0.7001, 0.7245), "psnr": None, "fid": None, "motion_ratio": (1.1, 1.3)},
        "not_computed": {"fid": "inception.pth is not there", "intervals.psnr": "one clip only"},
        "counts": {"clips": len(names), "frames": 1234, "hands": 40, "hands_left_out": 8},
        "signatures": {"hand_ssim": SIGNATURE},
        "clips": tuple(clips),
        "versions": {"signgen": "9.8.7", "numpy": "2.0"},
        "warnings": ("3 clips were left out: <b>x</b>",),
        "settings": {"seed": 7, "measure": {"detector": "signgen"}},
        "against": other if against else None,
    }
    return EvaluationResult(**{**parts, **changes})  # type: ignore[arg-type]
