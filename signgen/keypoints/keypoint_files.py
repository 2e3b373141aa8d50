"""Reading and writing keypoints in every format. What a file is, its content says and never its name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import BadValue, Empty, Mismatch, Unsupported, damage
from signgen.files import place_folder
from signgen.keypoints.clip import Keypoints, check_fps, check_size
from signgen.keypoints.content import (
    NAME,
    Content,
    Piped,
    is_standard_input,
    load,
    read_standard_input,
    readable,
    reading,
)
from signgen.keypoints.formats.pickles.mska import clips_of, first_clip
from signgen.keypoints.formats.record import ALL_JOINTS, Format
from signgen.keypoints.formats.registry import FORMATS
from signgen.keypoints.header import complete_from_header, header_bytes, place_with_header
from signgen.keypoints.orientation import View
from signgen.keypoints.people import check_person, no_such_person
from signgen.keypoints.raw import RawClip, Request, check_only_clip
from signgen.keypoints.skeleton import BODY, FACE, FEET
from signgen.keypoints.stated import complete_from_content
from signgen.keypoints.units import ReadResult, finish

READ_FORMATS = tuple(FORMATS)
WRITE_FORMATS = READ_FORMATS
_BY_SUFFIX = {format.suffix: name for name, format in FORMATS.items() if format.suffix}
_PLAIN = {"array": "npy", "table": "npz"}  # what reads content that no format knows, and says best what is wrong


# --- reading --------------------------------------------------------------------------------------------------
def read_keypoints(
    path: str | os.PathLike[str] | Piped,
    *,
    format: str | None = None,
    clip: str | None = None,
    frame_size: tuple[int, int] | None = None,
    fps: float | None = None,
    first: bool = False,
    person: int | str | None = None,
    rotate: int = 0,
    mirror: bool = False,
    swap_hands: bool = False,
    crop: tuple[int, int, int, int] | str | None = None,
) -> ReadResult:
    """Read one signer's points from a file, or from a folder of one file per frame.

    Args:
        path: the file or folder; ``-`` is standard input, which can be read once (see `content.read_standard_input`).
        format: one of `READ_FORMATS`, to have it read as that; found from the content otherwise.
        clip: the clip to take from a file of several, by its full name or the last part of it.
        frame_size, fps: (width, height) in pixels and frames per second; they win over what the file says.
        first: take the first of several clips where ``clip`` names none, with a warning.
        person: which of several people: a number from 1 at the left of the picture, or one of `people.PERSONS`; None:
            the one whose size, place and moving hands say most clearly that this is the signer.
        rotate, mirror, swap_hands, crop: how the picture is turned and cut, see `View`.

    Raises:
        InputError: for anything that cannot be read, and nothing else.

    Example:
        >>> from signgen import read_keypoints
        >>> result = read_keypoints("clip.pose")
        >>> result.format, len(result.keypoints), result.keypoints.fps
        ('pose', 4, 25.0)
    """
    source = read_standard_input() if is_standard_input(path) else path
    view = View(rotate, mirror, swap_hands, crop)
    wanted = None if person is None else check_person(person)
    request = Request(Path(NAME) if isinstance(source, Piped) else readable(source), clip, first, wanted)
    if frame_size is not None:
        check_size(frame_size, "frame size")
    if fps is not None:
        check_fps(fps, "rate")
    content = load(source if isinstance(source, Piped) else request.path)
    request = replace(request, budget=content.budget)
    found = find_format(content, format, request)
    raw = read_raw(found, content.value, request)
    raw.warnings[:0] = request.notes
    if not found.several:  # the readers of the others look themselves
        check_only_clip(request, raw.name)
    if isinstance(wanted, int) and wanted > 1 and raw.people < 2:
        raise no_such_person(request.subject, wanted, 1)
    with guarded(found.name, request):
        return finish(raw, found.name, request.subject, frame_size, fps, view)


def read_raw(format: Format, value: Any, request: Request) -> RawClip:
    """One signer's points as they are in a file of this format, with what it states elsewhere and a header adds."""
    with guarded(format.name, request):
        raw = replace(format.read(value, request), signed=format.signed)
        return complete_from_header(complete_from_content(raw, value), request.path)


