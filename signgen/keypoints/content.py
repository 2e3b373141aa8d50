"""From a path to content of a known kind, by looking inside: a name says nothing about a file here."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import Damaged, Empty, Missing, NotFound, TooLarge, Unsupported, damage
from signgen.keypoints.formats import pose
from signgen.keypoints.raw import Folder
from signgen.keypoints.safe_pickle import LARGEST_CONTENT, LARGEST_FILE, Limited, load_pickle, load_torch_zip
from signgen.video.images import natural_key
from signgen.video.sniff import is_video

_LARGEST_TEXT = 512 << 20  # bytes; parsed JSON takes many times as much memory
_KNOWN = (
    "signgen reads MMPose, OpenPose, RTMLib and COCO-WholeBody JSON, .pose, pickles of MSKA, SLRT, NLA-SLR, Uni-Sign "
    "and DWPose, .skels, npz and npy"
)


# --- standard input -------------------------------------------------------------------------------------------
STANDARD_INPUT = "-"  # in place of a file's name
NAME = "stdin"  # of what came that way, in messages and as a clip's name
LARGEST_PIPED = 512 << 20  # bytes; an endless stream must come to an end
_IN_MEMORY = 32 << 20  # bytes; what is longer lies in the folder for temporary files
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Piped:
    """What came through a pipe: ``content`` is a file that can be read from its start again and again."""

    content: BinaryIO


def is_standard_input(path: object) -> bool:
    """True for ``-`` (a file of that name is ``./-``)."""
    return isinstance(path, (str, os.PathLike)) and os.fspath(path) == STANDARD_INPUT


def read_standard_input(stream: BinaryIO | None = None) -> Piped:
    """Everything that standard input (or another stream of bytes) gives.

    Raises:
        InputError: it is a terminal or closed, gives nothing, or more than 512 MiB.
    """
    if stream is None:
        if sys.stdin is None or sys.stdin.closed:
            raise Missing(NAME, "it is closed", "give a file, or pipe keypoints into signgen")
        if sys.stdin.isatty():
            raise Missing(NAME, "a terminal", "pipe keypoints into it: cat clip.pose | signgen render - -o a.mp4")
        stream = sys.stdin.buffer
    kept, size = SpooledTemporaryFile(_IN_MEMORY), 0  # noqa: SIM115 - lives as long as `Piped`
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > LARGEST_PIPED:
            kept.close()
            raise TooLarge(NAME, f"more than {LARGEST_PIPED >> 20} MiB", "write it to a file and give that")
        kept.write(chunk)
    if not size:
        raise Empty(NAME, "nothing came", "see whether the program before the pipe failed")
    kept.seek(0)
    return Piped(kept)  # type: ignore[arg-type]


# --- files ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Content:
    """kind: json, object (unpickled), array, table (npz), pose (bytes), text, json_folder or text_folder.

    A folder's value is a `Folder`.
    """

    kind: str
    value: Any


def load(path: Path | Piped) -> Content:
    """Read a file or a folder of frames. InputError if it is missing, unreadable, empty, too large or unknown."""
    subject = NAME if isinstance(path, Piped) else str(path)
    try:
        if isinstance(path, Piped):
            path.content.seek(0)
            return _load_stream(path.content, subject)
        if path.is_dir():
            return _load_folder(path)
        if not path.is_file():
            raise NotFound(subject, "no such file or folder", "check the path")
        if path.stat().st_size > LARGEST_FILE:
            raise TooLarge(subject, f"{path.stat().st_size / 2**30:.1f} GiB", "split it; files up to 2 GiB are read")
        with path.open("rb") as stream:
            return _load_stream(stream, subject)
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise Damaged(subject, f"a damaged gzip file ({error})", "download or write it again") from None
    except MemoryError:
        raise TooLarge(subject, "more than fits into memory", "split it into smaller files") from None
    except OSError as error:
        got = f"cannot be read ({error.strerror or error})"
        raise NotFound(subject, got, "check the path and the permissions") from None


def _load_stream(stream: BinaryIO, subject: str, *, gzipped: bool = False) -> Content:
    head = _peek(stream)
    if not head:
        raise Empty(subject, "an empty file", "write or download it again")
    if head.startswith(b"\x1f\x8b") and not gzipped:
        with gzip.GzipFile(fileobj=stream, mode="rb") as unzipped:
            limited = Limited(unzipped, LARGEST_CONTENT, subject)  # type: ignore[arg-type]
            return _load_stream(io.BufferedReader(limited, 1 << 20), subject, gzipped=True)
    if head.startswith(b"\x93NUMPY"):
        return _load_npy(stream, subject)
    if head.startswith(b"PK\x03\x04"):
        return _load_zip(io.BytesIO(stream.read()), subject)
    if _is_pickle(head):
        return Content("object", load_pickle(stream, subject))
    if pose.is_pose(head):
        return Content("pose", stream.read())
    if is_video(head):
        raise Unsupported(subject, "a video, not keypoints", "find them first: signgen extract VIDEO -o keypoints.json")
    text = stream.read(_LARGEST_TEXT + 1)
    if len(text) > _LARGEST_TEXT:
        raise TooLarge(subject, "more than 512 MiB of text", "split it, or convert it to npz or .pose")
    return _load_text(text, subject)


def _peek(stream: BinaryIO) -> bytes:
    if isinstance(stream, io.BufferedReader):
        return stream.peek(64)[:64]
    head = stream.read(64)
    stream.seek(0)
    return head


def _is_pickle(head: bytes) -> bool:
    """Protocol 2 and later say so; the older ones begin with an empty container or a mark."""
    if head[:1] == b"\x80":
        return 2 <= head[1] <= 5 if len(head) > 1 else False
    return head[:3] in (b"(dp", b"(lp") or head[:2] in (b"}q", b"]q") or head[:6] == b"cnumpy"


def _load_text(data: bytes, subject: str) -> Content:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unsupported(subject, "content of an unknown kind", _KNOWN) from None
    start = text.lstrip()[:1]
    if start in ("{", "["):
        return Content("json", _parse_json(text, subject))
    if not start:
        raise Empty(subject, "an empty file", "write or download it again")
    if start in "+-.0123456789nNiI":
        return Content("text", text)
    raise Unsupported(subject, "content of an unknown kind", _KNOWN)


def _parse_json(text: str, subject: str) -> Any:
    advice = "the file may be cut; write or download it again"
    with damage(subject, "damaged JSON", advice, ValueError, RecursionError):
        return json.loads(text)


# --- numpy and torch ------------------------------------------------------------------------------------------
_AGAIN = "write or download it again"
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, RuntimeError)


def _load_npy(stream: BinaryIO, subject: str) -> Content:
    """An array of numbers, or a single pickled object, which the restricted unpickler reads."""
    with damage(subject, "a damaged npy file", _AGAIN, Exception):  # numpy's parser of headers raises what it likes
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        if dtype.hasobject:
            value = load_pickle(stream, subject)
            return Content("object", value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value)
        data = stream.read(LARGEST_CONTENT)
        count = int(np.prod(shape, dtype=object))
        if len(data) != count * dtype.itemsize:
            raise ValueError("its data do not fit its shape")
        array = np.frombuffer(data, dtype, count).reshape(shape, order="F" if fortran else "C")
        return Content("array", array)


def _load_zip(stream: io.BytesIO, subject: str) -> Content:
    """An npz, or a torch file (which has a data.pkl)."""
    with damage(subject, "a damaged npz file", _AGAIN, *_ZIP_FAULTS), zipfile.ZipFile(stream) as archive:
        if sum(item.file_size for item in archive.infolist()) > LARGEST_CONTENT:
            raise TooLarge(subject, "decompresses to more than 4 GiB", "split it into files of fewer clips")
        names = archive.namelist()
        if any(name.endswith("data.pkl") for name in names):
            return Content("object", load_torch_zip(archive, subject))
        arrays = [name for name in names if name.endswith(".npy")]
        if not arrays:
            raise Unsupported(subject, "a zip archive without arrays", "unpack it and give a file of it")
        return Content("table", {name.removesuffix(".npy"): _member(archive, name, subject) for name in arrays})


def _member(archive: zipfile.ZipFile, name: str, subject: str) -> Any:
    with archive.open(name) as member:
        stream = io.BytesIO(Limited(member, LARGEST_CONTENT, subject).readall())  # type: ignore[arg-type]
    if not stream.getbuffer()[:6] == b"\x93NUMPY":
        raise Damaged(subject, f"a member {name} that is not an array", "write it with numpy.savez")
    return _load_npy(stream, subject).value


# --- folders --------------------------------------------------------------------------------------------------
def _load_folder(path: Path) -> Content:
    """All JSON files of a folder, or else all text files, in natural order."""
    files = [item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")]
    for suffix, kind in ((".json", "json_folder"), (".txt", "text_folder")):
        chosen = sorted((item for item in files if item.suffix == suffix), key=natural_key)
        if chosen:
            return Content(kind, Folder(chosen, [_load_frame(item) for item in chosen]))
    error = Unsupported if any(path.iterdir()) else Empty
    raise error(path, _describe(path, files), "give a folder of one JSON or text file per frame, or a file")


def _load_frame(path: Path) -> Any:
    if path.stat().st_size > LARGEST_FILE >> 4:
        raise TooLarge(str(path), "more than 128 MiB for one frame", "check the folder")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Damaged(str(path), "content that is not text", "check the folder") from None
    return _parse_json(text, str(path)) if path.suffix == ".json" else text


def _describe(path: Path, files: list[Path]) -> str:
    if files:
        return f"a folder of {len(files)} files without keypoints per frame (such as {sorted(files)[0].name})"
    folders = sorted(item.name for item in path.iterdir() if item.is_dir())
    return f"a folder of {len(folders)} folders (such as {folders[0]})" if folders else "an empty folder"


def readable(path: str | os.PathLike[str]) -> Path:
    """The path, or InputError for what is none (a number, say)."""
    with damage(repr(path), "no path", "give the name of a file or a folder", TypeError, ValueError):
        return Path(os.fsdecode(path))
