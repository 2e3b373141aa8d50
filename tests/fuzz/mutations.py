"""How files go wrong: by chance, by a cut, and by somebody who knows the format."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

_WORDS = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f")
_TEXTS = (b"1e999", b"-1e999", b"NaN", b"-0", b"9" * 5000, b"[" * 2000, b"null", b'"x"', b"{}", b"1_0", b"\xc2\xb2")
_VALUES: tuple[Any, ...] = (
    None, True, "", "1", [], {}, [[]], [[[]]] * 9, -1, 1e308, float("nan"), float("inf"), 10**30, [1] * 1000, {"a": []},
    [[0] * 3] * 133, [[0.5, "x"]] * 133, "\u00b2", {"__ndarray__": [[1, 2]], "shape": [9**9]},
)  # fmt: skip
# Opcodes that fetch, repeat, nest, call or hash: put into a pickle at any place.
_OPCODES = (
    b"h\x00", b"h\x01", b"h\x02", b"2", b"(", b"t", b"l", b"]", b"}", b"\x8f", b"\x90", b"\x91", b"\x94", b"R", b"b",
    b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"0", b"1", b"o", b"\x81", b"\x93", b"i", b"N", b"K\x05",
    b"\x8b\xff\xff\xff\x7f", b"\x8e" + struct.pack("<Q", 1 << 60), b"B\xff\xff\xff\x7f", b"\x95" + b"\xff" * 8, b".",
    b"cbuiltins\nlist\n", b"cbuiltins\nbytearray\n", b"cnumpy\ndtype\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"Q",
    b"ccollections\nOrderedDict\n", b"cos\nsystem\n",
)  # fmt: skip


def spoiled(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to four mutations, outside or inside of a gzip or zip."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        inside = _INSIDE.get(data[:2])
        change = inside if inside and chance.random() < 0.6 else chance.choice(_ANY)
        if data[:1] in (b"{", b"[") and chance.random() < 0.6:
            change = _json
        if data[:1] == b"\x80" and chance.random() < 0.5:
            change = _opcodes
        data = change(data, others, chance)
    return data


def _place(data: bytes, chance: random.Random) -> int:
    """Anywhere, or near the start or the end, where the headers are."""
    where = chance.choice((len(data), min(len(data), 200), min(len(data), 2000)))
    place = chance.randrange(where + 1)
    return max(len(data) - 1 - place, 0) if chance.random() < 0.2 else place


def _bytes(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 3, 20))):
        if changed:
            place = min(_place(data, chance), len(changed) - 1)
            changed[place] = chance.choice((0, 255, chance.randrange(256), changed[place] ^ (1 << chance.randrange(8))))
    return bytes(changed)


def _word(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    place = _place(data, chance)
    word = chance.choice((*_WORDS, struct.pack("<H", chance.randrange(1 << 16)), chance.randbytes(8)))
    return data[:place] + word + data[place + len(word) :]


def _cut(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    return data[: _place(data, chance)]


def _repeat(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    a, b = sorted((_place(data, chance), _place(data, chance)))
    return data[:a] + data[a:b] * chance.choice((0, 2, 3, 20)) + data[b:]


def _splice(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others)
    return data[: _place(data, chance)] + other[_place(other, chance) :]


def _number(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One number of a text becomes something else."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", data[: 1 << 16]))
    if not numbers:
        return _word(data, others, chance)
    start, stop = chance.choice(numbers).span()
    return data[:start] + chance.choice(_TEXTS) + data[stop:]


def _json(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A value somewhere in the tree becomes another, goes, or stands there many times."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _number(data, others, chance)
    node: Any = tree
    for _ in range(chance.randrange(1, 7)):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = chance.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and chance.random() < 0.8:
            node = node[key]
            continue
        if isinstance(node, list) and chance.random() < 0.3:
            node.extend([node[key]] * chance.choice((1, 99, 200)))
        elif isinstance(node, dict) and chance.random() < 0.3:
            del node[key]
        else:
            node[key] = chance.choice(_VALUES)
        break
    return json.dumps(tree).encode()


def _opcodes(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 2, 5))):
        place = _place(data, chance)
        data = data[:place] + chance.choice(_OPCODES) * chance.choice((1, 1, 10)) + data[place:]
    return data


def _in_gzip(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    try:
        inside = gzip.decompress(data)
    except (OSError, EOFError, ValueError, zipfile.zlib.error):
        return _bytes(data, others, chance)
    return gzip.compress(spoiled(inside, others, chance), 1, mtime=0)


def _in_zip(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A member of an archive is spoiled; the archive itself is whole."""
    packed = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(packed, "w") as changed:
            names = archive.namelist()
            chosen = chance.choice(names)
            for name in names:
                content = archive.read(name)
                changed.writestr(name, spoiled(content, others, chance) if name == chosen else content)
    except Exception:  # an archive that was spoiled before
        return _bytes(data, others, chance)
    return packed.getvalue()


_Change = Callable[[bytes, list[bytes], random.Random], bytes]
_ANY: tuple[_Change, ...] = (_bytes, _word, _cut, _repeat, _splice, _number)
_INSIDE: dict[bytes, _Change] = {b"\x1f\x8b": _in_gzip, b"PK": _in_zip}