def find_format(content: Content, wanted: str | None, request: Request) -> Format:
    """The format of some content, or the one that is wanted. InputError if there is none, or it cannot be that."""
    if wanted is not None and wanted not in FORMATS:
        raise BadValue("format", f"unknown format {wanted!r}", f"choose one of {', '.join(READ_FORMATS)}")
    if wanted is not None and content.kind not in FORMATS[wanted].kinds:
        advice = f"{wanted} files are of another kind; leave --from out"
        raise request.error(f"a file of kind {content.kind}", advice, Mismatch)
    if wanted is not None:
        return FORMATS[wanted]  # where the content does not fit, its reader says in which way
    for format in _of_kind(content.kind):
        with guarded(format.name, request):
            if format.recognises(content.value):
                return format
    if content.kind in _PLAIN:
        return FORMATS[_PLAIN[content.kind]]
    with guarded(content.kind, request):
        got = _describe(content)
    kind = Empty if content.kind == "json" and content.value in ([], {}) else Unsupported
    raise request.error(got, "give a keypoint file; see `signgen convert --help` for the formats", kind)


def _of_kind(kind: str) -> list[Format]:
    return [format for format in FORMATS.values() if kind in format.kinds]


def _describe(content: Content) -> str:
    """What content that no format knows is, in a few words."""
    value = content.value
    if content.kind == "object":
        return f"a pickle with {_describe_object(value)}"
    if content.kind == "json" and value in ([], {}):
        return f"an empty {'list' if value == [] else 'object'}"
    if content.kind == "json":
        kind = f"an object with {', '.join(list(map(str, value))[:4])}"[:120] if isinstance(value, dict) else "a list"
        return f"JSON that is not keypoints ({kind})"
    if content.kind == "json_folder" and any(format.recognises(value.first) for format in _of_kind("json")):
        return f"a folder of {len(value.paths)} clips (such as {value.paths[0].name}), not of frames"
    if content.kind == "columns":
        names = ", ".join(value.names[:4])[:80] or "without names"
        return f"a table of {value.width} columns ({names}) that are not landmarks"
    if content.kind.endswith("_folder"):
        return f"a folder of {len(value.paths)} files that are not keypoints"
    return "text that is not keypoints"


