"""Every keypoint format, in and out. What a file is, is told by its content and never by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import InputError
from signgen.files import place_file, place_folder
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.content import NAME, Content, Piped, is_standard_input, load, read_standard_input, readable
from signgen.keypoints.formats import arrays, coco, mmpose, openpose, pickles, pose, skels
from signgen.keypoints.formats.capabilities import ROOMS, losses
from signgen.keypoints.formats.write import BY_SUFFIX, FOLDERS, WRITERS
from signgen.keypoints.header import forget_header, header_bytes, header_path, with_header
from signgen.keypoints.raw import RawClip, Request, pick_clip
from signgen.keypoints.units import ReadResult, finish

__all__ = [
    "READ_FORMATS", "WRITE_FORMATS", "ReadResult", "keypoint_bytes", "read_keypoints", "write_format",
    "write_keypoints",
]  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """A format: the kinds of content it comes in, whether some content looks like it, and how to read that."""

    kinds: tuple[str, ...]
    recognises: Callable[[Any], bool]
    read: Callable[[Any, Request], RawClip]


# --- folders: one file per frame ------------------------------------------------------------------------------
Frames = list[tuple[Path, Any]]
_OPENPOSE_NAME = re.compile(r"^(.*?)_?(\d+)_keypoints$")


def _first_is(recognises: Callable[[Any], bool]) -> Callable[[Frames], bool]:
    return lambda frames: any(recognises(value) for _path, value in frames[:1])


def _are_instances(frames: Frames) -> bool:
    """Empty lists are frames without anybody, so look for the first list that is not empty."""
    return mmpose.is_instances(next((value for _path, value in frames if value != []), None))


def _read_openpose_folder(frames: Frames, request: Request) -> RawClip:
    clips: dict[str, list[Any]] = {}
    for path, value in frames:
        found = _OPENPOSE_NAME.match(path.stem)
        clips.setdefault(found.group(1) if found else request.path.name, []).append(value)
    clip = pick_clip(list(clips), request)
    return openpose.read_openpose(clips[clip], clip or request.path.name, request)


def _read_instance_folder(frames: Frames, request: Request) -> RawClip:
    clip = mmpose.read_frame_files([value for _path, value in frames], request)
    clip.name = request.path.name
    return clip


def _read_fpdm(value: Any, request: Request) -> RawClip:
    texts = [value] if isinstance(value, str) else [text for _path, text in value]
    return skels.read_fpdm(texts, request.path.stem, request)


def _is_fpdm(value: Any) -> bool:
    return skels.is_fpdm(value if isinstance(value, str) else value[0][1])


def _read_openpose_file(value: Any, request: Request) -> RawClip:
    found = _OPENPOSE_NAME.match(request.path.stem)
    return openpose.read_openpose([value], found.group(1) if found else request.path.stem, request)


_READERS: dict[str, list[Reader]] = {
    "mmpose": [
        Reader(("json", "object"), mmpose.is_inferencer, mmpose.read_inferencer),
        Reader(("json",), mmpose.is_instances, mmpose.read_instances),
        Reader(("json_folder",), _are_instances, _read_instance_folder),
    ],
    "mmpose-topdown": [Reader(("json",), mmpose.is_topdown, mmpose.read_topdown)],
    "mmpose-0.x": [Reader(("json", "object"), mmpose.is_mmpose0, mmpose.read_mmpose0)],
    "openpose": [
        Reader(("json",), openpose.is_openpose, _read_openpose_file),
        Reader(("json_folder",), _first_is(openpose.is_openpose), _read_openpose_folder),
    ],
    "rtmlib": [Reader(("json",), mmpose.is_rtmlib, mmpose.read_rtmlib)],
    "coco-wholebody": [Reader(("json",), coco.is_coco, coco.read_coco)],
    "pose": [Reader(("pose",), lambda value: True, pose.read_pose)],
    "uni-sign": [Reader(("object",), pickles.is_unisign, pickles.read_unisign)],
    "dwpose": [Reader(("object", "json"), openpose.is_dwpose, openpose.read_dwpose)],
    "mska": [Reader(("object",), pickles.is_mska, pickles.read_clips)],
    "npz": [Reader(("table", "object"), arrays.is_point_table, arrays.read_table)],
    "slrt": [Reader(("object",), pickles.is_slrt, pickles.read_clips)],
    "nla-slr": [Reader(("object", "table"), pickles.is_nla, pickles.read_clips)],
    "npy": [Reader(("array", "object"), arrays.is_points, arrays.read_array)],
    "skels": [Reader(("text",), skels.is_skels, skels.read_skels)],
    "fpdm": [Reader(("text", "text_folder"), _is_fpdm, _read_fpdm)],
}
READ_FORMATS = tuple(_READERS)
_CLIPS_INSIDE = ("mska", "slrt", "nla-slr", "skels", "openpose", "coco-wholebody", "rtmlib")
_FALLBACK: dict[str, Callable[[Any, Request], RawClip]] = {
    "array": arrays.read_array,
    "table": arrays.read_table,
}  # for their own words about what is wrong


# --- reading --------------------------------------------------------------------------------------------------
def read_keypoints(
    path: str | os.PathLike[str] | Piped,
    *,
    format: str | None = None,
    clip: str | None = None,
    frame_size: tuple[int, int] | None = None,
    fps: float | None = None,
    first: bool = False,
) -> ReadResult:
    """Read one signer's points from a file, or from a folder of one file per frame.

    Args:
        path: the file or folder; ``-`` is standard input, which can be read once (see `piped.read_standard_input`).
        format: one of `READ_FORMATS`, to have it read as that; found from the content otherwise.
        clip: the clip to take from a file of several, by its full name or the last part of it.
        frame_size, fps: (width, height) in pixels and frames per second; they win over what the file says.
        first: take the first of several clips where ``clip`` names none, with a warning.

    Raises:
        InputError: for anything that cannot be read, and nothing else.
    """
    source = read_standard_input() if is_standard_input(path) else path
    request = Request(Path(NAME) if isinstance(source, Piped) else readable(source), clip, first)
    if frame_size is not None or fps is not None:
        _check_overrides(frame_size, fps)
    content = load(source if isinstance(source, Piped) else request.path)
    name, reader = _find_reader(content, format, request)
    raw = _guard(lambda: reader(content.value, request), name, request)
    raw.warnings[:0] = request.notes
    _check_clip(raw, name, request)
    return _guard(lambda: finish(raw, name, request.subject, frame_size, fps), name, request)


def _check_clip(raw: RawClip, format: str, request: Request) -> None:
    """A clip asked of a file that holds one clip must be that one."""
    known = {raw.name.rsplit("/", 1)[-1], request.path.stem, request.path.name}
    if request.clip is not None and format not in _CLIPS_INSIDE and request.clip.rsplit("/", 1)[-1] not in known:
        raise request.error(f"one clip, {raw.name}, and not {request.clip}", "leave --clip out")


def _check_overrides(frame_size: tuple[int, int] | None, fps: float | None) -> None:
    from signgen.keypoints.clip import check_fps, check_size

    if frame_size is not None:
        check_size(frame_size, "frame size")
    if fps is not None:
        check_fps(fps, "rate")


def _find_reader(
    content: Content, wanted: str | None, request: Request
) -> tuple[str, Callable[[Any, Request], RawClip]]:
    if wanted is not None and wanted not in _READERS:
        raise InputError("format", f"unknown format {wanted!r}", f"choose one of {', '.join(READ_FORMATS)}")
    names = [wanted] if wanted else READ_FORMATS
    fitting = [(name, r) for name in names for r in _READERS[name] if content.kind in r.kinds]
    for name, reader in fitting:
        if _guard(lambda reader=reader: reader.recognises(content.value), name, request):  # type: ignore[misc]
            return name, with_header(reader.read)
    if wanted and fitting:
        return wanted, with_header(fitting[0][1].read)  # as asked; its own words say what does not fit
    if wanted:
        raise request.error(f"a file of kind {content.kind}", f"{wanted} files are of another kind; leave --from out")
    if content.kind in _FALLBACK:
        return content.kind, _FALLBACK[content.kind]
    words = _guard(lambda: _describe(content), content.kind, request)
    raise request.error(words, "give a keypoint file; see `signgen convert --help` for the formats")


def _describe(content: Content) -> str:
    value = content.value
    if content.kind == "object":
        return f"a pickle with {pickles.explain(value)}"
    if content.kind == "json" and value in ([], {}):
        return f"an empty {'list' if value == [] else 'object'}"
    if content.kind == "json":
        kind = f"an object with {', '.join(list(map(str, value))[:4])}"[:120] if isinstance(value, dict) else "a list"
        return f"JSON that is not keypoints ({kind})"
    if content.kind == "json_folder" and any(r.recognises(value[0][1]) for r in _of_kind("json")):
        return f"a folder of {len(value)} clips (such as {value[0][0].name}), not of frames"
    if content.kind.endswith("_folder"):
        return f"a folder of {len(value)} files that are not keypoints"
    return "text that is not keypoints"


def _of_kind(kind: str) -> list[Reader]:
    return [reader for readers in _READERS.values() for reader in readers if kind in reader.kinds]


def _guard(action: Callable[[], Any], name: str, request: Request) -> Any:
    """Content of a wrong inner shape, where no reader foresaw it, is bad input and not a program failure."""
    try:
        with np.errstate(all="ignore"):  # values that overflow or are NaN are counted and reported, not printed
            return action()
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        got = f"a damaged or unusual {name} file ({type(error).__name__}: {str(error)[:100]})"
        raise request.error(got, "compare it with the format's own description") from None


# --- writing --------------------------------------------------------------------------------------------------
WRITE_FORMATS = tuple(WRITERS)


def write_format(path: str | os.PathLike[str], format: str | None = None) -> str:
    """The format to write: as asked, or by the suffix (.json is MMPose inferencer JSON); InputError for none."""
    suffix = readable(path).suffix.lower()
    name = format or BY_SUFFIX.get(suffix)
    if name in WRITERS:
        return name
    advice = f"end it in {', '.join(BY_SUFFIX)}, or choose with --to one of {', '.join(WRITE_FORMATS)}"
    raise InputError(os.fspath(path), f"unknown output format {format or suffix or 'without a suffix'!r}", advice)


def write_keypoints(
    keypoints: Keypoints, path: str | os.PathLike[str], format: str | None = None, header: bool = False
) -> list[str]:
    """Write a file, or a folder of one file a frame, whole or not at all; say in words what is lost.

    The format is one of `WRITE_FORMATS`, or follows from the suffix, see `write_format`. ``openpose`` and ``fpdm``
    are folders.

    Args:
        header: put frame size and rate into a header beside a file that has no room for both, see `header_path`.
            A header that an earlier file has left there is never left standing: it would be read with this one.

    Raises:
        InputError: an unknown format, a place that cannot be written, or a clip that the format cannot hold.
        RunError: the disk failed.
    """
    name, target = write_format(path, format), readable(path)
    content = WRITERS[name](keypoints)
    if isinstance(content, dict):
        place_folder(target, content, FOLDERS[name])
        return losses(keypoints, name, target.stem)
    place_file(target, content)
    header = header and leaves_open(name)
    if header:
        place_file(header_path(target), header_bytes(keypoints, {}))
    else:
        forget_header(target)
    return losses(keypoints, name, target.stem, header)


def leaves_open(format: str) -> bool:
    """Whether files of a format do not say frame size and rate both, so that a header beside them can."""
    return format not in FOLDERS and not (ROOMS[format].size and ROOMS[format].fps)


def keypoint_bytes(keypoints: Keypoints, format: str, target: str = "") -> tuple[bytes, list[str]]:
    """What `write_keypoints` would write to a file, for a pipe, and what is lost. InputError for formats of folders."""
    name = write_format(target, format)
    if name in FOLDERS:
        raise InputError("--to", f"got {name} for a pipe", "it is a folder of one file a frame; give a folder's name")
    content = WRITERS[name](keypoints)
    assert isinstance(content, bytes)
    return content, losses(keypoints, name, target)
