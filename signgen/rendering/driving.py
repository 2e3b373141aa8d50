"""The driving keypoints of a render: read, or extracted from footage, completed, and the frames asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from signgen.errors import BadValue, Empty, Mismatch
from signgen.keypoints import Keypoints, ReadResult, read_keypoints
from signgen.keypoints.content import is_standard_input, read_standard_input
from signgen.keypoints.orientation import View, turn_warnings
from signgen.keypoints.people import PERSONS, no_such_person
from signgen.keypoints.pieces import LONGEST_WHOLE, Pieces
from signgen.keypoints.repair.missing import fill_missing
from signgen.rendering.settings import Progress, RenderSettings
from signgen.rendering.source import Source
from signgen.video import sniff

_SAMPLE = 5_000  # frames of a long clip by which it is measured


@dataclass(frozen=True)
class Driving:
    """A clip that is ready to be rendered.

    Attributes:
        clip: all of its frames.
        warnings: what was assumed, filled in or changed.
        placed: whether the input gives where the signer stands and how large; False where points lie in no frame.
        extracted: how the keypoints of footage were found, or None.
    """

    clip: Keypoints | Pieces
    warnings: list[str]
    placed: bool = True
    extracted: dict[str, Any] | None = None


def is_footage(keypoints: Keypoints | str | Path) -> TypeGuard[str | Path]:
    """Whether this is a video, or a folder of its frames, in the place of keypoints."""
    return not isinstance(keypoints, Keypoints) and not is_standard_input(keypoints) and sniff.is_footage(keypoints)


def read_driving(
    keypoints: Keypoints | str | Path, source: Source, settings: RenderSettings, progress: Progress | None = None
) -> Driving:
    """The whole clip, with missing hands and gaps filled and smoothed as asked.

    Everything here looks at the whole clip, or at pieces that depend on it alone, never at the frames asked for, so
    that a part of a clip comes out the same as in the whole.
    """
    clip, given = _given(keypoints, source, settings, progress)
    found = np.concatenate([part.confidence.any(axis=1) for part in clip.blocks()])
    if not found.any():
        raise Empty(clip.name or "keypoints", f"nobody is found in any of {len(clip)} frames", "check the file")
    if settings.smooth == "auto":  # from the first frame on: what it makes of a frame depends on all before it
        clip = clip.smooth("auto")
    mended: Keypoints | Pieces
    if len(clip) <= LONGEST_WHOLE:
        mended, said, held = _mended(clip, settings)
    else:
        mended, said, held = _mended_in_pieces(clip, found, settings), [_in_pieces(clip)], int((~found).sum())
    if held:
        said = [*said, f"nobody is found in {held} of {len(clip)} frames: the last pose before is held there"]
    return replace(given, clip=mended, warnings=[*given.warnings, *said])


def complete(clip: Keypoints) -> tuple[Keypoints | Pieces, list[str]]:
    """As `fill_missing`; a long clip is completed piece by piece, as it is looked at."""
    if len(clip) <= LONGEST_WHOLE:
        return fill_missing(clip)
    return Pieces(clip, lambda piece, start: fill_missing(piece)[0], clip.sample(_SAMPLE)), [_in_pieces(clip)]


def _in_pieces(clip: Keypoints) -> str:
    return f"{len(clip):,} frames are completed and fitted in pieces, each by what is seen some seconds around it"


def _mended(clip: Keypoints, settings: RenderSettings) -> tuple[Keypoints, list[str], int]:
    """The completed, smoothed clip without empty frames, what was completed, and how many were empty."""
    said: list[str] = []
    if settings.fill_hands:
        clip, said = fill_missing(clip)
    if settings.fill_gaps:
        clip = clip.fill_gaps(settings.fill_gaps)
    if settings.smooth and settings.smooth != "auto":  # that was done before
        clip = clip.smooth(settings.smooth)
    clip, held = hold_missing(clip)
    return clip, said, held


def _mended_in_pieces(clip: Keypoints, found: np.ndarray, settings: RenderSettings) -> Pieces:
    """The same, piece by piece; one that begins without anybody begins with the last pose before."""
    last = np.maximum.accumulate(np.where(found, np.arange(len(clip)), -1))
    last[last < 0] = int(np.argmax(found))

    def mend(piece: Keypoints, start: int) -> Keypoints:
        if not found[start]:
            before = clip[int(last[start]) : int(last[start]) + 1]
            xy, confidence = piece.xy.copy(), piece.confidence.copy()
            xy[0], confidence[0] = before.xy[0], before.confidence[0]
            piece = replace(piece, xy=xy, confidence=confidence)
        return _mended(piece, settings)[0]

    return Pieces(clip, mend, hold_missing(clip.sample(_SAMPLE))[0])


def _given(
    keypoints: Keypoints | str | Path, source: Source, settings: RenderSettings, progress: Progress | None
) -> tuple[Keypoints, Driving]:
    """The clip as it was given, and what is known about it."""
    if is_footage(keypoints):
        return _extracted(Path(keypoints), settings, progress)
    if settings.estimator or settings.estimator_weights:
        raise Mismatch("--estimator", "is given for keypoints", "it is for a video; leave it out")
    if isinstance(keypoints, Keypoints):
        for option, given in (("--from", settings.format), ("--clip", settings.clip)):
            if given is not None:
                raise Mismatch(option, f"got {given} with keypoints in memory", "it is for files; leave it out")
        if settings.person not in (None, 1, *PERSONS):
            raise no_such_person(keypoints.name or "keypoints", int(settings.person), 1)
        clip, said = View(**settings.view).of(_declared(keypoints, settings))
        return clip, Driving(clip, [*said, *turn_warnings(clip)])
    result = _read(keypoints, source, settings)
    return result.keypoints, Driving(result.keypoints, result.warnings, result.placed)


def _extracted(footage: Path, settings: RenderSettings, progress: Progress | None) -> tuple[Keypoints, Driving]:
    """The keypoints of a video or a folder of frames, found by an estimator, which is imported only here."""
    from signgen.extraction import ExtractSettings, extract_keypoints

    for name in ("format", "clip", "frame_size"):
        if (value := getattr(settings, name)) is not None:
            option = "--from" if name == "format" else f"--{name.replace('_', '-')}"
            raise Mismatch(option, f"got {value} with a video", "it is for keypoint files; leave it out")
    chosen = ExtractSettings(
        settings.estimator or "auto", settings.estimator_weights, fps=settings.fps, person=settings.person,
        rotate=settings.rotate,
    )  # fmt: skip
    found = extract_keypoints(footage, chosen, progress)
    missing = {**found.origin, "missing": found.missing}
    clip, said = View(**{**settings.view, "rotate": 0}).of(found.keypoints)  # the frames were turned already
    return clip, Driving(clip, [*found.warnings, *said, *turn_warnings(clip)], extracted=missing)


def _declared(clip: Keypoints, settings: RenderSettings) -> Keypoints:
    """The clip with the size and rate of the settings, where they are given."""
    width, height = settings.frame_size or clip.size
    return replace(clip, width=width, height=height, fps=settings.fps or clip.fps)


def _read(path: str | Path, source: Source, settings: RenderSettings) -> ReadResult:
    """Reads the file; a size or rate that neither it nor the settings give is taken from a source video."""
    place = read_standard_input() if is_standard_input(path) else Path(path)

    def read(size: tuple[int, int] | None, fps: float | None) -> ReadResult:
        choice = {"format": settings.format, "clip": settings.clip, "person": settings.person, **settings.view}
        return read_keypoints(place, **choice, frame_size=size, fps=fps, first=True)

    result = read(settings.frame_size, settings.fps)
    size_open = settings.frame_size is None and not result.size_known
    fps_open = settings.fps is None and not result.fps_known
    if source.video is not None and (size_open or fps_open):
        size = source.size if size_open else settings.frame_size
        return read(size, _rate_of(source.video) if fps_open else settings.fps)
    return result


def _rate_of(video: str) -> float | None:
    """A source video's rate; None for a folder of frames, which has none."""
    from signgen.video import probe

    return None if Path(video).is_dir() else probe(video).fps


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
    return replace(clip, xy=clip.xy[last], confidence=clip.confidence[last]), int((~found).sum())


def frame_range(clip: Keypoints | Pieces, frames: slice | None) -> range:
    """The frames asked for as indices into the clip; `BadValue` where they are none or beyond its end."""
    if frames is None:
        return range(len(clip))
    if not isinstance(frames, slice) or frames.step not in (None, 1):
        raise BadValue("frames", f"got {frames!r}", "give a slice without a step, such as slice(3, 7)")
    start, stop = frames.start or 0, len(clip) if frames.stop is None else frames.stop
    if not 0 <= start < stop <= len(clip):
        allowed = f"the clip has frames 0 to {len(clip) - 1}, write A:B with 0 <= A < B <= {len(clip)}"
        raise BadValue("--frames", f"got {start}:{stop}", allowed)
    return range(start, stop)
