"""One clip looked at closely: can it be used, what was mended, and why not if not. Nothing is left out silently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.data.keypoint_source import KeypointSource
from signgen.data.phoenix import Clip, FrameListing, frame_name, list_frames
from signgen.data.png import broken_frame
from signgen.errors import InputError
from signgen.keypoints.clips import Mended, points_in_frame


@dataclass(frozen=True)
class ClipState:
    """What was found of one clip.

    Attributes:
        clip: as in the corpus file.
        frames: frame files in its folder.
        stray: names of other files there, which are ignored.
        points: float32 (T, 133, 3) x, y in pixels of the frames, confidence; None where the clip is left out.
        mended: what was changed in the points, in words; changes: the same, counted.
        left_out: why the clip cannot be used, or an empty text.
    """

    clip: Clip
    frames: int
    stray: tuple[str, ...]
    points: np.ndarray | None
    mended: tuple[str, ...] = ()
    changes: Mended = Mended()
    left_out: str = ""


@dataclass(frozen=True)
class FolderState:
    """What was found in a clip's folder: frame files, names of others, and why the frames cannot be used, if so."""

    frames: int
    stray: tuple[str, ...]
    fault: str


def look_at_frames(clip: Clip, size: tuple[int, int] | None, check: str) -> FolderState:
    """A clip's folder; ``size`` (width, height) all frames must have, ``check`` as in `png.broken_frame`."""
    listing = list_frames(clip.folder)
    return FolderState(len(listing.files), listing.stray, _fault(listing, size, check))


def examine(clip: Clip, folder: FolderState, source: KeypointSource, size: tuple[int, int] | None) -> ClipState:
    """The state of a clip whose folder has been looked at; ``size`` (width, height) of the data set's frames."""
    found = clip, folder.frames, folder.stray
    if folder.fault or size is None:
        return ClipState(*found, None, left_out=folder.fault or "has no frames")
    if clip.name not in source:
        return ClipState(*found, None, left_out="has no keypoints")
    try:
        points, changes = points_in_frame(source.raw(clip.name, clip.split), size, clip.name)
    except InputError as error:
        return ClipState(*found, None, left_out=f"keypoints: {error.got}")
    if len(points) != folder.frames:
        return ClipState(*found, None, left_out=f"{folder.frames} frames but {len(points)} frames of keypoints")
    if not points[..., 2].any():
        return ClipState(*found, None, left_out="keypoints: no confident point in any frame")
    mended = changes.words()
    others = source.others(clip.name, clip.split)
    if others:
        mended.append(f"{others + 1} entries of keypoints: the first is taken")
    return ClipState(*found, points, tuple(mended), changes)


def _fault(listing: FrameListing, size: tuple[int, int] | None, check: str) -> str:
    if not listing.files:
        return "has no frames"
    if listing.missing:
        numbers = ", ".join(map(str, listing.missing[:5])) + (", ..." if len(listing.missing) > 5 else "")
        return f"lacks frame {numbers} ({len(listing.missing)} of {len(listing.files) + len(listing.missing)})"
    if any(path.name != frame_name(number) for number, path in enumerate(listing.files, 1)):
        return f"frames named unlike {frame_name(1)}"
    return broken_frame(listing.files, size, check) or ""
