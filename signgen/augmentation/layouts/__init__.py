"""The files that recognisers read, written from finished clips: `write_layouts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from signgen.augmentation.layouts import corrnet, entries, mska, slrt
from signgen.augmentation.layouts.entries import Split

_WRITERS = {"phoenix14t": entries.write, "corrnet": corrnet.write, "slrt": slrt.write, "mska": mska.write}
_TREES = ("phoenix14t", "corrnet")  # their readers look for the originals' folders in the same tree


def write_layouts(out: Path, names: Sequence[str], splits: Sequence[Split], frame: tuple[int, int]) -> dict[str, Any]:
    """Writes the files of each layout and returns what was written, by layout: file names relative to ``out``.

    Args:
        out: the augmented data set; names: layouts; splits: its clips, originals first.
        frame: (width, height) of the frames, in which keypoints are given.
    """
    written = {}
    for name in (name for name in _WRITERS if name in names):  # CorrNet's corpus files, without commas, win
        files = _WRITERS[name](out, splits, frame)
        written[name] = [path.relative_to(out).as_posix() for path in files]
    return written


def wants_originals(names: Sequence[str]) -> bool:
    """Whether originals are to be linked or copied into the tree; other layouts hold them in their own files."""
    return any(name in _TREES for name in names)
