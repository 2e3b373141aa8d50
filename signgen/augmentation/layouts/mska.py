"""What MSKA reads: one plain pickle a split, keypoints and texts together; it never sees frames.

    mska/Phoenix-2014T.<split>    {<split>/<clip>: {name, gloss, text, num_frames, keypoint: FloatTensor (T,133,3)}}

The keypoints of new clips are those that were rendered, exact where an estimator's would not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from signgen.augmentation.layouts.entries import Split, points_of
from signgen.augmentation.layouts.slrt import dump_dict, full_name, text_of
from signgen.dataset.files import whole_file

FOLDER = "mska"


def write(out: Path, splits: Sequence[Split], frame: tuple[int, int]) -> list[Path]:
    """One file a split. Clips without keypoints are not in it."""
    return [_write_split(out / FOLDER / f"Phoenix-2014T.{split.name}", split, frame) for split in splits]


def _write_split(path: Path, split: Split, frame: tuple[int, int]) -> Path:
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        dump_dict(_items(split, frame), file)
    return path


def _items(split: Split, frame: tuple[int, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    import torch

    for entry in split.entries:
        points = points_of(entry, frame)
        if points is not None:
            yield full_name(entry), {
                "name": full_name(entry), "gloss": entry.row["orth"], "text": text_of(entry),
                "num_frames": len(points), "keypoint": torch.from_numpy(points),
            }  # fmt: skip
