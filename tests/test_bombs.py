"""Small files that would become large ones, or take for ever: one line each, in little memory and time."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import Untrusted
from signgen.keypoints import read_keypoints, write_keypoints
from tests.fuzz.runner import limit_this_process, said_of

START = b"\x80\x04"


def same_again(depth: int, first: bytes = b"]", last: bytes = b"e", wide: int = 10) -> bytes:
    """Opcodes of a list of ten times the same list of ten times the same list ..., ``depth`` deep."""
    made = _container(first, last, b"K\x01" * wide) + b"q\x00"
    for level in range(1, depth):
        made += b"0" + _container(first, last, (b"h" + bytes([level - 1])) * wide) + b"q" + bytes([level])
    return made


def _container(first: bytes, last: bytes, content: bytes) -> bytes:
    return b"(" + content + b"t" if last == b"t" else first + b"(" + content + last


def entry(key: str, value: bytes) -> bytes:
    return b"}X" + struct.pack("<I", len(key)) + key.encode() + value + b"s"


def shared(**arrays: Any) -> bytes:
    """A pickle of frames that are all the same arrays."""
    return pickle.dumps({key: [value] * 30_000 for key, value in arrays.items()}, 4)


CROWD = np.full((100, 133, 2), 0.5, np.float32)
ONE = {"keypoints": points(1)[0].tolist(), "keypoint_scores": [1.0] * 133}
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "points nine deep": (lambda: START + entry("a", entry("keypoints", same_again(9))) + b".", "too-large"),
    "points, an older name": (lambda: START + entry("a", entry("keypoint", same_again(9))) + b".", "too-large"),
    "a name nine deep": (lambda: START + b"]" + entry("name", same_again(9)) + b"a.", "unsupported"),
    "a key nine deep": (lambda: START + same_again(9, b"", b"t") + b"}h\x08K\x01s.", "untrusted"),
    "a member nine deep": (lambda: START + same_again(9, b"", b"t") + b"\x8f(h\x08\x90.", "untrusted"),
    "lists of lists by call": (
        lambda: START + b"](" + b"K\x01" * 99 + b"eq\x00" + b"(" + b"cbuiltins\nlist\nh\x00\x85R" * 90_000 + b"l.",
        "too-large",
    ),
    "empty lists, packed": (lambda: gzip.compress(START + b"(" + b"]" * 20_000_000 + b"l.", 1), "too-large"),
    "a text of a gigabyte": (lambda: START + b"\x8d" + struct.pack("<Q", 1 << 30) + b"a.", "too-large"),
    "an array of an exabyte": (lambda: START + b"\x8e" + struct.pack("<Q", 1 << 60) + b"a.", "damaged"),
    "the same crowd in each frame": (lambda: shared(keypoints=CROWD, scores=CROWD[..., 0]), "too-large"),
    "a thousand people": (lambda: json.dumps([{"instances": [ONE] * 1000}]).encode(), "too-large"),
    "a tower of JSON": (lambda: b'{"a":' * 100_000, "damaged"),
    "nobody for days": (lambda: b"[" + b'{"instances":[]},' * 150_000 + b'{"instances":[]}]', "empty"),
    "a long word": (lambda: b'["' + b"a" * 40_000_000 + b'"]', "too-large"),
    "65,535 people of no bytes": (lambda: _pose(1, 65535), "too-large"),
    "four billion frames": (lambda: _pose(4_000_000_000, 1), "damaged"),
}


def _pose(frames: int, people: int) -> bytes:
    """A `.pose` header that says so, and hardly more."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_keypoints(signer(1), Path(folder) / "a.pose")
        data = (Path(folder) / "a.pose").read_bytes()
    body = len(data) - 133 * 3 * 4
    return data[: body - 6] + struct.pack("<IH", frames, people) + bytes(2000)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_line(tmp_path, name):
    make, expected = BOMBS[name]
    (tmp_path / "bomb").write_bytes(make())
    assert _said(tmp_path / "bomb") == expected


def _said(path: Path) -> str:
    """The code of the error, from a process that may take a gigabyte and twenty seconds."""
    context = multiprocessing.get_context("spawn")  # a fork of threads at work may wait for ever
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_look, args=(path, theirs))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return "the process died"
    finally:
        child.join()


def _look(path: Path, channel: Any) -> None:
    limit_this_process()
    channel.send(said_of(path))


def test_a_pickle_that_names_something_endless_gets_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "clip.pkl"
    path.write_bytes(b"\x80\x02cmodule_" + b"x" * 50_000 + b"\nname\n.")
    with pytest.raises(Untrusted) as error:
        read_keypoints(path)
    assert len(str(error.value)) < 1000
