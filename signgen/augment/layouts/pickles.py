"""Pickles of many clips, written one clip at a time: memory does not grow with their number.

The value of each clip is pickled on its own, in protocol 3, and the pieces are put between the few opcodes of a list
or a dictionary. Pieces may share memo numbers: a later piece overwrites those of an earlier one before it uses them.
Protocol 4 and later number their memo by its length, so they could not be joined like this.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any, Protocol


class Writable(Protocol):
    """What takes bytes: a file, or a gzip stream."""

    def write(self, data: bytes, /) -> object: ...


_PROTOCOL = 3
_HEAD = bytes([0x80, _PROTOCOL])  # PROTO 3
_EMPTY_LIST, _APPEND, _EMPTY_DICT, _SETITEM, _STOP = b"]", b"a", b"}", b"s", b"."


def dump_list(items: Iterable[Any], file: Writable) -> None:
    """A pickled list of the items."""
    file.write(_HEAD + _EMPTY_LIST)
    for item in items:
        file.write(_piece(item) + _APPEND)
    file.write(_STOP)


def dump_dict(items: Iterable[tuple[str, Any]], file: Writable) -> None:
    """A pickled dictionary of (key, value) pairs, in their order."""
    file.write(_HEAD + _EMPTY_DICT)
    for key, value in items:
        file.write(_piece(key) + _piece(value) + _SETITEM)
    file.write(_STOP)


def _piece(value: Any) -> bytes:
    """A pickle without its first and last opcode."""
    buffer = io.BytesIO()
    pickle.Pickler(buffer, _PROTOCOL).dump(value)
    whole = buffer.getvalue()
    assert whole.startswith(_HEAD), "protocol 3 begins with its number"
    assert whole.endswith(_STOP), "a pickle ends with STOP"
    return whole[len(_HEAD) : -len(_STOP)]
