"""What a keypoint format is: one record, made in a file of its own and listed in `registry`."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from signgen.keypoints.clip import Keypoints
from signgen.keypoints.raw import RawClip, Request
from signgen.keypoints.skeleton import NUM_JOINTS
from signgen.keypoints.texts import JsonList

ALL_JOINTS = tuple(range(NUM_JOINTS))


@dataclass(frozen=True)
class Format:
    """A keypoint format.

    Attributes:
        name: as ``--from`` and ``--to`` take it.
        label: how people call it, for messages.
        origin: what writes it, and in which shapes.
        content: by what in it the content is recognised.
        kinds: the kinds of `content.Content` that it comes in.
        recognises: whether content of one of these kinds looks like it.
        read: one signer's points from such content. InputError if it is something else after all.
        write: the content of a file, piece by piece, or the files of a folder with their names.
        suffix: the file name's suffix that chooses it for writing, empty where only ``--to`` does.
        folder: the pattern of the file names, for a folder of one file a frame; empty for a file.
        several: whether it holds several clips, of which ``--clip`` chooses one.
        size, fps, confidence: whether it holds frame size, rate and confidences.
        clip_name: the clip's name that it keeps: ``any``, ``file`` (the file's own name is read as the clip's), or
            ``files`` (the same for the files of a folder).
        joints: the points that it holds.
        placed: whether it holds where in the frame the signer stands, and how large.
        signed: whether its points may be -1 to 1; False where they are fractions of the frame, of which those beyond
            its left or upper edge are below 0, too.
    """

    name: str
    label: str
    origin: str
    content: str
    kinds: tuple[str, ...]
    recognises: Callable[[Any], bool]
    read: Callable[[Any, Request], RawClip]
    write: Callable[[Keypoints], Iterable[bytes] | Iterable[tuple[str, bytes]]]
    suffix: str = ""
    folder: str = ""
    several: bool = False
    size: bool = False
    fps: bool = False
    confidence: bool = True
    clip_name: str = "file"
    joints: tuple[int, ...] = ALL_JOINTS
    placed: bool = True
    signed: bool = True


# --- what several formats read --------------------------------------------------------------------------------
def is_list(value: Any) -> bool:
    """True for a list, and for one in a long JSON text."""
    return isinstance(value, (list, JsonList))


def first_of(value: Any) -> Any:
    """The first item of a list; None for anything else."""
    return value[0] if is_list(value) and value else None


def frames_in(value: Any, *keys: str) -> Any:
    """A list of frames: the content itself, below one of the keys, or below the frames' numbers; None for no list."""
    if not isinstance(value, Mapping):
        return value if is_list(value) else None
    if value and all(isinstance(key, str) and key.isascii() and key.isdigit() for key in value):
        return [{"frame_id": key, **frame} for key, frame in value.items() if isinstance(frame, Mapping)]
    return next((value[key] for key in keys if is_list(value.get(key))), None)


# --- what several formats write -------------------------------------------------------------------------------
def as_json(value: Any) -> Iterator[bytes]:
    yield json.dumps(value).encode()


def as_json_list(items: Iterable[Any]) -> Iterator[bytes]:
    """A list as `json.dumps` writes it, item by item."""
    start = b"["
    for item in items:
        yield start + json.dumps(item).encode()
        start = b", "
    yield b"[]" if start == b"[" else b"]"


def as_json_object(**values: Any) -> Iterator[bytes]:
    """An object as `json.dumps` writes it; values that are iterators are lists, written item by item."""
    start = b"{"
    for key, value in values.items():
        yield start + json.dumps(key).encode() + b": "
        yield from as_json_list(value) if isinstance(value, Iterator) else as_json(value)
        start = b", "
    yield b"}"


def as_pickle(value: Any) -> Iterator[bytes]:
    yield pickle.dumps(value, protocol=4)


def in_fractions(keypoints: Keypoints) -> np.ndarray:
    """float64 (T,133,2) of the frame's sides; missing points stay 0."""
    return keypoints.xy.astype(np.float64) / keypoints.size


def listed(values: np.ndarray) -> Any:
    """Lists of floats that read back as the same float32, in as few digits as that takes."""
    shortest = [float(str(number)) for number in values.astype(np.float32).ravel()]
    return np.array(shortest, dtype=np.float64).reshape(values.shape).tolist()
