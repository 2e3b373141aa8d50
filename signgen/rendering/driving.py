"""The driving keypoints of a render: read, mended, and cut to the frames asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.rendering.settings import RenderSettings
from signgen.sources import Source


def load_driving(
    keypoints: Keypoints | str | Path, source: Source, settings: RenderSettings
) -> tuple[Keypoints, list[str]]:
    """The whole clip, with missing hands and gaps filled and smoothed as asked, and warnings.

    Everything here looks at the whole clip, never at the frames asked for, so that a part of a clip comes out the
    same as in the whole.
    """
    if isinstance(keypoints, Keypoints):
        clip, warnings = _declared(keypoints, settings), list[str]()
    else:
        clip, warnings = _read(Path(keypoints), source, settings)
    if not clip.confidence.any():
        raise InputError(clip.name or "keypoints", f"nobody is found in any of {len(clip)} frames", "check the file")
    if settings.fill_hands:
        clip, completed = clip.fill_missing()
        warnings += completed
    if settings.fill_gaps:
        clip = clip.fill_gaps(settings.fill_gaps)
    if settings.smooth:
        clip = clip.smooth(settings.smooth)
    clip, held = hold_missing(clip)
    if held:
        warnings.append(f"nobody is found in {held} of {len(clip)} frames: the last pose before is held there")
    return clip, warnings


def _declared(clip: Keypoints, settings: RenderSettings) -> Keypoints:
    """The clip with the size and rate of the settings, where those say any."""
    width, height = settings.frame_size or (clip.width, clip.height)
    fps = settings.fps or clip.fps
    if (width, height, fps) == (clip.width, clip.height, clip.fps):
        return clip
    return Keypoints(clip.xy, clip.confidence, width=width, height=height, fps=fps, name=clip.name)


def _read(path: Path, source: Source, settings: RenderSettings) -> tuple[Keypoints, list[str]]:
    """Reads the file; a size or rate that neither it nor the settings say is taken from a source video."""
    result = read_keypoints(path, clip=settings.clip, frame_size=settings.frame_size, fps=settings.fps)
    size_open = settings.frame_size is None and not result.size_known
    fps_open = settings.fps is None and not result.fps_known
    if source.kind == "video" and (size_open or fps_open):
        size = source.size if size_open else settings.frame_size
        fps = _video_fps(source) if fps_open else settings.fps
        result = read_keypoints(path, clip=settings.clip, frame_size=size, fps=fps)
    return result.keypoints, list(result.warnings)


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
    start, stop = frames.start or 0, len(clip) if frames.stop is None else frames.stop
    if not 0 <= start < stop <= len(clip):
        allowed = f"the clip has frames 0 to {len(clip) - 1}, write A:B with 0 <= A < B <= {len(clip)}"
        raise InputError("--frames", f"got {start}:{stop}", allowed)
    return range(start, stop)
