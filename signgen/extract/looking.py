"""Has an estimator look at frames of a footage, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from signgen.errors import InputError
from signgen.extract.estimator import Estimator
from signgen.extract.footage import Footage

Progress = Callable[[int, int], None]
"""Called as ``progress(frames done, frames in all)``, and once with 0 before the first."""


def look_at(
    footage: Footage, numbers: np.ndarray, estimator: Estimator, box: np.ndarray, batch: int, progress: Progress | None
) -> np.ndarray:
    """Points float32 (N,133,3) at ``numbers``; a frame that stands at several of them is looked at once."""
    needed, places = np.unique(numbers, return_inverse=True)
    report = progress or (lambda done, total: None)
    report(0, len(needed))
    found: list[np.ndarray] = []
    for frames in _batches(_only(footage, needed), batch):
        found.append(estimator.look(frames, box, follows=bool(found)))
        report(sum(map(len, found)), len(needed))
    points = np.concatenate(found) if found else np.zeros((0, 133, 3), np.float32)
    if len(points) != len(needed):
        got = f"{len(points)} of {len(needed)} frames can be read"
        raise InputError(footage.path, got, "encode the video again")
    return points[places]


def _only(footage: Footage, needed: np.ndarray) -> Iterator[np.ndarray]:
    first, last = int(needed[0]), int(needed[-1])
    wanted = set(needed.tolist())
    frames = enumerate(footage.read(first, last + 1), first)
    return (frame for number, frame in frames if number in wanted)


def _batches(frames: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    while batch := list(islice(frames, size)):
        yield np.stack(batch)
