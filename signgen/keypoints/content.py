"""From a path to content of a known kind, by looking inside: a name says nothing about a file here."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar

import numpy as np

from signgen.errors import Damaged, Empty, Missing, NotFound, TooLarge, Unsupported, damage
from signgen.keypoints.budget import OBJECT, Budget
from signgen.keypoints.containers.archive import Member, Sips, check_total, is_tar, tar_members, zip_members
from signgen.keypoints.containers.table import PARQUET, Csv, Parquet, is_csv
from signgen.keypoints.formats import pose
from signgen.keypoints.frame_numbers import numbers_in_names
from signgen.keypoints.raw import Folder
from signgen.keypoints.rows import SMALL, Scratch
from signgen.keypoints.safe_pickle import load_pickle
from signgen.keypoints.texts import Text, read_json, whole
from signgen.video.images import natural_key
from signgen.video.sniff import is_video

LARGEST_FILE = 2 << 30  # bytes on disk
LARGEST_CONTENT = 4 << 30  # bytes after decompression
_LARGEST_FRAME = 16 << 20  # bytes of a file that holds one frame
_KNOWN = (
    "signgen reads MMPose, AlphaPose, OpenPose, ComfyUI, RTMLib, MediaPipe and COCO-WholeBody JSON, .pose, "
    "MediaPipe's CSV and parquet, pickles of MSKA, SLRT, NLA-SLR, Uni-Sign and DWPose, .skels, npz and npy"
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


def standard_input(if_closed: str, if_terminal: str) -> BinaryIO:
    """The bytes of standard input; `Missing`, with the advice for that case, where it is closed or a terminal."""
    if sys.stdin is None or sys.stdin.closed:
        raise Missing(NAME, "it is closed", if_closed)
    if sys.stdin.isatty():
        raise Missing(NAME, "a terminal", if_terminal)
    return sys.stdin.buffer


def read_standard_input(stream: BinaryIO | None = None) -> Piped:
    """Everything that standard input (or another stream of bytes) gives.

    Raises:
        InputError: it is a terminal or closed, gives nothing, or more than 512 MiB.
    """
    stream = stream or standard_input(
        "give a file, or pipe keypoints into signgen",
        "pipe keypoints into it: cat clip.pose | signgen render - -o a.mp4",
    )
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
    """What is in a file or folder. Long arrays, lists and texts stay there until they are looked at.

    kind: json, object (unpickled), array, table (npz), pose (a stream), text (`texts.Text`), columns
    (`containers.table.Table`), json_folder, text_folder or array_folder (`Folder`).
    budget: what may still be built of it.
    """

    kind: str
    value: Any
    budget: Budget


def load(path: Path | Piped) -> Content:
    """Open a file or a folder of frames. InputError if it is missing, unreadable, empty, too large or unknown."""
    subject = NAME if isinstance(path, Piped) else str(path)
    with reading(subject):
        if isinstance(path, Piped):
            return _load_stream(path.content, subject)
        if path.is_dir():
            return _load_folder(path)
        if not path.is_file():
            raise NotFound(subject, "no such file or folder", "check the path")
        if path.stat().st_size > LARGEST_FILE:
            raise TooLarge(subject, f"{path.stat().st_size / 2**30:.1f} GiB", "split it; files up to 2 GiB are read")
        return _load_stream(path.open("rb"), subject)  # closed with what is read from it


@contextmanager
def reading(subject: str) -> Iterator[None]:
    """What reading a file can raise, at once or little by little, becomes an InputError."""
    try:
        yield
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise Damaged(subject, f"a damaged gzip file ({error})", _AGAIN) from None
    except MemoryError:
        raise TooLarge(subject, "more than fits into memory", "split it into smaller files") from None
    except RecursionError:
        raise Damaged(subject, "content that is nested too deeply", _AGAIN) from None
    except OSError as error:
        got = f"cannot be read ({error.strerror or error})"
        raise NotFound(subject, got, "check the path and the permissions") from None


def _load_stream(stream: BinaryIO, subject: str, layers: int = 0) -> Content:
    """``layers``: 1 for what was below gzip, 2 for what was in an archive."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(512)
    stream.seek(0)
    budget = Budget(subject, size)
    if not head:
        raise Empty(subject, "an empty file", "write or download it again")
    if head.startswith(b"\x1f\x8b") and not layers:
        content = Scratch()
        content.copy(gzip.GzipFile(fileobj=stream, mode="rb"), LARGEST_CONTENT, subject)
        return _load_stream(content.file(), subject, layers=1)
    if head.startswith(b"\x93NUMPY"):
        value = _load_npy(stream, subject, budget)
        numeric = isinstance(value, np.ndarray) and not value.dtype.hasobject
        return Content("array" if numeric else "object", value, budget)
    if head.startswith(b"PK\x03\x04"):
        return _load_zip(stream, subject, layers)
    if is_tar(head):
        return _load_tar(stream, size, subject, layers)
    if head.startswith(PARQUET):
        return Content("columns", Parquet(stream, subject, budget), budget)
    if _is_pickle(head):
        return Content("object", load_pickle(stream, subject, budget), budget)
    if pose.is_pose(head):
        return Content("pose", stream, budget)
    if is_video(head):
        raise Unsupported(subject, "a video, not keypoints", "find them first: signgen extract VIDEO -o keypoints.json")
    return _load_text(stream, size, subject, budget)


