"""Files of many clips, read once: pickles of MSKA, SLRT and NLA-SLR; every other format as a file of one clip.

`read_keypoints` reads the whole file for each clip, which is right for one clip and takes weeks for PHOENIX14T's 8,257.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from signgen.errors import Mismatch
from signgen.keypoints.clip import FARTHEST
from signgen.keypoints.content import load, readable
from signgen.keypoints.formats.pickles.mska import clips_of, read_many, read_one
from signgen.keypoints.header import complete_from_header
from signgen.keypoints.keypoint_files import find_format, guarded, read_raw
from signgen.keypoints.orientation import View
from signgen.keypoints.raw import RawClip, Request, pick_clip
from signgen.keypoints.stated import complete_from_content
from signgen.keypoints.units import ReadResult, check_placed, finish, placing, without_place

_SAME_SHAPE = 0.01  # relative difference of two aspect ratios that still counts as the same


class ClipFile:
    """A keypoint file in memory, with all of its clips.

    Args:
        path: a file, or a folder of one file a frame, in any format that `read_keypoints` reads.

    Attributes:
        format: its format's name. names: the clips' names as the file has them, such as ``train/<clip>``.

    Raises:
        InputError: it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        content = load(readable(path))
        self._request = Request(readable(path), budget=content.budget)
        self._format = find_format(content, None, self._request)
        self.format, self._value = self._format.name, content.value
        self._clips = clips_of(self._value) if self._format.read is read_many else None
        self.names = tuple(self._clips) if self._clips is not None else (self._request.path.stem,)

    @property
    def several(self) -> bool:
        """Whether it is of a format of many clips, and holds more than one."""
        return self._clips is not None and len(self._clips) > 1

    def one(self, clip: str) -> OneOfMany:
        """A clip by its full name or the last part of it, as `read_keypoints` takes it. InputError if there is none."""
        name = pick_clip(self.names, replace(self._request, clip=clip))
        raw = complete_from_header(self.raw(name), self._request.path)
        raw.name = name
        return OneOfMany(raw, self.format, self._request)

    def raw(self, name: str) -> RawClip:
        """The points of one of ``names`` as they are in the file. InputError if they are no 133 points a frame."""
        if self._clips is None:
            return read_raw(self._format, self._value, self._request)
        clip, request = self._clips[name], replace(self._request, clip=name)
        with guarded(self.format, request):
            return complete_from_content(read_one(clip, request), clip)


@dataclass(frozen=True)
class OneOfMany:
    """One clip of a file of many; it holds on to no other one, and can be sent to other processes.

    Attributes:
        raw: its points as they are in the file; format: the file's; request: what the file was opened with.
    """

    raw: RawClip
    format: str
    request: Request

    def read(self, frame_size: tuple[int, int] | None = None, fps: float | None = None) -> ReadResult:
        """As `read_keypoints` gives the clip; size and rate win over the file's."""
        with guarded(self.format, self.request):
            return finish(self.raw, self.format, self.request.subject, frame_size, fps, View())


def points_in_frame(
    raw: RawClip, frame: tuple[int, int], subject: str, anywhere: bool = False
) -> tuple[np.ndarray, list[str]]:
    """Points in pixels of ``frame`` (width, height), usable as they are.

    A point at (0, 0), with a number that is not finite, or more than 100,000 pixels away is missing. Where a score is 0
    the place stays, for some files know it all the same. The arrays of ``raw`` stay as they are.

    Args:
        anywhere: whether the points need not lie where the person stands in the frames.

    Returns:
        float32 (T, 133, 3) x, y and confidence in [0, 1], and a phrase for each change, with its count.

    Raises:
        Mismatch: the file gives a frame of another shape than ``frame``, or does not say where in it the signer stands.
    """
    raw = without_place(raw, subject)
    if not anywhere:
        check_placed(raw, subject, "the frames'")
    xy, scores = raw.frames()
    scores = np.where((xy == 0).all(-1), 0, scores)
    changes = []
    with np.errstate(all="ignore"):  # infinite coordinates are counted below, not warned about
        to_pixels, _, _ = placing(raw, raw.size or frame)
        xy = to_pixels(xy)
        if raw.size and raw.size != frame:
            xy = (xy + 0.5) * _factor(raw.size, frame, subject) - 0.5
        finite = np.isfinite(xy).all(-1) & np.isfinite(scores)
        far = finite & (np.abs(np.where(finite[..., None], xy, 0)).max(-1) > FARTHEST)
    scores = np.where(finite & ~far, scores, 0)
    if not finite.all():
        changes.append(f"{(~finite).sum()} points with infinite coordinates: count as missing")
    if far.any():
        changes.append(f"{far.sum()} points more than {FARTHEST:.0f} pixels away: count as missing")
    if (scores > 1).any():
        changes.append(f"{(scores > 1).sum()} scores above 1 (up to {scores.max():.3g}): clipped to 1")
    if raw.size and raw.size != frame:
        changes.append(f"points of a {raw.size[0]}x{raw.size[1]} frame: scaled to the video's")
    xy = np.where((finite & ~far)[..., None], xy, 0)
    return np.concatenate((xy, np.clip(scores, 0, 1)[..., None]), -1).astype(np.float32), changes


def _factor(given: tuple[int, int], frame: tuple[int, int], subject: str) -> np.ndarray:
    if abs(given[0] * frame[1] / (given[1] * frame[0]) - 1) > _SAME_SHAPE:
        got = f"its frame is {given[0]}x{given[1]}, the video's {frame[0]}x{frame[1]}"
        raise Mismatch(subject, got, "give keypoints of the video itself")
    return np.array(frame) / given
