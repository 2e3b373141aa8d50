"""What an edit is asked to do: one record for each clip, and one for the whole; from Python, or from a JSON list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from signgen.config import check_keys
from signgen.editing.timing import FASTEST, LONGEST, SLOWEST
from signgen.errors import BadValue, Empty, InputError, Mismatch, Missing, damage
from signgen.keypoints import Keypoints

MOST_CLIPS = 10_000
LARGEST = 16 << 20  # bytes of a list
File = str | Path | Keypoints
Kept = str | tuple[float | None, float | None]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is changed in a clip, or in the whole, in this order.

    Attributes:
        mirror: left and right exchanged, as in a picture that is flipped.
        face, left_hand, right_hand: a clip (keypoints, or a file) whose face or hand is put in the place of its own.
        speed: 2 is twice as fast.
        duration: seconds that it lasts, its hold included; in the place of ``speed``.
        hold: for how many seconds it stands still at its end; or the second at which, and for how many.
    """

    mirror: bool = False
    face: File | None = None
    left_hand: File | None = None
    right_hand: File | None = None
    speed: float | None = None
    duration: float | None = None
    hold: tuple[float | None, float] | None = None

    @property
    def donors(self) -> list[File]:
        """What parts are taken from."""
        return [other for other in (self.face, self.left_hand, self.right_hand) if other is not None]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files are read, see `signgen.read_keypoints`.

    Attributes:
        frame_size, person, rotate, swap_hands, crop: its arguments; None leaves one out.
    """

    frame_size: tuple[int, int] | None = None
    person: int | str | None = None
    rotate: int | None = None
    swap_hands: bool | None = None
    crop: tuple[int, int, int, int] | str | None = None


@dataclass(frozen=True, kw_only=True)
class Clip(Changes, Reading):
    """A clip of an edit: which, what of it is kept, what is changed, and the time from the clip before to it.

    Attributes:
        file: keypoints, or a file or folder of any format.
        trim: ``rests``, or (from, to) in seconds; None is the clip's own start or end.
        gap: seconds from the clip before to this one, ``auto``, or None for the edit's own.
        format, clip, fps: how it is read, as `Reading`.
    """

    file: File
    trim: Kept | None = None
    gap: float | str | None = None
    format: str | None = None
    clip: str | None = None
    fps: float | None = None

    def reading(self, others: Reading, fps: float | None) -> dict[str, Any]:
        """Arguments of `read_keypoints`: what this clip says, else ``others``; the rate is its own, else ``fps``."""
        named = {field.name: getattr(self, field.name) for field in fields(Reading)}
        given = {name: getattr(others, name) if value is None else value for name, value in named.items()}
        given |= {"format": self.format, "clip": self.clip, "fps": self.fps or fps}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Edit(Changes, Reading):
    """A whole edit.

    Attributes:
        clips: at least one.
        trim, gap, and how they are read: for the clips that do not say it themselves.
        fps: of the result, and of files that do not say theirs; the first clip's otherwise.
    """

    clips: tuple[Clip, ...]
    trim: Kept | None = None
    gap: float | str = "auto"
    fps: float | None = None


Record = TypeVar("Record", Clip, Edit)


# --- from plain values ----------------------------------------------------------------------------------------
def make_edit(clips: Any, values: Mapping[str, Any], subject: str = "edit", folder: Path | None = None) -> Edit:
    """The record of an edit from what a call or a list says, each value looked at.

    Args:
        clips: one or several of: keypoints, a file, a `Clip`, or a mapping with its attributes.
        values: attributes of `Edit`; None leaves one out.
        subject: what messages are about.
        folder: where files of a list lie.

    Raises:
        InputError: an unknown name, or a value that is not allowed.
    """
    several = clips if isinstance(clips, Sequence) and not isinstance(clips, str) else [clips]
    if not several:
        raise Empty(subject, "no clip", "give at least one")
    if len(several) > MOST_CLIPS:
        raise BadValue(subject, f"{len(several)} clips", f"give at most {MOST_CLIPS}")
    made = []
    for number, one in enumerate(several, 1):
        if not isinstance(one, Clip):
            one = {"file": one} if isinstance(one, (str, Path, Keypoints)) else one
            one = _record(Clip, one, f"{subject}: clip {number}", folder)
        made.append(one)
    return _record(Edit, {**values, "clips": tuple(made)}, subject, folder)


def _record(kind: type[Record], values: Any, subject: str, folder: Path | None) -> Record:
    names = [field.name for field in fields(kind)]
    if not isinstance(values, Mapping):
        raise BadValue(subject, f"got {_short(values)}", f"give a file, or an object with {', '.join(names)}")
    check_keys(subject, values, names)
    given = {name: value for name, value in values.items() if value is not None}
    if "file" in names and "file" not in given:
        raise Missing(subject, "no file", 'say which clip, such as {"file": "house.pose"}')
    looked_at = {name: _VALUES[name](value, name, subject) for name, value in given.items()}
    for name in ("file", "face", "left_hand", "right_hand"):
        if folder is not None and isinstance(looked_at.get(name), (str, Path)):
            looked_at[name] = folder / looked_at[name]
    if "speed" in given and "duration" in given:
        raise Mismatch(subject, "both speed and duration", "give one of the two")
    return kind(**looked_at)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} ..."


def _wrong(value: Any, name: str, subject: str, allowed: str) -> InputError:
    return BadValue(subject, f"{name} is {_short(value)}", allowed)


def _number(low: float, high: float, what: str) -> Any:
    def read(value: Any, name: str, subject: str) -> float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and low <= value <= high):  # NaN is not
            raise _wrong(value, name, subject, f"give {what} from {low:g} to {high:g}")
        return float(value)

    return read


def _kind(kind: Any, what: str) -> Any:
    def read(value: Any, name: str, subject: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(value, name, subject, f"give {what}")
        return value

    return read


_seconds = _number(0, LONGEST, "seconds")


def _trim(value: Any, name: str, subject: str) -> Kept:
    if value == "rests":
        return "rests"
    if not (isinstance(value, (list, tuple)) and len(value) == 2):
        raise _wrong(value, name, subject, 'give "rests", or [from, to] in seconds')
    start, stop = (None if one is None else _seconds(one, name, subject) for one in value)
    return start, stop


def _gap(value: Any, name: str, subject: str) -> float | str:
    return "auto" if value == "auto" else _seconds(value, name, subject)


def _hold(value: Any, name: str, subject: str) -> tuple[float | None, float]:
    if not isinstance(value, (list, tuple)):
        return None, _seconds(value, name, subject)
    if len(value) != 2:
        raise _wrong(value, name, subject, "give seconds, or [second at which, seconds]")
    return None if value[0] is None else _seconds(value[0], name, subject), _seconds(value[1], name, subject)


def _frame_size(value: Any, name: str, subject: str) -> tuple[int, int]:
    sides = value.lower().split("x") if isinstance(value, str) else value
    if not isinstance(sides, (list, tuple)) or len(sides) != 2 or not all(str(side).isdecimal() for side in sides):
        raise _wrong(value, name, subject, "give width and height in pixels, such as [210, 260]")
    return int(sides[0]), int(sides[1])


def _crop(value: Any, name: str, subject: str) -> Any:
    if value == "signer":
        return value
    whole = isinstance(value, (list, tuple)) and all(isinstance(one, int) for one in value)
    if not whole or len(value) != 4:
        raise _wrong(value, name, subject, 'give [x, y, width, height] in pixels, or "signer"')
    return tuple(value)


_file = _kind((str, Path, Keypoints), "keypoints, or the name of a file")
_VALUES: dict[str, Any] = {
    "file": _file, "face": _file, "left_hand": _file, "right_hand": _file, "clips": _kind(tuple, "clips"),
    "mirror": _kind(bool, "true or false"), "trim": _trim, "gap": _gap, "hold": _hold,
    "speed": _number(SLOWEST, FASTEST, "a factor"), "duration": _number(0.001, 86_400, "seconds"),
    "fps": _number(0.001, 1000, "frames a second"), "frame_size": _frame_size,
    "person": _kind((int, str), "a number from 1 at the left, or a word"), "rotate": _kind(int, "0, 90, 180 or 270"),
    "swap_hands": _kind(bool, "true or false"), "crop": _crop,
    "format": _kind(str, "a format's name"), "clip": _kind(str, "a clip's name"),
}  # fmt: skip


# --- from a file ----------------------------------------------------------------------------------------------
def read_list(path: str | Path) -> dict[str, Any] | None:
    """The values of an edit list, a JSON object with ``clips``; None where the file is no such thing.

    Raises:
        InputError: it has ``clips`` and is damaged or too large.
    """
    place = Path(path)
    try:
        if not place.is_file() or place.suffix.lower() != ".json" or place.stat().st_size > LARGEST:
            return None
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # the reader of keypoints says what is wrong
    if '"clips"' not in text:
        return None
    with damage(place, "JSON that cannot be read", "see docs/edit.md for a list of edits", ValueError, RecursionError):
        values = json.loads(text)
    return values if isinstance(values, dict) and "clips" in values else None