def _is_pickle(head: bytes) -> bool:
    """Protocol 2 and later say so; the older ones begin with an empty container or a mark."""
    if head[:1] == b"\x80":
        return 2 <= head[1] <= 5 if len(head) > 1 else False
    return head[:3] in (b"(dp", b"(lp") or head[:2] in (b"}q", b"]q") or head[:6] == b"cnumpy"


def _load_text(stream: BinaryIO, size: int, subject: str, budget: Budget) -> Content:
    head = stream.read(_CHUNK).decode("utf-8-sig", "replace").lstrip()
    start = head[:1]
    try:
        if start in ("{", "["):
            return Content("json", read_json(stream, subject, budget), budget)
        if is_csv(head):
            return Content("columns", Csv(stream, subject, budget), budget)
        text = Text(stream, size)
    except UnicodeDecodeError:
        raise Unsupported(subject, "content of an unknown kind", _KNOWN) from None
    if not start:
        raise Empty(subject, "an empty file", "write or download it again")
    if start in "+-.0123456789nNiI":
        return Content("text", text, budget)
    raise Unsupported(subject, "content of an unknown kind", _KNOWN)


# --- numpy and torch ------------------------------------------------------------------------------------------
_AGAIN = "write or download it again"
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, RuntimeError, MemoryError)


def _load_npy(stream: Any, subject: str, budget: Budget, scratch: Scratch | None = None) -> Any:
    """An array of numbers, or a single pickled object, which the restricted unpickler reads.

    A long array stays in the file, or is unpacked to ``scratch`` where it comes from an archive.
    """
    with damage(subject, "a damaged npy file", _AGAIN, Exception):  # numpy's parser of headers raises what it likes
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        if dtype.hasobject:
            if scratch is not None:
                unpacked = Scratch()
                unpacked.copy(stream, LARGEST_CONTENT, subject)
                stream = unpacked.file()
            value = load_pickle(stream, subject, budget)
            objects = isinstance(value, np.ndarray) and value.dtype.hasobject and value.ndim < 2
            return value.tolist() if objects else value  # the object itself, or a list of frames
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        order: Any = "F" if fortran else "C"
        if scratch is None:
            start, end = stream.tell(), stream.seek(0, os.SEEK_END)
            if size != end - start:
                raise ValueError("its data do not fit its shape")
            if size > SMALL:
                return np.memmap(stream, dtype, "r", start, shape, order)
            stream.seek(start)
        return _stored(stream, size, subject, budget, scratch).view(dtype).reshape(shape, order=order)


