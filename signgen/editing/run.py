"""`edit`: clips in, one clip out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from signgen.editing.parts import brought_to, with_part
from signgen.editing.plan import Changes, Clip, Edit, File, Kept, make_edit, read_list
from signgen.editing.timing import at_rate, check_length, cut, pace_of, retimed, without_rests
from signgen.editing.transition import gap_seconds, transition
from signgen.errors import Mismatch
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.content import is_standard_input, read_standard_input
from signgen.keypoints.orientation import View
from signgen.keypoints.people import check_person, no_such_person
from signgen.keypoints.rows import Rows


@dataclass(frozen=True)
class Span:
    """Where a clip of an edit is in the result.

    Attributes:
        name: the clip's.
        start, end: seconds.
        gap: seconds of the transition from the clip before, as it was made: before the whole is retimed.
        trimmed: seconds that were cut away at its start and at its end.
    """

    name: str
    start: float
    end: float
    gap: float
    trimmed: tuple[float, float]


@dataclass(frozen=True)
class EditResult:
    """A finished edit.

    Attributes:
        keypoints: what came out.
        clips: where each clip is.
        warnings: what was assumed, changed or lost, one line each.
        known: whether the first clip's file says its frame size, and its rate or the edit's is known.
    """

    keypoints: Keypoints
    clips: list[Span]
    warnings: list[str]
    known: bool = True


def edit(
    clips: File | Clip | dict[str, Any] | Sequence[File | Clip | dict[str, Any]],
    output: str | Path | None = None,
    *,
    trim: Kept | None = None,
    gap: float | str = "auto",
    mirror: bool = False,
    face: File | None = None,
    left_hand: File | None = None,
    right_hand: File | None = None,
    speed: float | None = None,
    duration: float | None = None,
    hold: float | tuple[float | None, float] | None = None,
    fps: float | None = None,
    name: str = "",
    **reading: Any,
) -> EditResult:
    """Trims, joins, retimes and mixes clips, as ``signgen edit`` does.

    The first clip gives frame size, rate and person: the others are brought to its rate, and their shoulders to its
    place and width. Between two clips the hands move as people's do, with minimum jerk, in joint angles where arms and
    hands can be fitted. A point that is missing at one end of such a transition is missing in it. After the clips are
    joined, the rest is done to the whole, in the order of the arguments.

    Args:
        clips: one or several of: keypoints, a file or folder of any format, or a mapping with ``file`` and what is to
            be done to this clip alone: ``trim``, ``gap`` (to the clip before), ``mirror``, ``face``, ``left_hand``,
            ``right_hand``, ``speed``, ``duration``, ``hold``, and ``format``, ``clip``, ``fps``, ``frame_size``,
            ``person``, ``rotate``, ``swap_hands``, ``crop`` as `read_keypoints` takes them. A single ``.json`` file
            with ``clips`` is an edit list: the same as JSON.
        output: file or folder to write, in the format of its suffix.
        trim: ``"rests"`` cuts away hands that rest before and after a sign, and their ways up and down; or (from, to)
            in seconds, None for the clip's own start or end.
        gap: seconds of a transition; ``"auto"`` is as long as hands take for the way. 0 joins without one.
        mirror: exchange left and right, as in a picture that is flipped.
        face, left_hand, right_hand: take that part of another clip, placed and scaled at the head or the wrist.
        speed: 2 is twice as fast.
        duration: seconds that the result lasts, in the place of ``speed``.
        hold: seconds for which the last pose is held; or (second at which, seconds).
        fps: rate of the result, and of files that do not say theirs; the first clip's otherwise.
        name: of the result; the clips' names joined otherwise.
        **reading: ``frame_size``, ``person``, ``rotate``, ``swap_hands``, ``crop`` for all clips, as above.

    Raises:
        InputError: a file that cannot be read, a value that is not allowed, a part that is not there.
        RunError: the disk failed.

    Example:
        >>> from signgen import edit
        >>> result = edit(["clip.pose", {"file": "clip.pose", "mirror": True}], "both.pose", gap=0.2)
        >>> [(span.start, span.end) for span in result.clips], result.keypoints.seconds
        ([(0.0, 0.16), (0.36, 0.52)], 0.52)
    """
    options: dict[str, Any] = {
        "trim": trim, "gap": gap, "mirror": mirror, "face": face, "left_hand": left_hand, "right_hand": right_hand,
        "speed": speed, "duration": duration, "hold": hold, "fps": fps, **reading,
    }  # fmt: skip
    asked = planned(clips, options, output)
    result = run_edit(asked, name)
    if output is None:
        return result
    lost = write_keypoints(result.keypoints, output, header=result.known)
    return replace(result, warnings=[*result.warnings, *lost])


_LEFT_OUT: dict[str, Any] = {"gap": "auto", "mirror": False, "swap_hands": False, "rotate": 0}


def planned(clips: Any, options: dict[str, Any], output: str | Path | None) -> Edit:
    """The edit that a call asks for; a list of edits takes no other options.

    Raises:
        InputError: a value that is not allowed, or an output that is one of the inputs.
    """
    several = clips if isinstance(clips, (list, tuple)) else [clips]
    values = read_list(several[0]) if len(several) == 1 and isinstance(several[0], (str, Path)) else None
    if values is None:
        asked = make_edit(clips, options)
    else:
        given = [name for name, value in options.items() if value is not None and value != _LEFT_OUT.get(name)]
        if given:
            raise Mismatch(
                several[0], f"a list of edits, with {', '.join(given)} beside it", "write these into the list"
            )
        asked = make_edit(values.pop("clips"), values, str(several[0]), Path(several[0]).parent)
    if output is not None and Path(output).exists():
        files = [several[0], *(one.file for one in asked.clips)]
        files += [other for one in (asked, *asked.clips) for other in one.donors]
        _check_output(Path(output), [Path(one) for one in files if isinstance(one, (str, Path)) and Path(one).exists()])
    return asked


def _check_output(output: Path, inputs: Sequence[Path]) -> None:
    """`Mismatch` where an output that is there is an input, holds one, or is a frame of one: it would be replaced."""
    place = output.resolve()
    for one in inputs:
        if output.samefile(one):
            raise Mismatch(output, "is one of the inputs", "write elsewhere: what is cut away would be lost")
        if place in one.resolve().parents:
            raise Mismatch(output, f"is the folder of {one.name}, which would be replaced", "write elsewhere")
        if output.is_file() and place.parent == one.resolve():
            raise Mismatch(output, f"is in the folder {one.name}, which is one of the inputs", "write elsewhere")


def run_edit(asked: Edit, name: str = "") -> EditResult:
    """Does an edit whose values have been looked at."""
    parts, spans, warnings, known = list[Keypoints](), list[Span](), list[str](), True
    at, first = 0, None
    for number, one in enumerate(asked.clips):
        clip, trimmed, said, sure = _ready(one, asked)
        warnings += said
        gap = 0
        if first is None:
            clip = at_rate(clip, asked.fps or clip.fps)
            first, known = clip, sure
        else:
            clip, told = brought_to(clip, first, first.fps)
            warnings += [told] if told else []
            wanted = asked.gap if one.gap is None else one.gap
            gap = round((gap_seconds(parts[-1], clip) if wanted == "auto" else float(wanted)) * first.fps)
            check_length(at + gap + len(clip), name or "the edit")
            if gap:
                parts.append(transition(parts[-1], clip, gap))
        start = at + gap
        at = start + len(clip)
        fps = first.fps
        spans.append(Span(clip.name or f"clip {number + 1}", start / fps, at / fps, gap / fps, trimmed))
        parts.append(clip)
    assert first is not None  # an edit has a clip
    joined = parts[0] if len(parts) == 1 else _joined(parts)
    joined = replace(joined, name=name or "-".join(dict.fromkeys(part.name for part in parts if part.name))[:120])
    whole, said = _changed(joined, asked, asked)
    pace = pace_of(joined, asked.speed, asked.duration, asked.hold)
    spans = [replace(span, start=pace.shown(span.start), end=pace.shown(span.end)) for span in spans]
    return EditResult(whole, spans, list(dict.fromkeys([*warnings, *said])), known)


def _taken(one: Clip, asked: Edit) -> tuple[Keypoints, list[str], bool]:
    """A clip as it is read, what is to be said, and whether its size and rate are known."""
    if isinstance(one.file, Keypoints):
        return *_declared(one.file, one.reading(asked, None)), True
    source = read_standard_input() if is_standard_input(one.file) else one.file
    read = read_keypoints(source, **one.reading(asked, None), first=True)
    if not read.fps_known and asked.fps is not None:
        read = read_keypoints(source, **one.reading(asked, asked.fps), first=True)
    warnings = [f"{read.keypoints.name}: {line}" for line in read.warnings]
    return read.keypoints, warnings, read.size_known and read.fps_known


def _declared(clip: Keypoints, reading: dict[str, Any]) -> tuple[Keypoints, list[str]]:
    """Keypoints with what would be done to a file of them."""
    person = check_person(reading.get("person", 1))
    if isinstance(person, int) and person > 1:
        raise no_such_person(clip.name or "keypoints", person, 1)
    width, height = reading.get("frame_size", clip.size)
    clip = replace(clip, width=width, height=height, fps=reading.get("fps", clip.fps))
    return View(**{name: reading[name] for name in ("rotate", "swap_hands", "crop") if name in reading}).of(clip)


def _ready(one: Clip, asked: Edit) -> tuple[Keypoints, tuple[float, float], list[str], bool]:
    """A clip with its own changes, the seconds that were cut off, what is to be said, and whether its size is known."""
    clip, warnings, known = _taken(one, asked)
    kept, trimmed = one.trim or asked.trim, (0.0, 0.0)
    if kept == "rests":
        clip, *ends = without_rests(clip)
        trimmed = ends[0], ends[1]
        if not any(trimmed):
            warnings.append(f"{clip.name or 'a clip'} neither begins nor ends with hands at rest: nothing was cut")
    elif kept is not None:
        whole = clip
        clip = cut(whole, *kept)  # type: ignore[misc]
        start = round((kept[0] or 0) * whole.fps) / whole.fps  # type: ignore[operator]
        trimmed = start, whole.seconds - start - clip.seconds
    clip, said = _changed(clip, one, asked)
    return clip, trimmed, [*warnings, *said], known


def _changed(clip: Keypoints, changes: Changes, asked: Edit) -> tuple[Keypoints, list[str]]:
    """The clip with what is done to a clip or to the whole, in the order of `Changes`."""
    clip, said = View(mirror=changes.mirror).of(clip)
    for part in ("face", "left_hand", "right_hand"):
        if getattr(changes, part) is not None:
            other, read, _ = _taken(Clip(file=getattr(changes, part)), asked)
            clip, told = with_part(clip, other, part)
            said = [*said, *read, *told]
    if changes.speed or changes.duration or changes.hold:
        clip = retimed(clip, changes.speed, changes.duration, changes.hold)
    return clip, said


def _joined(parts: list[Keypoints]) -> Keypoints:
    """One clip after the other, block by block."""
    xy, confidence = Rows(parts[0].xy.shape[1:]), Rows(parts[0].confidence.shape[1:])
    for part in parts:
        for block in part.blocks():
            xy.append(block.xy)
            confidence.append(block.confidence)
    return replace(parts[0], xy=xy.array(), confidence=confidence.array())
