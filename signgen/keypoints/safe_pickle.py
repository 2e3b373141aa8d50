"""A pickle reader that runs no code: numpy arrays, torch tensors and plain containers come out, or an error.

A pickle names the functions that rebuild its objects, and `pickle.load` calls whatever it names. Here every name is
looked up in a short table of stand-ins written in this file; any other name is refused. numpy's and torch's own
rebuilding code is not called with values from the file: dtypes, shapes, strides and offsets are checked first.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import TooLarge, Unsupported, Untrusted, damage

LARGEST_FILE = 2 << 30  # bytes on disk
LARGEST_CONTENT = 4 << 30  # bytes after decompression
_LONGEST_TEXT = 1 << 16  # bytes of one string element of an array


class Refused(pickle.UnpicklingError):
    """The pickle names something that is not plain data."""


# --- stand-ins for what a pickle may name ---------------------------------------------------------------------
class _Call:
    """A callable without state that a pickle could change: no attributes, no `__setstate__`."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused("it changes the program")

    def __setstate__(self, state: object) -> None:
        raise Refused("it changes the program")


class _Marker(_Call):
    """A name that may be mentioned but not called, such as `numpy.ndarray` or `torch.FloatStorage`."""

    __slots__ = ("label",)
    label: str

    def __init__(self, label: str) -> None:
        super().__init__(self._uncallable)
        object.__setattr__(self, "label", label)

    def _uncallable(self, *args: object) -> None:
        raise Refused(f"it calls {self.label}")