def _stored(stream: Any, size: int, subject: str, budget: Budget, scratch: Scratch | None) -> np.ndarray:
    """uint8 (size,): all that a stream gives, in memory or in ``scratch``; ValueError if it gives more or less."""
    if scratch is None or size <= SMALL:
        budget.spend("bytes", OBJECT + size)
        data = stream.read(size)
        if len(data) == size and not stream.read(1):
            return np.frombuffer(data, np.uint8) if size else np.empty(0, np.uint8)
        raise ValueError("its data do not fit its shape")
    start = scratch.align()
    scratch.copy(stream, LARGEST_CONTENT, subject)
    if scratch.size - start != size:
        raise ValueError("its data do not fit its shape")
    return scratch.array(start, np.dtype(np.uint8), (size,))


def _load_zip(stream: BinaryIO, subject: str, layers: int) -> Content:
    """An npz, a torch file (which has a data.pkl), or an archive of frames."""
    with damage(subject, "a damaged npz file", _AGAIN, *_ZIP_FAULTS):
        archive = zipfile.ZipFile(Sips(stream))  # type: ignore[arg-type]
        size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST_CONTENT:
            raise TooLarge(subject, "unpacks to more than 4 GiB", "split it into files of fewer clips")
        budget, names = Budget(subject, size), archive.namelist()
        pickled = next((name for name in names if name.endswith("data.pkl")), None)
        if pickled is not None:
            unpacked, tensors = Scratch(), _Tensors(archive, subject, budget)
            with archive.open(pickled) as member:
                unpacked.copy(member, LARGEST_CONTENT, subject)
            return Content("object", load_pickle(unpacked.file(), subject, budget, tensors.read), budget)
        arrays = {name.removesuffix(".npy"): name for name in names if name.endswith(".npy")}
        if arrays and not _are_frames(names):
            return Content("table", _Table(archive, arrays, subject, budget), budget)
        return _load_members(zip_members(archive, subject), subject, budget, layers)


def _are_frames(names: list[str]) -> bool:
    """Whether the arrays of an archive are numbered files, and not what `numpy.savez` calls arr_0, arr_1 ..."""
    files = [name for name in names if not name.endswith("/")]
    return not files[0].startswith("arr_") and numbers_in_names(files) is not None


def _load_tar(stream: BinaryIO, size: int, subject: str, layers: int) -> Content:
    budget = Budget(subject, size)
    members = tar_members(stream, subject, budget)
    check_total(members, LARGEST_CONTENT, subject)
    return _load_members(members, subject, budget, layers)


def _load_members(members: list[Member], subject: str, budget: Budget, layers: int) -> Content:
    """The frames of an archive as a folder; of an archive of one file, that file."""
    if layers > 1:
        raise Unsupported(subject, "an archive in an archive", "unpack the outer one")
    if len(members) == 1:
        unpacked = Scratch()
        with reading(subject), members[0].open() as member:
            unpacked.copy(member, LARGEST_CONTENT, subject)
        return _load_stream(unpacked.file(), subject, layers=2)
    suffix, chosen = _most_alike(members, lambda member: member.name)
    folders = list(dict.fromkeys(member.name.parent for member in chosen))
    if not chosen or len(folders) > 1:
        listed = ", ".join(map(str, folders[:3] or [member.name for member in members[:3]])) or "nothing"
        got = f"an archive of {len(folders)} folders ({listed}, ...)" if chosen else f"an archive of {listed}"
        kind = Unsupported if members else Empty
        raise kind(subject, got[:300], "pack the frames of one clip: one JSON, text or npy file per frame")
    by_path = {Path(member.name): member for member in chosen}

    def read(path: Path) -> Any:
        inner = f"{subject}/{path}"
        if by_path[path].size > _LARGEST_FRAME:
            raise TooLarge(inner, "more than 16 MiB for one frame", "check the archive")
        with reading(inner), damage(inner, "a damaged file", _AGAIN, *_ZIP_FAULTS), by_path[path].open() as member:
            return _frame_of(io.BytesIO(member.read(_LARGEST_FRAME + 1)), suffix, inner)

    return Content(_FRAME_KINDS[suffix], Folder(list(by_path), read), budget)