def _describe_object(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    first = first_clip(value)
    if "sign" in first:
        return f"{len(clips_of(value))} clips with image features ('sign') and no keypoints"
    if first:
        return f"{len(clips_of(value))} entries with {', '.join(map(str, list(first)[:5]))} and no keypoints"
    if isinstance(value, (Mapping, list)):
        return f"a {type(value).__name__} of {len(value)} entries without keypoints"
    return f"a {type(value).__name__}"


@contextmanager
def guarded(name: str, request: Request) -> Iterator[None]:
    """Content of a wrong inner shape, where no reader foresaw it, is bad input and not a program failure."""
    what, advice = f"a damaged or unusual {name} file", "compare it with the format's own description"
    kinds = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
    with reading(request.subject), damage(request.subject, what, advice, *kinds), np.errstate(all="ignore"):
        yield  # NaN is counted, not printed


# --- writing --------------------------------------------------------------------------------------------------
def write_format(path: str | os.PathLike[str], format: str | None = None) -> str:
    """The format to write: as asked, or by the suffix (.json is MMPose inferencer JSON); InputError for none."""
    suffix = readable(path).suffix.lower()
    name = format or _BY_SUFFIX.get(suffix, "")
    if name in WRITE_FORMATS:
        return name
    advice = f"end it in {', '.join(_BY_SUFFIX)}, or choose with --to one of {', '.join(WRITE_FORMATS)}"
    raise BadValue(os.fspath(path), f"unknown output format {format or suffix or 'without a suffix'!r}", advice)


def write_keypoints(
    keypoints: Keypoints, path: str | os.PathLike[str], format: str | None = None, header: bool = False
) -> list[str]:
    """Write a file, or a folder of one file a frame, whole or not at all; say what is lost.

    The format is one of `WRITE_FORMATS`, or follows from the suffix, see `write_format`. ``openpose`` and ``fpdm``
    are folders.

    Args:
        header: put frame size and rate into a header beside a file that does not hold both, see `header_path`.
            A header that an earlier file has left there is never left standing: it would be read with this one.

    Raises:
        InputError: an unknown format, a place that cannot be written, or a clip that the format cannot hold.
        RunError: the disk failed.

    Example:
        >>> from signgen import read_keypoints, write_keypoints
        >>> keypoints = read_keypoints("clip.pose").keypoints
        >>> write_keypoints(keypoints, "clip.npz")
        []
        >>> len(write_keypoints(keypoints, "clip.json")) > 0  # MMPose's files say no size and no rate
        True
    """
    chosen, target = FORMATS[write_format(path, format)], readable(path)
    content: Any = chosen.write(keypoints)
    if chosen.folder:
        place_folder(target, content, chosen.folder)
        return losses(keypoints, chosen, target.stem)
    header = header and leaves_open(chosen.name)
    place_with_header(target, content, header_bytes(keypoints, {}) if header else None)
    return losses(keypoints, chosen, target.stem, header)


def leaves_open(format: str) -> bool:
    """Whether files of a format do not say frame size and rate both, so that a header beside them can."""
    chosen = FORMATS[format]
    return not chosen.folder and not (chosen.size and chosen.fps)


def keypoint_bytes(keypoints: Keypoints, format: str, target: str = "") -> tuple[bytes, list[str]]:
    """What `write_keypoints` would write to a file, and what is lost. InputError for formats of folders."""
    pieces, lost = keypoint_pieces(keypoints, format, target)
    return b"".join(pieces), lost


def keypoint_pieces(keypoints: Keypoints, format: str, target: str = "") -> tuple[Iterator[bytes], list[str]]:
    """As `keypoint_bytes`, piece by piece, for a pipe."""
    chosen = FORMATS[write_format(target, format)]
    if chosen.folder:
        got = f"got {chosen.name} for a pipe"
        raise Mismatch("--to", got, "it is a folder of one file a frame; give a folder's name")
    content: Any = chosen.write(keypoints)
    return iter(content), losses(keypoints, chosen, target)


# --- what is lost ---------------------------------------------------------------------------------------------
_PARTS = {
    "eyes and ears": range(1, 5), "hips": range(11, 13), "knees and ankles": range(13, BODY.stop),
    "feet": range(FEET.start, FEET.stop), "face": range(FACE.start, FACE.stop),
}  # fmt: skip


def losses(keypoints: Keypoints, format: Format, stem: str, header: bool = False) -> list[str]:
    """One line for each thing of this clip that the format does not hold.

    Args:
        stem: the name, without suffix, of the file or folder that is written.
        header: whether a header beside it holds frame size and rate.
    """
    lost = ["" if header else _lost_frame(keypoints, format)]
    if not _keeps_name(keypoints.name, format, stem):
        lost.append(f"the clip's name ({keypoints.name})")
    lost.append(_lost_points(keypoints, format))
    unsure = (((part.confidence > 0) & (part.confidence < 1)).any() for part in keypoints.blocks())
    if not format.confidence and any(unsure):
        lost.append("confidences: a point is there or is missing")
    if not format.placed:
        lost.append("place and size: the neck is the origin, shoulders are 1 apart")
    return [f"{format.label} does not hold {what}" for what in lost if what]


def _lost_frame(keypoints: Keypoints, format: Format) -> str:
    size, rate = f"the frame size ({keypoints.width}x{keypoints.height})", f"the rate ({keypoints.fps:g} fps)"
    held = ((size, "--frame-size", format.size), (rate, "--fps", format.fps))
    lost = [(what, option) for what, option, there in held if not there]
    if not lost:
        return ""
    whats, options = (" and ".join(column) for column in zip(*lost, strict=True))
    return f"{whats}: give {options} when it is read"


def _keeps_name(name: str, format: Format, stem: str) -> bool:
    return not name or name == stem or format.clip_name == "any" or (format.clip_name == "files" and "/" not in name)


def _lost_points(keypoints: Keypoints, format: Format) -> str:
    """Parts of which points are seen that the format does not have."""
    absent = np.setdiff1d(ALL_JOINTS, format.joints)
    if not len(absent):
        return ""
    lost = absent[np.any([(part.confidence[:, absent] > 0).any(0) for part in keypoints.blocks()], axis=0)]
    parts = [name for name, joints in _PARTS.items() if set(lost) & set(joints)]
    return f"{', '.join(parts)}: {len(lost)} of 133 points are left out" if len(lost) else ""
