"""Which clips are to be made: their names, seeds and signers, from the data set and the settings alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from signgen.data.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError

_COPY = re.compile(r"(.+)__aug(\d{2,})")
_TORN_AT = re.compile(r"[\s,\"'*?\[\]]")  # by CorrNet's readers: separators, quotes, and what `glob` takes for patterns


@dataclass(frozen=True)
class Job:
    """One clip to be made.

    Attributes:
        name: of the new clip.
        source, split: the clip that it is a copy of.
        copy: its number among the copies of that clip, from 1.
        signer: who signs it.
        keypoints: the source clip's keypoint file, or None where it has none.
        frames: the folder where its frames are, if it has any.
    """

    name: str
    source: str
    split: str
    copy: int
    signer: str
    keypoints: Path | None
    frames: Path

    def seed(self, seed: int) -> int:
        """Of this clip alone: below 2^63, the same whoever makes it and in which order."""
        return _number(seed, self.split, self.source, self.copy)


def plan_jobs(
    index: PhoenixIndex, splits: Sequence[str], signers: Sequence[str], copies: int, seed: int, plain: bool = False
) -> list[Job]:
    """All clips to be made, first copies first; copies that the data set brought along are not copied again.

    Args:
        index: the data set; splits, signers, copies, seed: see `Settings`.
        plain: new names without signs that CorrNet's readers stumble over.
    """
    jobs = []
    for split in splits:
        if split not in index.splits:
            raise InputError(index.release, f"has no split {split!r}", "it has " + (", ".join(index.splits) or "none"))
        clips = index.clips(split)
        highest = _highest(clips)
        originals = [clip for clip in clips if not _COPY.fullmatch(clip.name)]
        for copy in range(1, copies + 1):
            for clip in originals:
                name = f"{clip.name}__aug{highest.get(clip.name, 0) + copy:02d}"
                name = plain_name(name) if plain else name
                signer = choose_signer(clip, copy, signers, seed)
                jobs.append(Job(name, clip.name, split, copy, signer, clip.keypoints, clip.folder))
    _check_unique(job.name for job in jobs)
    return jobs


def choose_signer(clip: Clip, copy: int, signers: Sequence[str], seed: int) -> str:
    """Copies take turns through the signers, from one that the clip decides; the clip's own speaker is passed over."""
    others = [signer for signer in signers if Path(signer).stem != clip.speaker] or list(signers)
    return others[(_number(seed, clip.split, clip.name) + copy - 1) % len(others)]


def plain_name(name: str) -> str:
    """The name with ``_`` for blanks, commas, quotes and what `glob` takes for a pattern."""
    return _TORN_AT.sub("_", name)


def share_of(jobs: Sequence[Job], number: int, count: int) -> list[Job]:
    """Share ``number`` of ``count``, counted from 1: every count-th job, so that shares are alike."""
    return list(jobs[number - 1 :: count])


def _highest(clips: Sequence[Clip]) -> dict[str, int]:
    """The highest copy number of each clip that is there already."""
    highest: dict[str, int] = {}
    for clip in clips:
        found = _COPY.fullmatch(clip.name)
        if found:
            highest[found[1]] = max(highest.get(found[1], 0), int(found[2]))
    return highest


def _check_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(name, "would be made twice", "the splits to be augmented must not share clips")
        seen.add(name)


def _number(*parts: object) -> int:
    """A number below 2^63 that depends on nothing but the parts."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1
