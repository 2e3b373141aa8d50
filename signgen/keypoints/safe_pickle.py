"""A pickle reader that runs no code: numpy arrays, torch tensors and plain containers come out, or an error.

A pickle names the functions that rebuild its objects, and `pickle.load` calls whatever it names. Here every name is
looked up in a short table of stand-ins written in this file; any other name is refused. numpy's and torch's own
rebuilding code is not called with values from the file: dtypes, shapes, strides and offsets are checked first.

Arrays are views of the file itself, so that a pickle of many clips takes memory for those that are looked at. All else
is counted against a `Budget` as it is read. What is hashed (keys, members of sets) is a name or a number, because
tuples of tuples of the same tuple would be hashed for hours.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import Unsupported, Untrusted, damage
from signgen.keypoints.budget import OBJECT, Budget

_LONGEST_TEXT = 1 << 16  # bytes of one string element of an array
_FARTHEST = 1 << 48  # a number in a shape, stride or offset from which it cannot be meant
_LONGEST_NUMBER = 64  # bytes of a whole number
_LEAST_VIEWED = 1 << 10  # bytes from which an array stays in the file
_LONGEST_LINE = 1 << 16  # bytes of a number or a text in the oldest protocol, which writes lines


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


class _WithBudget(_Call):
    """A callable that needs the budget of the file."""

    __slots__ = ()


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
        text = code if isinstance(code, str) else ""
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


class _Unbuilt:
    """Takes an array's place in the stack and the memo until its content is there."""

    __slots__ = ("key",)

    def __init__(self) -> None:
        self.key: object = None

    def built(self, state: tuple) -> np.ndarray:
        _version, shape, dtype, fortran, raw = state
        return _array_values(raw, dtype.real, tuple(shape), "F" if fortran else "C")


def _array_values(raw: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    count = _count(shape)
    if dtype.hasobject:
        if not isinstance(raw, list) or len(raw) != count:
            raise Refused("it holds a broken array of objects")
        flat = np.empty(count, dtype=object)
        for place, item in enumerate(raw):
            flat[place] = item
    else:
        raw = raw.encode("latin1") if isinstance(raw, str) else memoryview(raw)
        if len(raw) != count * dtype.itemsize:
            raise Refused("it holds an array whose bytes do not fit its shape")
        flat = np.frombuffer(raw, dtype, count) if count else np.empty(0, dtype)
    return flat.reshape(shape, order=order)


def _count(shape: tuple[int, ...]) -> int:
    if len(shape) > 32 or not all(isinstance(side, int) and 0 <= side < _FARTHEST for side in shape):
        raise Refused("it holds an array of an impossible shape")
    return math.prod(shape)


def _reconstruct(kind: object, *_: object) -> _Unbuilt:
    if kind is not _NDARRAY:
        raise Refused("it builds an array of a kind of its own")
    return _Unbuilt()


def _frombuffer(raw: Any, dtype: _Dtype, shape: tuple, order: str = "C") -> np.ndarray:
    return _array_values(raw, dtype.real, tuple(shape), order if order in ("C", "F") else "C")


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


def _load_from_bytes(raw: Any, budget: Budget) -> np.ndarray:
    """The one flat storage of a tensor, in the layout that `torch.save` used before zip files."""
    stream = io.BytesIO(raw[:_LONGEST_TEXT])
    for _header in range(3):  # magic number, protocol version, system
        _Unpickler(stream, budget).load()
    reader = _Unpickler(stream, budget, lone_storage=True)
    storage = reader.load()
    keys = _Unpickler(stream, budget).load()
    if not isinstance(storage, np.ndarray) or len(keys) != 1 or len(reader.storages) != 1:
        raise Refused("it holds a torch object that is not one plain storage")
    (count,) = struct.unpack("<q", stream.read(8))
    data = memoryview(raw)[stream.tell() :]
    if count != len(storage) or len(data) != storage.nbytes:
        raise Refused("it holds a tensor whose bytes do not fit its length")
    return np.frombuffer(data, storage.dtype) if count else np.empty(0, storage.dtype)


def _rebuild_tensor(storage: Any, offset: int, shape: tuple, stride: tuple, *_: object) -> np.ndarray:
    """A tensor is a strided view of its storage; the view must lie inside of it and hold no more elements."""
    shape, stride = tuple(shape), tuple(stride)
    count = _count(shape)
    _count((offset, *stride))
    if not isinstance(storage, np.ndarray) or len(stride) != len(shape) or count > storage.size:
        raise Refused("it holds a tensor that is larger than its storage")
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True)) if count else offset
    if count and last >= storage.size:
        raise Refused("it holds a tensor that reaches outside of its storage")
    if not count:
        return np.empty(shape, storage.dtype)
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


