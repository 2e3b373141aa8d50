"""What SLRT (TwoStreamNetwork) reads: gzip pickles of clips, a zip of their frames, a pickle of their keypoints.

    slrt/phoenix-2014t.<split>         gzip pickle: [{name: <split>/<clip>, signer, gloss, text, num_frames, sign}, ...]
    slrt/PHOENIX2014T_videos.zip       images/<split>/<clip>/images0001.png ...
    slrt/phoenix-2014t-keypoints.pkl   {<split>/<clip>: {keypoints: float32 (T,133,3)}}

``sign`` is an empty tensor in the originals, too. They also have ``alignments``, which nobody has for new clips, and
which SLRT does not read.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signgen.augmentation.layouts.entries import Entry, Split, points_of
from signgen.dataset.files import whole_file
from signgen.dataset.phoenix import frame_name

FOLDER = "slrt"
FRAMES = "PHOENIX2014T_videos.zip"
KEYPOINTS = "phoenix-2014t-keypoints.pkl"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same zip whenever it is written
_PROTOCOL = 3
_HEAD = bytes([0x80, _PROTOCOL])  # PROTO 3
_EMPTY_LIST, _APPEND, _EMPTY_DICT, _SETITEM, _STOP = b"]", b"a", b"}", b"s", b"."


def write(out: Path, splits: Sequence[Split], frame: tuple[int, int]) -> list[Path]:
    """The three kinds of files."""
    return [*(_write_list(out, split) for split in splits), _write_frames(out, splits),
            _write_keypoints(out, splits, frame)]  # fmt: skip


def full_name(entry: Entry) -> str:
    """``<split>/<clip>``, the key of everything."""
    return f"{entry.split}/{entry.name}"


def text_of(entry: Entry) -> str:
    """The translation with the full stop that these lists have and the corpus file has not."""
    text = entry.row["translation"].strip()
    return text if text.endswith(".") else f"{text} ."


def _write_list(out: Path, split: Split) -> Path:
    path = out / FOLDER / f"phoenix-2014t.{split.name}"
    with (
        whole_file(path) as temporary,
        open(temporary, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
    ):
        dump_list((_item(entry) for entry in split.entries), packed)
    return path


def _item(entry: Entry) -> dict[str, Any]:
    import torch

    return {
        "name": full_name(entry), "signer": entry.row["speaker"], "gloss": entry.row["orth"], "text": text_of(entry),
        "sign": torch.zeros(0), "num_frames": entry.count,
    }  # fmt: skip


def _write_frames(out: Path, splits: Sequence[Split]) -> Path:
    """PNG files are packed as they are: deflating them again would save nothing. Other frames become PNG files."""
    path = out / FOLDER / FRAMES
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for entry in (entry for split in splits for entry in split.entries):
            for number, data in enumerate(entry.pngs(), 1):
                name = f"images/{full_name(entry)}/{frame_name(number)}"
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return path


def _write_keypoints(out: Path, splits: Sequence[Split], frame: tuple[int, int]) -> Path:
    path = out / FOLDER / KEYPOINTS
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        dump_dict(_keypoints(splits, frame), file)
    return path


def _keypoints(splits: Sequence[Split], frame: tuple[int, int]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for entry in (entry for split in splits for entry in split.entries):
        points = points_of(entry, frame)
        if points is not None:
            yield full_name(entry), {"keypoints": points}


# -- pickles of many clips, written one clip at a time: memory does not grow with their number ------------------------


# The value of each clip is pickled on its own, in protocol 3, and the pieces are put between the few opcodes of a list
# or a dictionary. Pieces may share memo numbers: a later piece overwrites those of an earlier one before it uses them.
# Protocol 4 and later number their memo by its length, so they could not be joined like this.


def dump_list(items: Iterable[Any], file: io.BufferedIOBase) -> None:
    """A pickled list of the items."""
    file.write(_HEAD + _EMPTY_LIST)
    for item in items:
        file.write(_piece(item) + _APPEND)
    file.write(_STOP)


def dump_dict(items: Iterable[tuple[str, Any]], file: io.BufferedIOBase) -> None:
    """A pickled dictionary of (key, value) pairs, in their order."""
    file.write(_HEAD + _EMPTY_DICT)
    for key, value in items:
        file.write(_piece(key) + _piece(value) + _SETITEM)
    file.write(_STOP)


def _piece(value: Any) -> bytes:
    """A pickle without its first and last opcode."""
    buffer = io.BytesIO()
    pickle.Pickler(buffer, _PROTOCOL).dump(value)
    whole = buffer.getvalue()
    assert whole.startswith(_HEAD), "protocol 3 begins with its number"
    assert whole.endswith(_STOP), "a pickle ends with STOP"
    return whole[len(_HEAD) : -len(_STOP)]