class _Dtype:
    """What `numpy.dtype` pickles to, limited to numbers, strings and objects."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: object, *_: object) -> None:
        text = str(code)
        if text.lstrip("<>|=")[:1] not in tuple("?biufcSUO") or len(text) > 12:
            raise Refused(f"it holds an array of type {text[:20]!r}")
        self._code, self._order = text, "="

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise Refused("it holds an array of records")
        self._order = state[1]

    @property
    def real(self) -> np.dtype:
        dtype = np.dtype(self._code)
        if dtype.itemsize > _LONGEST_TEXT:
            raise Refused("it holds an array of very long strings")
        return dtype.newbyteorder(">" if self._order == ">" else "<") if self._order in "<>" else dtype


class _Array(np.ndarray):
    """An array that is filled from a pickle's state by checked code instead of numpy's own."""

    def __setstate__(self, state: tuple) -> None:
        _version, shape, dtype, fortran, raw = state
        values = _array_values(raw, dtype.real, tuple(shape), "F" if fortran else "C")
        content = values.ravel().tolist() if values.dtype.hasobject else values.tobytes()
        checked: Any = (1, values.shape, values.dtype, False, content)
        super().__setstate__(checked)


def _array_values(raw: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    count = _count(shape)
    if dtype.hasobject:
        if not isinstance(raw, list) or len(raw) != count:
            raise Refused("it holds a broken array of objects")
        flat = np.empty(count, dtype=object)
        flat[:] = raw
    else:
        raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
        if len(raw) != count * dtype.itemsize:
            raise Refused("it holds an array whose bytes do not fit its shape")
        flat = np.frombuffer(raw, dtype, count) if count else np.empty(0, dtype)
    return flat.reshape(shape, order=order)


def _count(shape: tuple[int, ...]) -> int:
    if len(shape) > 32 or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise Refused("it holds an array of an impossible shape")
    return math.prod(shape)


def _reconstruct(kind: object, *_: object) -> np.ndarray:
    if kind is not _NDARRAY:
        raise Refused("it builds an array of a kind of its own")
    return np.empty(0, np.uint8).view(_Array)


def _frombuffer(raw: Any, dtype: _Dtype, shape: tuple, order: str = "C") -> np.ndarray:
    return _array_values(raw, dtype.real, tuple(shape), order if order in ("C", "F") else "C").copy()


def _scalar(dtype: _Dtype, raw: Any = b"") -> Any:
    return _array_values([raw] if dtype.real.hasobject else raw, dtype.real, (1,), "C")[0]


def _encode(text: str, encoding: str = "latin1", *_: object) -> bytes:
    """How old protocols write bytes."""
    if encoding not in ("latin1", "latin-1", "ascii", "utf-8", "utf8"):
        raise Refused(f"it asks for the encoding {encoding!r}")
    return text.encode(encoding)


def _bytearray(raw: Any = b"", *_: object) -> bytearray:
    return bytearray(_encode(raw) if isinstance(raw, str) else bytes(raw) if isinstance(raw, bytes) else b"")


# --- torch ----------------------------------------------------------------------------------------------------
_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1", "BoolStorage": "|b1", "UntypedStorage": "|u1",
}  # fmt: skip


_OLD_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle in such a file


def _load_from_bytes(raw: bytes) -> np.ndarray:
    """The one flat storage of a tensor, in the layout that `torch.save` used before zip files."""
    stream = io.BytesIO(raw)
    for _header in range(3):  # magic number, protocol version, system
        _Unpickler(stream).load()
    reader = _Unpickler(stream, lone_storage=True)
    storage = reader.load()
    keys = _Unpickler(stream).load()
    if not isinstance(storage, np.ndarray) or len(keys) != 1 or len(reader.storages) != 1:
        raise Refused("it holds a torch object that is not one plain storage")
    (count,) = struct.unpack("<q", stream.read(8))
    data = stream.read()
    if count != len(storage) or len(data) != storage.nbytes:
        raise Refused("it holds a tensor whose bytes do not fit its length")
    return np.frombuffer(data, storage.dtype)


def _rebuild_tensor(storage: Any, offset: int, shape: tuple, stride: tuple, *_: object) -> np.ndarray:
    """A tensor is a strided view of its storage; the view must lie inside of it and not repeat elements."""
    shape, stride = tuple(shape), tuple(stride)
    count = _count(shape)
    if not isinstance(storage, np.ndarray) or len(stride) != len(shape) or count > storage.size:
        raise Refused("it holds a tensor that is larger than its storage")
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True)) if count else offset
    if offset < 0 or min(stride, default=0) < 0 or (count and last >= storage.size):
        raise Refused("it holds a tensor that reaches outside of its storage")
    if not count:
        return np.empty(shape, storage.dtype)
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps).copy()


_NDARRAY = _Marker("numpy.ndarray")
_NUMPY: dict[str, Any] = {
    "_reconstruct": _Call(_reconstruct), "scalar": _Call(_scalar), "_frombuffer": _Call(_frombuffer),
}  # fmt: skip
_ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.{module}", name): call for core in ("core", "_core") for module in ("multiarray", "numeric")
       for name, call in _NUMPY.items()},
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Call(_Dtype),
    ("_codecs", "encode"): _Call(_encode),
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor"): _Call(_rebuild_tensor),
    ("torch.storage", "_load_from_bytes"): _Call(_load_from_bytes),
    **{("torch", name): _Marker(name) for name in _STORAGES},
    ("torch.storage", "UntypedStorage"): _Marker("UntypedStorage"),
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__")
       for kind in (list, dict, set, frozenset, tuple, complex)},
    **{(module, "bytearray"): _Call(_bytearray) for module in ("builtins", "__builtin__")},
}  # fmt: skip


# The pure-Python unpickler: the C one allocates gigabytes for a crafted memo index before any check can run.
class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    def __init__(self, stream: BinaryIO, archive: zipfile.ZipFile | None = None, *, lone_storage: bool = False) -> None:
        super().__init__(stream, encoding="latin1")
        self.archive = archive
        self.lone_storage = lone_storage
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> np.ndarray:
        """torch's storages: from the zip archive, or, for a lone storage, zeros that mark its type and length."""
        kind, marker, key, _device, count = pid[:5]
        if kind != "storage" or not isinstance(marker, _Marker) or marker.label not in _STORAGES:
            raise Refused("it refers to data outside of the file")
        dtype = np.dtype(_STORAGES[marker.label])
        if str(key) not in self.storages:
            self.storages[str(key)] = self._storage(str(key), dtype, int(count))
        return self.storages[str(key)]

    def _storage(self, key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if self.archive is None:
            if not self.lone_storage:
                raise Refused("it refers to data outside of the file")
            return np.broadcast_to(np.zeros(1, dtype), (_count((count,)),))  # takes no memory
        member = next((name for name in self.archive.namelist() if name.endswith(f"/data/{key}")), "")
        data = self.archive.read(member) if member else b""
        if len(data) != count * dtype.itemsize:
            raise Refused("it holds a tensor whose bytes do not fit its length")
        return np.frombuffer(data, dtype)


class Limited(io.RawIOBase):
    """A stream that ends with an error after `limit` bytes: a small file may decompress to a huge one."""

    def __init__(self, stream: BinaryIO, limit: int, subject: str) -> None:
        self._stream, self._left, self._subject = stream, limit, subject

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge(self._subject, "decompresses to more than 4 GiB", "split it into files of fewer clips")
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _guarded(subject: str) -> Iterator[None]:
    """What a crafted or damaged pickle can raise, which is almost anything, becomes one clear `InputError`."""
    with damage(subject, "a damaged pickle", "download or write the file again", Exception):
        try:
            yield
        except Refused as error:
            advice = "only numpy arrays, torch tensors and plain containers are read; convert it with its own program"
            raise Untrusted(subject, f"a pickle that is not plain data ({error})", advice) from None


def load_pickle(stream: BinaryIO, subject: str) -> Any:
    """The object of a plain pickle; InputError if it is damaged or names anything but data."""
    limited = io.BufferedReader(Limited(stream, LARGEST_CONTENT, subject), 1 << 20)
    with _guarded(subject):
        value = _Unpickler(limited).load()
    if isinstance(value, int) and value == _OLD_TORCH_MAGIC:
        raise Unsupported(subject, "a torch file of the layout before 2020", "load it and torch.save it again")
    return value


def load_torch_zip(archive: zipfile.ZipFile, subject: str) -> Any:
    """The object of a file that `torch.save` wrote (a zip with data.pkl inside)."""
    with _guarded(subject):
        member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return _Unpickler(io.BytesIO(archive.read(member)), archive).load()
