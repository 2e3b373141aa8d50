"""What an augmentation will take, told before it begins: frames, hours and disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signgen.data.disk_use import MARGIN, amount
from signgen.data.phoenix import RELEASE_COUNTS, Clip, list_frames
from signgen.errors import InputError
from signgen.keypoints.clips import ClipFile

WORKERS = (1, 8, 64)


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


@dataclass(frozen=True)
class Extra:
    """What takes room on the disk beside the new clips.

    Attributes:
        zipped: all frames are written once more, into an archive.
        originals: frames of the source data set are in that archive; copied: they are copied into the new tree.
    """

    zipped: bool = False
    originals: bool = True
    copied: bool = False

    def frames(self, new: int, old: int) -> int:
        """Frames that are written beside the new clips' own, of ``new`` ones and ``old`` ones of the source."""
        return self.zipped * (new + self.originals * old) + self.copied * old


def of_phoenix(rate: Rate, splits: Sequence[str], copies: int, extra: Extra = Extra()) -> dict[str, Any]:
    """The same for PHOENIX14T as it is published, with as many copies."""
    counts = [RELEASE_COUNTS[split] for split in splits]
    clips, frames = copies * sum(clips for clips, _ in counts), copies * sum(frames for _, frames in counts)
    whole = sum(frames for _, frames in RELEASE_COUNTS.values())
    return rate.plan(clips, frames, again=extra.frames(frames, whole))


def frames_of(clip: Clip) -> int:
    """Frames of a clip of the data set: its PNG files or, where it has none, its keypoints'; 0 if it has neither."""
    found = len(list_frames(clip.folder).files)
    if found or clip.keypoints is None:
        return found
    try:
        file = ClipFile(clip.keypoints)
        return len(file.raw(file.names[0]).xy)
    except InputError:  # said when its turn comes, with the reason
        return 0


def check_free(out: Path, wanted: float) -> int:
    """Bytes that are free where ``out`` is; InputError if fewer than wanted."""
    free = shutil.disk_usage(out).free
    if wanted + MARGIN > free:
        got = f"needs about {amount(round(wanted))}, {amount(free)} are free"
        raise InputError(out, got, "free some, name a folder on another disk, or choose --media mp4")
    return free


def words(name: str, plan: dict[str, Any]) -> str:
    """One line for people."""
    spent = plan["hours"].items()
    hours = ", ".join(f"{_time(time)} on {count} worker{'s' * (count != '1')}" for count, time in spent)
    return f"{name}: {plan['clips']:,} clips, {plan['frames']:,} frames, {amount(plan['bytes'])}; {hours}"


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"