# --- containers -----------------------------------------------------------------------------------------------
def _items(value: Any = ()) -> Any:
    if not isinstance(value, (list, tuple, set, frozenset, dict)):
        raise Refused("it makes a list of what is none")
    return value


def _plain_keys(keys: Iterable[Any]) -> Iterable[Any]:
    for key in keys:
        if not isinstance(key, (str, bytes, int, float, complex, type(None))):
            raise Refused("it holds keys that are no names")
    return keys


def _pairs(kind: type[dict]) -> _Call:
    def build(pairs: Any = ()) -> dict:
        made = kind()
        for key, value in pairs.items() if isinstance(pairs, dict) else _items(pairs):
            made[next(iter(_plain_keys([key])))] = value
        return made

    return _Call(build)


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
    ("collections", "OrderedDict"): _pairs(OrderedDict),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor"): _Call(_rebuild_tensor),
    ("torch.storage", "_load_from_bytes"): _WithBudget(_load_from_bytes),
    **{("torch", name): _Marker(name) for name in _STORAGES},
    ("torch.storage", "UntypedStorage"): _Marker("UntypedStorage"),
    **{(module, name): call for module in ("builtins", "__builtin__") for name, call in {
        "list": _Call(lambda *items: list(_items(*items))), "tuple": _Call(lambda *items: tuple(_items(*items))),
        "set": _Call(lambda *items: set(_plain_keys(_items(*items)))), "dict": _pairs(dict),
        "frozenset": _Call(lambda *items: frozenset(_plain_keys(_items(*items)))),
        "complex": _Call(complex), "bytearray": _Call(_bytearray),
    }.items()},
}  # fmt: skip


class _Counted:
    """The stream of a pickle. Every object takes a read at least, so reads are what is counted."""

    def __init__(self, stream: Any, budget: Budget) -> None:
        self._stream, self._budget = stream, budget
        self._mapped: memoryview | None = None
        with suppress(OSError, ValueError):  # a piece of a file in memory cannot be mapped
            self._mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))

    def read(self, size: int) -> bytes:
        self._budget.spend("bytes", OBJECT + size)
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        self._budget.spend("bytes", OBJECT + 2 * len(line))
        return line

    def array(self, size: int) -> bytes | memoryview:
        """Bytes of the file: many of them are a view, which takes no memory until it is looked at."""
        if self._mapped is None or size < _LEAST_VIEWED:
            return self.read(size)
        self._budget.spend("bytes", 2 * OBJECT)
        start = self._stream.tell()
        view = self._mapped[start : start + size]
        if len(view) != size:
            raise EOFError("it ends within an array")
        self._stream.seek(size, io.SEEK_CUR)
        return view


def _bytes_of(length: str) -> Callable[[Any], None]:
    """An opcode that is followed by a length and as many bytes."""
    size = struct.Struct(length)

    def load(self: Any) -> None:
        (count,) = size.unpack(self.read(size.size))
        self.append(self.source.array(count))

    return load