class _Tensors:
    """The storages of a file that `torch.save` wrote."""

    def __init__(self, archive: zipfile.ZipFile, subject: str, budget: Budget) -> None:
        self._archive, self._subject, self._budget, self._scratch = archive, subject, budget, Scratch()
        self._names = {name.rpartition("/data/")[2]: name for name in reversed(archive.namelist()) if "/data/" in name}

    def read(self, key: str, size: int) -> np.ndarray:
        if key not in self._names:
            return np.empty(0, np.uint8)
        with self._archive.open(self._names[key]) as member:
            return _stored(member, size, self._subject, self._budget, self._scratch)


class _Table(Mapping[str, Any]):
    """The arrays of an npz, each read when it is first asked for."""

    def __init__(self, archive: zipfile.ZipFile, names: dict[str, str], subject: str, budget: Budget) -> None:
        self._archive, self._names, self._subject, self._budget = archive, names, subject, budget
        self._scratch, self._read = Scratch(), dict[str, Any]()

    def __getitem__(self, key: str) -> Any:
        name = self._names[key]
        if key not in self._read:
            with damage(self._subject, "a damaged npz file", _AGAIN, *_ZIP_FAULTS), self._archive.open(name) as member:
                head = member.peek(6)[:6]  # type: ignore[attr-defined]
                if head != b"\x93NUMPY":
                    what = f"a member {name} that is not an array"
                    raise Damaged(self._subject, what, "write it with numpy.savez")
                self._read[key] = _load_npy(member, self._subject, self._budget, self._scratch)
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


# --- folders --------------------------------------------------------------------------------------------------
_File = TypeVar("_File")
_FRAME_KINDS = {".json": "json_folder", ".txt": "text_folder", ".npy": "array_folder"}


def _load_folder(path: Path) -> Content:
    """All JSON files of a folder, or all text files, or all arrays, of whichever there are most, in natural order."""
    files = [item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")]
    suffix, chosen = _most_alike(files, lambda file: file)
    if chosen:
        size = sum(item.stat().st_size for item in chosen)
        return Content(_FRAME_KINDS[suffix], Folder(chosen, _load_frame), Budget(str(path), size))
    error = Unsupported if any(path.iterdir()) else Empty
    raise error(path, _describe(path, files), "give a folder of one JSON, text or npy file per frame, or a file")


def _most_alike(files: list[_File], path_of: Callable[[_File], PurePath]) -> tuple[str, list[_File]]:
    """The files of whichever kind of frame there are most, in natural order, and their suffix."""
    alike = {suffix: [file for file in files if path_of(file).suffix == suffix] for suffix in _FRAME_KINDS}
    suffix = max(alike, key=lambda suffix: len(alike[suffix]))
    return suffix, sorted(alike[suffix], key=lambda file: natural_key(path_of(file).name))


def _load_frame(path: Path) -> Any:
    subject = str(path)
    with reading(subject), path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) > _LARGEST_FRAME:
            raise TooLarge(subject, "more than 16 MiB for one frame", "check the folder")
        return _frame_of(stream, path.suffix, subject)


def _frame_of(stream: BinaryIO, suffix: str, subject: str) -> Any:
    """What one frame's file holds."""
    size = stream.seek(0, os.SEEK_END)
    try:
        if suffix == ".json":
            return whole(read_json(stream, subject, Budget(subject, size)))
        if suffix == ".npy":
            stream.seek(0)
            return _load_npy(stream, subject, Budget(subject, size))
        return Text(stream, 0).part(0, size)
    except UnicodeDecodeError:
        raise Damaged(subject, "content that is not text", "check the folder") from None


def _describe(path: Path, files: list[Path]) -> str:
    if files:
        return f"a folder of {len(files)} files without keypoints per frame (such as {sorted(files)[0].name})"
    folders = sorted(item.name for item in path.iterdir() if item.is_dir())
    return f"a folder of {len(folders)} folders (such as {folders[0]})" if folders else "an empty folder"


def readable(path: str | os.PathLike[str]) -> Path:
    """The path, or InputError for what is none (a number, say)."""
    with damage(repr(path), "no path", "give the name of a file or a folder", TypeError, ValueError):
        return Path(os.fsdecode(path))
