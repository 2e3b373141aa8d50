"""The papers' protocols as files: which frame is the source of which target.

FPDM (section 4.1) trains on 100,000 (source, target pose, target) triplets drawn within clips, and tests with each
clip's first frame as the source of every frame of it: 64,627 pairs in PHOENIX14T's test split, of which 642 are a
frame with itself. Neither list was released; here both follow from a seed and are kept as a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from signgen.dataset.files import damaged, whole_file
from signgen.errors import Mismatch

TRIPLETS = 100_000


@dataclass(frozen=True)
class Protocol:
    """Pairs of frames of one clip.

    Attributes:
        clips: names of the clips; clip: (N,) which of them a pair is of.
        source, target: (N,) frame numbers as in the file names, from 1.
        rule: in words; seed: what the choice depends on, -1 where nothing is chosen.
    """

    clips: tuple[str, ...]
    clip: np.ndarray
    source: np.ndarray
    target: np.ndarray
    rule: str
    seed: int

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def own(self) -> np.ndarray:
        """(N,) bool: the source is the target itself."""
        return self.source == self.target

    def frame_pairs(self, starts: dict[str, int]) -> np.ndarray:
        """(N, 2) source and target as frames of a store whose clip ``name`` begins at ``starts[name]``."""
        absent = [name for name in self.clips if name not in starts]
        if absent:
            raise Mismatch("protocol", f"names the clip {absent[0]}", "it was made for other clips: prepare again")
        first = np.array([starts[name] for name in self.clips])[self.clip]
        return np.stack((first + self.source - 1, first + self.target - 1), -1)

    def save(self, path: Path) -> None:
        """An npz without pickled content: clips, clip, source, target, own, rule, seed."""
        with whole_file(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file, clips=np.array(self.clips), clip=self.clip.astype(np.int32),
                source=self.source.astype(np.int32), target=self.target.astype(np.int32), own=self.own,
                rule=self.rule, seed=self.seed,
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Protocol:
        """Raises `Damaged` where it is not there or not whole."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                content: dict[str, Any] = {name: archive[name] for name in archive.files}
            names = tuple(str(name) for name in content["clips"])
            pairs = (content["clip"], content["source"], content["target"])
            return cls(names, *pairs, str(content["rule"]), int(content["seed"]))
        except (OSError, ValueError, EOFError, KeyError, TypeError, BadZipFile) as error:
            raise damaged(path, error) from error


def first_to_every(clips: dict[str, int]) -> Protocol:
    """The first frame of each clip with every frame of it; ``clips``: name -> number of frames."""
    lengths = list(clips.values())
    clip = np.repeat(np.arange(len(clips)), lengths)
    target = np.concatenate([np.arange(1, length + 1) for length in lengths]) if lengths else np.zeros(0, np.int64)
    return Protocol(tuple(clips), clip, np.ones_like(target), target, "first frame to every frame", -1)


def within_clip(clips: dict[str, int], count: int, seed: int, sources: int = 0) -> Protocol:
    """``count`` different pairs of two frames of one clip, in random order.

    Each frame is equally likely as the target, and each other frame of its clip as its source. Where fewer pairs
    exist, all of them are taken.

    Args:
        clips: name -> number of frames.
        sources: how many frames of a clip may be sources, drawn once for the clip; 0 = all, as in the paper. With a
            few, what an image encoder says of the sources fits on a disk.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array(list(clips.values()), np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    allowed = [rng.permutation(n)[: sources or n] for n in lengths]
    choices = np.array([len(some) for some in allowed])
    possible = int((choices * (lengths - 1)).sum())
    rule = f"different frames of one clip; {sources or 'all'} frames of a clip may be sources"
    if count * 2 >= possible:
        pairs = np.concatenate([_all_pairs(i, allowed[i], lengths[i]) for i in range(len(lengths))] or [_NONE])
        pairs = rng.permutation(pairs)[:count]
    else:
        pairs = _drawn_pairs(rng, starts, allowed, choices, count)
    return Protocol(tuple(clips), pairs[:, 0], pairs[:, 1] + 1, pairs[:, 2] + 1, rule, seed)


_NONE = np.zeros((0, 3), np.int64)


def _all_pairs(clip: int, sources: np.ndarray, length: int) -> np.ndarray:
    """(n, 3) clip, source, target, counted from 0."""
    source, target = (side.ravel() for side in np.meshgrid(sources, np.arange(length), indexing="ij"))
    other = source != target
    return np.stack((np.full(other.sum(), clip), source[other], target[other]), -1)


def _drawn_pairs(
    rng: np.random.Generator, starts: np.ndarray, allowed: list[np.ndarray], choices: np.ndarray, count: int
) -> np.ndarray:
    """(count, 3) different pairs as `_all_pairs` gives them, drawn in rounds without those that are there."""
    table = np.zeros((len(allowed), choices.max()), np.int64)
    for row, some in zip(table, allowed, strict=True):
        row[: len(some)] = some
    pairs = _NONE
    while len(pairs) < count:
        frame = rng.integers(starts[-1], size=count)
        clip = np.searchsorted(starts, frame, "right") - 1
        source = table[clip, (rng.random(count) * choices[clip]).astype(np.int64)]
        target = frame - starts[clip]
        drawn = np.stack((clip, source, target), -1)[source != target]
        pairs = np.concatenate((pairs, drawn))
        _, first = np.unique(pairs, axis=0, return_index=True)
        pairs = pairs[np.sort(first)]
    return pairs[:count]
