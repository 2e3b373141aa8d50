"""The driving keypoints of a render: read, mended, and cut to the frames asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import Keypoints, ReadResult, read_keypoints
from signgen.keypoints.content import is_standard_input, read_standard_input
from signgen.keypoints.repair.missing import fill_missing
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import Source


@dataclass(frozen=True)
class Driving:
    """A clip that is ready to be rendered.

    Attributes:
        clip: all of its frames.
        warnings: what was assumed, filled in or changed.
        placed: whether the input said where the signer stands and how large; False for neck-centred formats.
    """

    clip: Keypoints
    warnings: list[str]
    placed: bool = True


def load_driving(
    keypoints: Keypoints | str | Path, source: Source, settings: RenderSettings
) -> tuple[Keypoints, list[str]]:
    """The clip and the warnings of `read_driving`."""
    driving = read_driving(keypoints, source, settings)
    return driving.clip, driving.warnings


def read_driving(keypoints: Keypoints | str | Path, source: Source, settings: RenderSettings) -> Driving:
    """The whole clip, with missing hands and gaps filled and smoothed as asked.

    Everything here looks at the whole clip, never at the frames asked for, so that a part of a clip comes out the
    same as in the whole.
    """
    placed = True
    if isinstance(keypoints, Keypoints):
        clip, warnings = _declared(keypoints, settings), list[str]()
    else:
        result = _read(keypoints, source, settings)
        clip, warnings, placed = result.keypoints, list(result.warnings), result.placed
    if not clip.confidence.any():
        raise InputError(clip.name or "keypoints", f"nobody is found in any of {len(clip)} frames", "check the file")
    if settings.fill_hands:
        clip, completed = fill_missing(clip)
        warnings += completed
    if settings.fill_gaps:
        clip = clip.fill_gaps(settings.fill_gaps)
    if settings.smooth:
        clip = clip.smooth(settings.smooth)
    clip, held = hold_missing(clip)
    if held:
        warnings.append(f"nobody is found in {held} of {len(clip)} frames: the last pose before is held there")
    return Driving(clip, warnings, placed)


def _declared(clip: Keypoints, settings: RenderSettings) -> Keypoints:
    """The clip with the size and rate of the settings, where those say any."""
    width, height = settings.frame_size or (clip.width, clip.height)
    fps = settings.fps or clip.fps
    if (width, height, fps) == (clip.width, clip.height, clip.fps):
        return clip
    return Keypoints(clip.xy, clip.confidence, width=width, height=height, fps=fps, name=clip.name)


def _read(path: str | Path, source: Source, settings: RenderSettings) -> ReadResult:
    """Reads the file; a size or rate that neither it nor the settings say is taken from a source video."""
    place = read_standard_input() if is_standard_input(path) else Path(path)

    def read(size: tuple[int, int] | None, fps: float | None) -> ReadResult:
        choice = {"format": settings.format, "clip": settings.clip}
        return read_keypoints(place, **choice, frame_size=size, fps=fps, first=True)

    result = read(settings.frame_size, settings.fps)
    size_open = settings.frame_size is None and not result.size_known
    fps_open = settings.fps is None and not result.fps_known
    if source.kind == "video" and (size_open or fps_open):
        size = source.size if size_open else settings.frame_size
        return read(size, _video_fps(source) if fps_open else settings.fps)
    return result


def _video_fps(source: Source) -> float | None:
    """The source video's rate; None for a folder of frames, which has none."""
    from signgen.video import probe

    return None if Path(source.name).is_dir() else probe(source.name).fps


def hold_missing(clip: Keypoints) -> tuple[Keypoints, int]:
    """Frames in which nobody was found show the last pose found before (at the start: the first one found).

    A pose image without a person would make the model invent one.

    Returns:
        The clip without empty frames, and how many there were.
    """
    found = clip.confidence.any(axis=1)
    if found.all():
        return clip, 0
    last = np.maximum.accumulate(np.where(found, np.arange(len(clip)), -1))
    last[last < 0] = int(np.argmax(found))
    held = Keypoints(
        clip.xy[last], clip.confidence[last], width=clip.width, height=clip.height, fps=clip.fps, name=clip.name
    )
    return held, int((~found).sum())


def frame_range(clip: Keypoints, frames: slice | None) -> range:
    """The frames asked for as indices into the clip; `InputError` where they are none or beyond its end."""
    if frames is None:
        return range(len(clip))
    if not isinstance(frames, slice) or frames.step not in (None, 1):
        raise InputError("frames", f"got {frames!r}", "give a slice without a step, such as slice(3, 7)")
    start, stop = frames.start or 0, len(clip) if frames.stop is None else frames.stop
    if not 0 <= start < stop <= len(clip):
        allowed = f"the clip has frames 0 to {len(clip) - 1}, write A:B with 0 <= A < B <= {len(clip)}"
        raise InputError("--frames", f"got {start}:{stop}", allowed)
    return range(start, stop)
