"""Generated pictures of a folder and the pairs that their names say, of signgen and of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signgen.dataset.persons.names import outfit_of, readings, squeezed
from signgen.dataset.persons.tables import PairTable
from signgen.errors import Empty, Mismatch, NotFound
from signgen.video.images import SUFFIXES

_SHOWN = 3


@dataclass(frozen=True)
class Generated:
    """Pictures of pairs.

    Attributes:
        files: of each pair of the table that has one, with the number of the pair.
        missing: names of pairs without a picture; ignored: files whose names say no pair of the table.
    """

    files: tuple[tuple[int, Path], ...]
    missing: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


def find_generated(folder: str | Path, table: PairTable, names: str = "error", limit: int | None = None) -> Generated:
    """The pictures of a folder by pair, in the table's order.

    Args:
        names: ``error``, or ``common``: pairs without a picture are left out.
        limit: only the first so many pairs.

    Raises:
        InputError: no folder, no picture of any pair, two pictures of one, or pairs that lack theirs.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFound(folder, "no such folder", "give the folder of generated pictures")
    alike = [tuple(map(squeezed, pair)) for pair in table.names]
    keys = {pair: number for number, pair in reversed(list(enumerate(alike)))}  # a pair listed twice has one file
    if len(keys) < len(set(table.names)):
        raise Mismatch(table.root, "has pairs whose names are alike but for underscores", "rename these pictures")
    found: dict[int, Path] = {}
    ignored = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        number = next((keys[pair] for pair in readings(path.name) if pair in keys), None)
        if number is None:
            ignored.append(path.name)
        elif number in found:
            got = f"holds {found[number].name} and {path.name}, which are of one pair"
            raise Mismatch(folder, got, "keep one picture a pair")
        else:
            found[number] = path
    wanted = range(len(table.pairs))[:limit]
    files = tuple((number, found[keys[alike[number]]]) for number in wanted if keys[alike[number]] in found)
    missing = tuple(table.names[number] for number in wanted if keys[alike[number]] not in found)
    if not files:
        looked = "looked for X_2_Y_vis.png, X.jpg_2_Y.jpg.png and X_to_Y.png"
        example = f", such as {ignored[0]}" if ignored else ""
        raise Empty(folder, f"holds no picture of a pair{example}", looked)
    if missing and names == "error":
        shown = "; ".join(f"{source} to {target}" for source, target in missing[:_SHOWN])
        got = f"lacks pictures of {len(missing)} of {len(wanted)} pairs: {shown}"
        raise Mismatch(folder, got, "add them, or --names common, or --limit")
    return Generated(files, missing, tuple(ignored))


def by_outfit(table: PairTable, pairs: list[int]) -> np.ndarray:
    """(n,) the group of each pair: those of one target's outfit, over which intervals are drawn."""
    names = [outfit_of(table.pictures[table.pairs[number, 1]].name) for number in pairs]
    return np.unique(names, return_inverse=True)[1]
