"""Every keypoint format, in and out. What a file is, is told by its content and never by its name."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import InputError, RunError
from signgen.keypoints import _arrays, _coco, _mmpose, _openpose, _pickles, _pose, _skels
from signgen.keypoints._finish import ReadResult, finish
from signgen.keypoints._header import with_header
from signgen.keypoints._load import Content, load, readable
from signgen.keypoints._raw import RawClip, Request, pick_clip
from signgen.keypoints.sequence import Keypoints

__all__ = ["READ_FORMATS", "WRITE_FORMATS", "ReadResult", "read_keypoints", "write_keypoints"]


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
    return _mmpose.is_instances(next((value for _path, value in frames if value != []), None))


def _read_openpose_folder(frames: Frames, request: Request) -> RawClip:
    clips: dict[str, list[Any]] = {}
    for path, value in frames:
        found = _OPENPOSE_NAME.match(path.stem)
        clips.setdefault(found.group(1) if found else request.path.name, []).append(value)
    clip = pick_clip(list(clips), request)
    return _openpose.read_openpose(clips[clip], clip or request.path.name, request)


def _read_instance_folder(frames: Frames, request: Request) -> RawClip:
    clip = _mmpose.read_frame_files([value for _path, value in frames], request)
    clip.name = request.path.name
    return clip


def _read_fpdm(value: Any, request: Request) -> RawClip:
    texts = [value] if isinstance(value, str) else [text for _path, text in value]
    return _skels.read_fpdm(texts, request.path.stem, request)


def _is_fpdm(value: Any) -> bool:
    return _skels.is_fpdm(value if isinstance(value, str) else value[0][1])


def _read_openpose_file(value: Any, request: Request) -> RawClip:
    found = _OPENPOSE_NAME.match(request.path.stem)
    return _openpose.read_openpose([value], found.group(1) if found else request.path.stem, request)


_READERS: dict[str, list[Reader]] = {
    "mmpose": [
        Reader(("json", "object"), _mmpose.is_inferencer, _mmpose.read_inferencer),
        Reader(("json",), _mmpose.is_instances, _mmpose.read_instances),
        Reader(("json_folder",), _are_instances, _read_instance_folder),
    ],
    "mmpose-topdown": [Reader(("json",), _mmpose.is_topdown, _mmpose.read_topdown)],
    "mmpose-0.x": [Reader(("json", "object"), _mmpose.is_mmpose0, _mmpose.read_mmpose0)],
    "openpose": [
        Reader(("json",), _openpose.is_openpose, _read_openpose_file),
        Reader(("json_folder",), _first_is(_openpose.is_openpose), _read_openpose_folder),
    ],
    "rtmlib": [Reader(("json",), _mmpose.is_rtmlib, _mmpose.read_rtmlib)],
    "coco-wholebody": [Reader(("json",), _coco.is_coco, _coco.read_coco)],
    "pose": [Reader(("pose",), lambda value: True, _pose.read_pose)],
    "uni-sign": [Reader(("object",), _pickles.is_unisign, _pickles.read_unisign)],
    "dwpose": [Reader(("object", "json"), _openpose.is_dwpose, _openpose.read_dwpose)],
    "mska": [Reader(("object",), _pickles.is_mska, _pickles.read_clips)],
    "npz": [Reader(("table", "object"), _arrays.is_point_table, _arrays.read_table)],
    "slrt": [Reader(("object",), _pickles.is_slrt, _pickles.read_clips)],
    "nla-slr": [Reader(("object", "table"), _pickles.is_nla, _pickles.read_clips)],
    "npy": [Reader(("array", "object"), _arrays.is_points, _arrays.read_array)],
    "skels": [Reader(("text",), _skels.is_skels, _skels.read_skels)],
    "fpdm": [Reader(("text", "text_folder"), _is_fpdm, _read_fpdm)],
}
READ_FORMATS = tuple(_READERS)
_CLIPS_INSIDE = ("mska", "slrt", "nla-slr", "skels", "openpose", "coco-wholebody", "rtmlib")
_FALLBACK: dict[str, Callable[[Any, Request], RawClip]] = {
    "array": _arrays.read_array,
    "table": _arrays.read_table,
}  # for their own words about what is wrong


# --- reading --------------------------------------------------------------------------------------------------
def read_keypoints(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    clip: str | None = None,
    frame_size: tuple[int, int] | None = None,
    fps: float | None = None,
) -> ReadResult:
    """Read one signer's points from a file, or from a folder of one file per frame.

    Args:
        path: the file or folder.
        format: one of `READ_FORMATS`, to have it read as that; found from the content otherwise.
        clip: the clip to take from a file of several, by its full name or the last part of it.
        frame_size, fps: (width, height) in pixels and frames per second; they win over what the file says.

    Raises:
        InputError: for anything that cannot be read, and nothing else.
    """
    request = Request(readable(path), clip)
    if frame_size is not None or fps is not None:
        _check_overrides(frame_size, fps)
    content = load(request.path)
    name, reader = _find_reader(content, format, request)
    raw = _guard(lambda: reader(content.value, request), name, request)
    _check_clip(raw, name, request)
    return _guard(lambda: finish(raw, name, request.subject, frame_size, fps), name, request)


def _check_clip(raw: RawClip, format: str, request: Request) -> None:
    """A clip asked of a file that holds one clip must be that one."""
    known = {raw.name.rsplit("/", 1)[-1], request.path.stem, request.path.name}
    if request.clip is not None and format not in _CLIPS_INSIDE and request.clip.rsplit("/", 1)[-1] not in known:
        raise request.error(f"one clip, {raw.name}, and not {request.clip}", "leave --clip out")


def _check_overrides(frame_size: tuple[int, int] | None, fps: float | None) -> None:
    from signgen.keypoints.sequence import check_fps, check_size

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
        return f"a pickle with {_pickles.explain(value)}"
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
def _mmpose_bytes(keypoints: Keypoints) -> tuple[bytes, list[str]]:
    frames = _mmpose.to_inferencer(keypoints.xy, keypoints.confidence)
    losses = [
        f"MMPose JSON has no room for the frame size ({keypoints.width}x{keypoints.height}) and the rate "
        f"({keypoints.fps:g} fps): give --frame-size and --fps when it is read"
    ]
    return json.dumps(frames).encode(), losses


def _pose_bytes(keypoints: Keypoints) -> tuple[bytes, list[str]]:
    losses = [f".pose has no room for the clip's name ({keypoints.name})"] if keypoints.name else []
    return _pose.to_pose_bytes(keypoints), losses


def _npz_bytes(keypoints: Keypoints) -> tuple[bytes, list[str]]:
    buffer = io.BytesIO()
    xyc = np.concatenate([keypoints.xy, keypoints.confidence[..., None]], axis=-1)
    np.savez_compressed(
        buffer, keypoints=xyc, width=keypoints.width, height=keypoints.height, fps=keypoints.fps, name=keypoints.name
    )
    return buffer.getvalue(), []


_WRITERS = {"mmpose": _mmpose_bytes, "pose": _pose_bytes, "npz": _npz_bytes}
_BY_SUFFIX = {".json": "mmpose", ".pose": "pose", ".npz": "npz"}
WRITE_FORMATS = tuple(_WRITERS)


def write_keypoints(keypoints: Keypoints, path: str | os.PathLike[str], format: str | None = None) -> list[str]:
    """Write a file, whole or not at all, and return in words what the format has no room for.

    The format is one of `WRITE_FORMATS`, or follows from the suffix (.json is MMPose inferencer JSON).
    """
    target = readable(path)
    name = format or _BY_SUFFIX.get(target.suffix.lower())
    if name not in _WRITERS:
        got = f"unknown output format {format or target.suffix or 'without a suffix'!r}"
        advice = f"end it in .json, .pose or .npz, or choose one of {', '.join(WRITE_FORMATS)}"
        raise InputError(str(target), got, advice)
    data, losses = _WRITERS[name](keypoints)
    _replace_file(target, data)
    return losses


def _replace_file(target: Path, data: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one, never half of one."""
    if target.is_dir():
        raise InputError(str(target), "a folder", "give the name of a file to write")
    if not target.parent.is_dir():
        raise InputError(str(target.parent), "no such folder", "make the folder first")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        got = f"cannot be written ({error.strerror})"
        raise RunError(str(target), got, "check free space and permissions") from None
