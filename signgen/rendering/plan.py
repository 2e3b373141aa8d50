"""All reading and checking of a render, before any model is loaded: nothing here imports torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from signgen.errors import BadValue, Mismatch, Missing, NotWritable
from signgen.keypoints import Keypoints
from signgen.keypoints.content import is_standard_input
from signgen.keypoints.pieces import Pieces
from signgen.pose_image.shapes import Size, same_shape
from signgen.rendering.background import Background, load_background
from signgen.rendering.driving import frame_range, is_footage, read_driving
from signgen.rendering.manifest import manifest_path
from signgen.rendering.settings import Progress, RenderSettings
from signgen.rendering.several import load_given, load_sources, source_or_own
from signgen.rendering.source import Source

FITTED = "the keypoints have no place in the frame: they are fitted to the source person, as --align does"


@dataclass(frozen=True)
class RenderPlan:
    """A checked render, ready for `signgen.rendering.run_plan`.

    Attributes:
        settings: as given; ``align`` is set where the keypoints have no place of their own.
        clip: the driving keypoints, all frames.
        source: who is shown; more: further pictures of the same person.
        known: frames of the clip that are given, by number.
        background: what is wanted behind the person.
        frames: which frames of the clip are rendered.
        output, manifest: files to write, or a folder of frames.
        compare, compare_manifest: the side-by-side video and its manifest, or None.
        original: the true video shown in ``compare``, or None.
        warnings: what was assumed, filled in or changed so far.
        extracted: how the keypoints of footage were found, or None.
        read: names of the files of keypoints and of the true video, as they were given, for the manifest.
        begun: `time.monotonic` before anything was read.
    """

    settings: RenderSettings
    clip: Keypoints | Pieces
    source: Source
    more: tuple[Source, ...]
    known: Mapping[int, Source]
    background: Background
    frames: range
    output: Path
    manifest: Path
    compare: Path | None
    compare_manifest: Path | None
    original: Path | None
    warnings: tuple[str, ...]
    extracted: dict[str, Any] | None
    read: dict[str, Any]
    begun: float


def plan_render(
    settings: RenderSettings,
    keypoints: Keypoints | str | Path,
    source: Source | str | Path | Sequence[Source | str | Path] | None = None,
    output: str | Path | None = None,
    *,
    compare: str | Path | None = None,
    original: str | Path | None = None,
    source_keypoints: str | Path | Sequence[str | Path] | None = None,
    source_frames: int = 1,
    known: Mapping[int, Source | str | Path] | None = None,
    model: str | Path | None = None,
    progress: Progress | None = None,
) -> RenderPlan:
    """Reads and checks everything that needs no model.

    Args:
        model: its name or folder: without ``source`` the pictures are taken that it has of the person it has learned.
        progress: called with the frames looked at, where ``keypoints`` is footage; see `Progress`.
        settings, keypoints, source, output, compare, original, source_keypoints, source_frames, known: see
            `signgen.rendering.render`.

    Raises:
        InputError: bad keypoints, source, output or options.
    """
    begun = time.monotonic()
    if original is not None and compare is None:
        raise Missing("--original", "is given without --compare", "add --compare OUT.mp4")
    target = _output_path(keypoints, output)
    known = known or {}
    source, source_keypoints = source_or_own(source, source_keypoints, model)
    given = (keypoints, *_each(source), original, *_each(source_keypoints), *known.values())
    inputs = [Path(p) for p in given if isinstance(p, (str, Path)) and not is_standard_input(p)]
    sheet = None if compare is None else _video_path(Path(compare), "--compare")
    background = load_background(settings.background)
    if background.transparent and target.suffix.lower() == ".mp4":
        raise BadValue("--background", f"got none for {target}", "MP4 has no transparency: give OUT.webm or a folder")
    if background.picture is not None and Path(background.name).is_file():
        inputs.append(Path(background.name))
    manifest = manifest_path(target, inputs)
    sheet_manifest = None if sheet is None else manifest_path(sheet, [*inputs, manifest])
    _check_targets([path for path in (target, manifest, sheet, sheet_manifest) if path is not None], inputs)
    reading = {"rotate": settings.source_rotate, "estimate": True}
    person, *more = load_sources(source, source_keypoints, source_frames, **reading)
    there = load_given(known)
    driving = read_driving(keypoints, person, settings, progress)
    warnings = [*(note for one in (person, *more, *there.values()) for note in one.notes), *driving.warnings]
    if not driving.placed and person.keypoints is not None:
        settings = replace(settings, align=True)
        warnings = [*warnings, FITTED]
    frames = frame_range(driving.clip, settings.frames)
    _check_known(there, frames, settings.size or driving.clip.size, len(driving.clip))
    true_video = None if original is None else _checked_original(Path(original), frames.stop)
    read = {
        "keypoints": keypoints.name if isinstance(keypoints, Keypoints) else str(keypoints),
        "source_keypoints": [str(path) for path in _each(source_keypoints) if path is not None],
        "original": None if original is None else str(original),
    }
    return RenderPlan(
        settings, driving.clip, person, tuple(more), there, background, frames, target, manifest, sheet, sheet_manifest,
        true_video, tuple(warnings), driving.extracted, read, begun,
    )  # fmt: skip


def _check_known(known: Mapping[int, Source], frames: range, size: Size, count: int) -> None:
    """Frames that are given are frames of the output, whose size is ``size``, of a clip of ``count`` frames."""
    for number, picture in known.items():
        if number not in frames:
            there = f"the clip has frames 0 to {count - 1}"
            if number < count:
                there = f"frames {frames.start} to {frames.stop - 1} are rendered (--frames)"
            raise BadValue("--known", f"got frame {number}", there)
        if not same_shape(picture.size, size):
            got = f"{picture.name} is {picture.size[0]}x{picture.size[1]}, the video {size[0]}x{size[1]}"
            raise Mismatch("--known", got, "give a picture of the video's shape")


def _each(given: Any) -> Sequence[Any]:
    """One or several inputs as several."""
    return [given] if given is None or isinstance(given, (str, Path, Source)) else given


def _checked_original(path: Path, stop: int) -> Path:
    """The true video, which must have the frames that are rendered."""
    from signgen.video import probe

    frames = probe(path).frames
    if frames < stop:
        raise Mismatch(path, f"has {frames} frames, the keypoints go to frame {stop}", "give the clip's own video")
    return path


def _output_path(keypoints: Keypoints | str | Path, output: str | Path | None) -> Path:
    """The output's path: given, or the keypoints' name + .mp4 (of footage: + _rendered.mp4) in the current folder."""
    from signgen.video.writing import is_folder

    if output is None:
        if is_standard_input(keypoints):
            raise Missing("--output", "got none for keypoints from standard input", "add -o OUT.mp4")
        if isinstance(keypoints, Keypoints):
            return Path(f"{Path(keypoints.name).name or 'signgen'}.mp4")
        from signgen.extraction.footage import clip_name

        return Path(f"{clip_name(keypoints)}{'_rendered' if is_footage(keypoints) else ''}.mp4")
    if Path(output).name in ("", ".."):
        raise BadValue("--output", f"got {str(output)!r}", "give the name of a video file or of a folder of its own")
    return Path(output) if is_folder(output) else _video_path(Path(output), "--output")


def _video_path(path: Path, option: str) -> Path:
    from signgen.video.writing import VIDEO_SUFFIXES

    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise BadValue(option, f"got {path}", "give a file that ends in .mp4 or .webm, or (--output) a folder")
    return path


def _check_targets(targets: list[Path], inputs: list[Path]) -> None:
    """Nothing may overwrite what is being read, nor another output; everything must be writable."""
    from signgen.video import check_writable

    places = [target.resolve() for target in targets]
    taken = {place: path for path in inputs for place in (path.resolve(), path.parent.resolve() / path.name)}
    for target, place in zip(targets, places, strict=True):
        if places.count(place) > 1 or place in taken:
            raise NotWritable(target, "is an input or another output of this render", "write elsewhere")
        if inside := [path for other, path in taken.items() if place in other.parents]:  # the folder would be replaced
            raise NotWritable(target, f"holds {inside[0]}, an input of this render", "write elsewhere")
        check_writable(target)
