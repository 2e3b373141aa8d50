"""Which clips are to be made, by the data set and the settings alone, and what they will take: frames, hours, disk."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen.dataset.keypoint_source import read_clip_points
from signgen.dataset.phoenix import RELEASE_COUNTS, Clip, PhoenixIndex, count_frames
from signgen.dataset.prepare import amount
from signgen.errors import InputError, Mismatch, NotFound

WORKERS = (1, 8, 64)  # numbers that a plan reckons hours for
_COPY = re.compile(r"(.+)__aug(\d{2,})")
_TORN_AT = re.compile(r"[\s,\"'*?\[\]]")  # by CorrNet's readers: separators, quotes, and what `glob` takes for patterns


@dataclass(frozen=True)
class Job:
    """One clip to be made.

    Attributes:
        name: of the new clip.
        source, split: the clip that it is a copy of.
        copy: its number among the copies of that clip, from 1; those that the data set brought along count.
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
            raise NotFound(index.release, f"has no split {split!r}", "it has " + (", ".join(index.splits) or "none"))
        clips = index.clips(split)
        highest = _highest(clips)
        originals = [clip for clip in clips if not _COPY.fullmatch(clip.name)]
        for number in range(1, copies + 1):
            for clip in originals:
                copy = highest.get(clip.name, 0) + number  # seed and signer go on like the name: none is made twice
                name = copy_name(clip.name, copy)
                name = plain_name(name) if plain else name
                signer = choose_signer(clip, copy, signers, seed)
                jobs.append(Job(name, clip.name, split, copy, signer, clip.keypoints, clip.folder))
    for name, times in Counter(job.name for job in jobs).items():
        if times > 1:
            raise Mismatch(name, "would be made twice", "the splits to be augmented must not share clips")
    return jobs


def copy_name(clip: str, number: int) -> str:
    """What a copy of a clip is called."""
    return f"{clip}__aug{number:02d}"


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


def _number(*parts: object) -> int:
    """A number below 2^63 that depends on nothing but the parts."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1


# -- what they will take ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """What a frame costs one worker: seconds, and bytes on the disk."""

    seconds: float
    bytes: float

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]]) -> Rate | None:
        """From finished clips; None where there is none."""
        frames = sum(record["frames"] for record in records if "seconds" in record)
        if not frames:
            return None
        seconds = sum(record["seconds"] for record in records if "seconds" in record)
        size = sum(record["bytes"] for record in records if "seconds" in record)
        return cls(seconds / frames, size / frames)

    def plan(self, clips: int, frames: int, workers: Sequence[int] = WORKERS, again: int = 0) -> dict[str, Any]:
        """Clips, frames, bytes, and hours by number of workers; ``again`` frames are only written, in an archive."""
        hours = {str(count): round(self.seconds * frames / 3600 / count, 5) for count in workers}
        return {"clips": clips, "frames": frames, "bytes": round(self.bytes * (frames + again)), "hours": hours}


def of_phoenix(
    rate: Rate, splits: Sequence[str], copies: int, again: Callable[[int, int], int] = lambda new, old: 0
) -> dict[str, Any]:
    """The plan for PHOENIX14T as it is published; ``again``: new and old frames -> how many are written once more."""
    counts = [RELEASE_COUNTS[split] for split in splits]
    clips, frames = copies * sum(clips for clips, _ in counts), copies * sum(frames for _, frames in counts)
    whole = sum(frames for _, frames in RELEASE_COUNTS.values())
    return rate.plan(clips, frames, again=again(frames, whole))


def frames_of(clip: Clip) -> int:
    """Frames of a clip of the data set: its PNG files or, where it has none, its keypoints'; 0 if it has neither."""
    found = count_frames(clip.folder)
    if found or clip.keypoints is None:
        return found
    try:
        return len(read_clip_points(clip.keypoints, clip.name))
    except InputError:  # said when its turn comes, with the reason
        return 0


def describe(name: str, plan: Mapping[str, Any]) -> str:
    """One line for people."""
    spent = plan["hours"].items()
    hours = ", ".join(f"{_time(time)} on {count} worker{'s' * (count != '1')}" for count, time in spent)
    return f"{name}: {plan['clips']:,} clips, {plan['frames']:,} frames, {amount(plan['bytes'])}; {hours}"


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"
