"""PHOENIX14T's own layout: the corpus files; the frames lie in their folders already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from signgen.augment.layouts.entries import Split
from signgen.augment.store import ANNOTATIONS
from signgen.data.files import write_text


def write(out: Path, splits: Sequence[Split], frame: tuple[int, int]) -> list[Path]:
    """The corpus file of each split: ``|`` between columns and no quoting, as the release's."""
    return [corpus(out, split, [split_row(split, entry.row) for entry in split.entries]) for split in splits]


def split_row(split: Split, row: dict[str, str]) -> str:
    """A line of the corpus file in the order of its columns."""
    return "|".join(row[column] for column in split.columns)


def corpus(out: Path, split: Split, lines: Sequence[str]) -> Path:
    """Writes a corpus file of these lines and returns its path."""
    path = out / ANNOTATIONS / f"PHOENIX-2014-T.{split.name}.corpus.csv"
    write_text(path, "\n".join(["|".join(split.columns), *lines]) + "\n")
    return path