def _remembered(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """An opcode that puts the newest object into the memo: an array that is not built yet is told where."""

    def remember(self: Any) -> None:
        load(self)
        if isinstance(self.stack[-1], _Unbuilt):
            self.stack[-1].key = next(reversed(self.memo))

    return remember


# The pure-Python unpickler: the C one allocates gigabytes for a crafted memo index before any check can run.
_PurePython: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Unpickler(_PurePython):
    dispatch: dict[int, Any] = dict(_PurePython.dispatch)

    def __init__(
        self, stream: Any, budget: Budget, stored: Callable[[str, int], Any] | None = None, *,
        lone_storage: bool = False,
    ) -> None:  # fmt: skip
        self.source = _Counted(stream, budget)
        super().__init__(self.source, encoding="latin1")
        self.budget, self.stored, self.lone_storage = budget, stored, lone_storage
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Refused(f"it names {module}.{name}") from None

    def persistent_load(self, pid: Any) -> np.ndarray:
        """torch's storages: from the zip archive, or, for a lone storage, zeros that mark its type and length."""
        kind, marker, key, _device, count = pid[:5]
        known = isinstance(marker, _Marker) and marker.label in _STORAGES and isinstance(key, (str, int))
        if kind != "storage" or not known:
            raise Refused("it refers to data outside of the file")
        dtype = np.dtype(_STORAGES[marker.label])
        if str(key) not in self.storages:
            self.storages[str(key)] = self._storage(str(key), dtype, int(count))
        return self.storages[str(key)]

    def _storage(self, key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if self.stored is None:
            if not self.lone_storage:
                raise Refused("it refers to data outside of the file")
            return np.broadcast_to(np.zeros(1, dtype), (_count((count,)),))  # takes no memory
        data = self.stored(key, _count((count,)) * dtype.itemsize)
        if len(data) != count * dtype.itemsize:
            raise Refused("it holds a tensor whose bytes do not fit its length")
        return np.frombuffer(data, dtype) if count else np.empty(0, dtype)

    # Opcodes that build more than one small object, or hash what they are given.
    def load_frame(self) -> None:
        self.read(8)  # says only how far to read ahead

    def load_long4(self) -> None:
        (size,) = struct.unpack("<i", self.read(4))
        if not 0 <= size <= _LONGEST_NUMBER:
            raise Refused("it holds a number of very many digits")
        self.append(pickle.decode_long(self.read(size)))

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], arguments)

    def _instantiate(self, kind: Any, arguments: Any) -> None:
        self.append(self._called(kind, tuple(arguments)))

    def _called(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Call) or not isinstance(arguments, tuple):
            raise Refused("it calls what is no function")
        for one in arguments:
            if isinstance(one, (list, tuple, set, frozenset, dict)):
                self.budget.spend("bytes", OBJECT * len(one))
            elif isinstance(one, (str, bytes)):
                self.budget.spend("bytes", len(one))
        return function(*arguments, *((self.budget,) if isinstance(function, _WithBudget) else ()))

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], _Unbuilt):
            super().load_build()
            return
        state, unbuilt = self.stack.pop(), self.stack.pop()
        if isinstance(state[-1], (list, str)):
            self.budget.spend("bytes", len(state[-1]) * (8 if isinstance(state[-1], list) else 1))
        array = unbuilt.built(state)
        self.append(array)
        if self.memo.get(unbuilt.key) is unbuilt:
            self.memo[unbuilt.key] = array

    def load_setitem(self) -> None:
        _plain_keys([self.stack[-2]])
        super().load_setitem()

    def load_setitems(self) -> None:
        _plain_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        _plain_keys(self.stack[::2])
        super().load_dict()

    def load_empty_set(self) -> None:
        self.budget.spend("bytes", 2 * OBJECT)
        super().load_empty_set()

    def load_additems(self) -> None:
        _plain_keys(self.stack)
        super().load_additems()

    def load_frozenset(self) -> None:
        _plain_keys(self.stack)
        self.budget.spend("bytes", 2 * OBJECT)
        super().load_frozenset()

    dispatch |= {
        pickle.FRAME[0]: load_frame, pickle.LONG4[0]: load_long4, pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build, pickle.SETITEM[0]: load_setitem, pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict, pickle.EMPTY_SET[0]: load_empty_set, pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset, pickle.BINBYTES[0]: _bytes_of("<I"), pickle.BINBYTES8[0]: _bytes_of("<Q"),
        pickle.BYTEARRAY8[0]: _bytes_of("<Q"),
        **{code[0]: _remembered(_PurePython.dispatch[code[0]])
           for code in (pickle.MEMOIZE, pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT)},
    }  # fmt: skip


@contextmanager
def _guarded(subject: str) -> Iterator[None]:
    """What a crafted or damaged pickle can raise, which is almost anything, becomes one clear `InputError`."""
    with damage(subject, "a damaged pickle", "download or write the file again", Exception):
        try:
            yield
        except Refused as error:
            advice = "only numpy arrays, torch tensors and plain containers are read; convert it with its own program"
            raise Untrusted(subject, f"a pickle that is not plain data ({error})", advice) from None


def load_pickle(stream: BinaryIO, subject: str, budget: Budget, stored: Callable[[str, int], Any] | None = None) -> Any:
    """The object of a plain pickle; InputError if it is damaged, names anything but data, or would build too much.

    Args:
        stored: bytes of a torch storage by its key and its length, for a file that `torch.save` wrote.
    """
    with _guarded(subject):
        value = _Unpickler(stream, budget, stored).load()
    if isinstance(value, int) and value == _OLD_TORCH_MAGIC:
        raise Unsupported(subject, "a torch file of the layout before 2020", "load it and torch.save it again")
    return value
