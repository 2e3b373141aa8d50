"""Bad files: one clear line each, no code run, nothing but InputError."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keypoint_maker import points, signer

from signgen.errors import BadValue, InputError, NotFound, NotWritable, RunError, Unsupported
from signgen.keypoints import content, read_keypoints, write_keypoints

XYC = np.concatenate([points(3), np.full((3, 133, 1), 0.9)], axis=-1)


def instances(xy: Any, scores: Any, frames: int = 3) -> bytes:
    one = {"keypoints": xy, "keypoint_scores": scores}
    return json.dumps([{"frame_id": t, "instances": [one]} for t in range(frames)]).encode()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def fails(path: Path, content: bytes | None = None, subject: str | None = None, **options: Any) -> str:
    """The code of the error, which is one line about the file, or about ``subject``."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_keypoints(path, **options)
    line = str(caught.value)
    assert line == f"{caught.value.subject}: {caught.value.got}; {caught.value.advice}"
    assert "\n" not in line
    assert len(line) < 500
    assert caught.value.subject == (subject or str(path))
    return caught.value.code


ONE = points(1)[0]
CASES: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", "empty"),
    "blank file": (b" \n", "empty"),
    "empty list": (b"[]", "empty"),
    "other JSON": (b'{"a": 1}', "unsupported"),
    "list of numbers": (b"[1, 2]", "unsupported"),
    "cut JSON": (instances(ONE.tolist(), [1.0] * 133)[:-9], "damaged"),
    "deep JSON": (b"[" * 200_000, "damaged"),
    "17 joints": (instances(ONE[:17].tolist(), [1.0] * 17), "unsupported"),
    "ragged": (instances([[1, 2], [3]], [1.0] * 2), "damaged"),
    "words": (instances([["a", "b"]] * 133, [1.0] * 133), "damaged"),
    "score count": (instances(ONE.tolist(), [1.0] * 5), "damaged"),
    "zero scores": (instances(ONE.tolist(), [0.0] * 133), "empty"),
    "only NaN": (instances([[float("nan")] * 2] * 133, [1.0] * 133), "empty"),
    "only huge": (instances([[1e30, -1e30]] * 133, [1.0] * 133), "empty"),
    "beyond float": (instances([[10**400, 1]] * 133, [1.0] * 133), "damaged"),
    "nobody": (json.dumps([{"frame_id": 0, "instances": []}]).encode(), "empty"),
    "instances of nothing": (b'[{"frame_id": 0, "instances": null}]', "damaged"),
    "instance without points": (b'[{"instances": [{"bbox": 1}]}]', "damaged"),
    "OpenPose of 10 points": (b'{"people": [{"pose_keypoints_2d": [1,2,3]}]}', "damaged"),
    "COCO body": (b'{"images": [{"id": 1}], "annotations": [{"image_id": 1}]}', "unsupported"),
    "array of 17": (npy(np.ones((3, 17, 3))), "unsupported"),
    "array of 5 columns": (npy(np.ones((3, 133, 5))), "unsupported"),
    "array of words": (npy(np.full((3, 133, 3), "a")), "unsupported"),
    "no frames": (npy(np.ones((0, 133, 3))), "empty"),
    "mixed sizes": (npy(np.concatenate([np.arange(9).reshape(3, 1, 3) + 200, XYC], axis=1)), "damaged"),
    "size row of points": (npy(np.concatenate([np.full((3, 1, 3), -1.0), XYC], axis=1)), "damaged"),
    "npz of others": (npz(a=np.ones(3)), "unsupported"),
    "npz with rate 0": (npz(keypoints=XYC, width=210, height=260, fps=-1), "bad-value"),
    "npz with half a pixel": (npz(keypoints=XYC, width=210.5, height=260, fps=25), "damaged"),
    "npz with an odd size": (npz(keypoints=XYC, width=10**6, height=260), "bad-value"),
    "cut npz": (npz(keypoints=XYC)[:-40], "damaged"),
    "cut npy": (npy(XYC)[:-1], "damaged"),
    "cut gzip": (gzip.compress(pickle.dumps({"a": XYC}))[:-30], "damaged"),
    "cut pickle": (pickle.dumps({"a": XYC})[:-30], "damaged"),
    "pickle of words": (pickle.dumps({"a": "b"}), "unsupported"),
    "pickle of 21 joints": (pickle.dumps({"a": {"keypoints": np.ones((3, 21, 3))}}), "unsupported"),
    "text": (b"hello", "unsupported"),
    "video": (b"\x00\x00\x00\x20ftypisom" + bytes(100), "unsupported"),
    "other video": (b"\x1aE\xdf\xa3" + bytes(100), "unsupported"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "unsupported"),
    "numbers": (b"1 2 3 4\n", "unsupported"),
    "18 rows": (b"1 2\n" * 18, "damaged"),
    "zip of nothing": (b"PK\x03\x04" + bytes(60), "damaged"),
    "pose header only": (struct.pack("<fHHHH", 0.1, 210, 260, 0, 4), "damaged"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_file(tmp_path, case):
    content, code = CASES[case]
    assert fails(tmp_path / "clip.dat", content) == code
    assert [path.name for path in tmp_path.iterdir()] == ["clip.dat"]


def test_missing_and_unreadable(tmp_path):
    assert fails(tmp_path / "none.json") == "not-found"
    assert fails(tmp_path) == "empty"
    (tmp_path / "sub").mkdir()
    assert fails(tmp_path) == "unsupported"
    (tmp_path / "a.png").write_bytes(b"x")
    assert fails(tmp_path) == "unsupported"
    (tmp_path / "frame.json").write_bytes(b'{"a": 1}')
    assert fails(tmp_path) == "unsupported"
    (tmp_path / "frame.json").write_bytes(instances(ONE.tolist(), [1.0] * 133))
    assert fails(tmp_path) == "unsupported", "a folder of clips, not of frames"
    (tmp_path / "frame2.json").write_bytes(b"{")
    assert fails(tmp_path, subject=str(tmp_path / "frame2.json")) == "damaged"


def test_what_was_given_instead_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(100))
    with pytest.raises(Unsupported, match="a video, not keypoints; find them first: signgen extract"):
        read_keypoints(tmp_path / "a")


def test_a_file_without_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"[]")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert fails(path) == "not-found"


def test_a_folder_of_two_kinds(tmp_path):
    (tmp_path / "a_000_keypoints.json").write_bytes(b'{"people": []}')
    (tmp_path / "b.json").write_bytes(b"[1]")
    assert fails(tmp_path) == "missing"
    (tmp_path / "b.json").rename(tmp_path / "a_001_keypoints.json")
    assert fails(tmp_path) == "damaged"


def test_options(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, XYC)
    assert fails(path, format="bvh", subject="format") == "bad-value"
    assert fails(path, format="openpose") == "mismatch"
    assert fails(path, frame_size=(0, 10), subject="frame size") == "bad-value"
    assert fails(path, fps=0, subject="rate") == "bad-value"
    assert fails(path, clip="b") == "not-found"
    path.write_bytes(pickle.dumps({"x/a": XYC, "y/a": XYC, "y/b": XYC}))
    assert fails(path) == "missing"
    assert fails(path, clip="a") == "bad-value", "two are called so"
    assert fails(path, clip="c") == "not-found"


# --- cleaned, with a word about it ----------------------------------------------------------------------------
def test_nan_infinity_and_huge_numbers_are_cleaned(tmp_path):
    xyc = XYC.copy()
    xyc[0, 0, 0], xyc[0, 1, 1], xyc[0, 2, 2], xyc[1, 0, 0] = np.nan, np.inf, np.nan, 1e20
    np.save(tmp_path / "a.npy", xyc)
    read = read_keypoints(tmp_path / "a.npy")
    assert read.keypoints.size == (210, 260)
    text = " ".join(read.warnings)
    assert "3 points were NaN or infinite" in text
    assert "1 points lay more than 100000 pixels away" in text


def test_simcc_scores_are_clipped_with_a_warning(tmp_path):
    (tmp_path / "a.json").write_bytes(instances(ONE.tolist(), [4.5] * 133))
    read = read_keypoints(tmp_path / "a.json")
    assert read.keypoints.confidence.max() == 1
    assert "399 of 399 scores exceed 1 (up to 4.5)" in " ".join(read.warnings)


# --- pickles that are not data --------------------------------------------------------------------------------
class Call:
    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = (function, args)

    def __reduce__(self) -> tuple:
        return self.reduced


HOSTILE = {
    "os.system": Call(os.system, "touch PWNED"),
    "eval": Call(eval, "open('PWNED', 'w')"),
    "getattr": Call(getattr, OrderedDict, "fromkeys"),
    "a class of its own": Call(Call, 1),
    "a partial": Call(__import__("functools").partial, print),
    "a numpy function": Call(np.fromfile, "PWNED"),
    "an open file": Call(io.open, "PWNED", "w"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    hostile = pickle.dumps({"clip": {"keypoints": XYC, "x": HOSTILE[name]}}, protocol)
    assert fails(tmp_path / "a.pkl", hostile) == "untrusted"
    assert not (tmp_path / "PWNED").exists()


def test_hostile_pickles_in_npy_npz_and_torch_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = np.array([HOSTILE["os.system"]], dtype=object)
    assert fails(tmp_path / "a.npy", npy(hostile)) == "untrusted"
    assert fails(tmp_path / "a.npz", npz(keypoints=hostile)) == "untrusted"
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(HOSTILE["os.system"]))
    assert fails(tmp_path / "a.pt") == "untrusted"
    assert not (tmp_path / "PWNED").exists()


def tensor(storage: str, shape: tuple, stride: tuple, offset: int = 0) -> bytes:
    """A pickled tensor over 12 float32 values, with a view of the caller's choosing."""

    class Storage:
        def __reduce__(self) -> tuple:
            return (_named("torch.storage", "_load_from_bytes"), (_legacy(storage, 12),))

    class Tensor:
        def __reduce__(self) -> tuple:
            view = (Storage(), offset, shape, stride, False, OrderedDict())
            return (_named("torch._utils", "_rebuild_tensor_v2"), view)

    return _dumps({"clip": {"keypoint": Tensor()}})


class _named:
    def __init__(self, module: str, name: str) -> None:
        self.place = module, name

    def __call__(self) -> None: ...


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes a name for a `_named`, without importing it."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _named):
            self.write("c{}\n{}\n".format(*obj.place).encode())
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj: Any) -> Any:
        return obj.id if isinstance(obj, _Stored) else None


class _Stored:
    def __init__(self, id: tuple) -> None:
        self.id = id


def _dumps(value: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(value)
    return stream.getvalue()


def _legacy(kind: str, count: int) -> bytes:
    stored = _Stored(("storage", _named("torch", kind), "0", "cpu", count, None))
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, stored, ["0"]]
    return b"".join(map(_dumps, parts)) + struct.pack("<q", count) + bytes(4 * count)


def test_the_hand_made_tensor_is_read(tmp_path):
    (tmp_path / "a").write_bytes(tensor("FloatStorage", (2, 2, 3), (6, 3, 1)))
    assert content.load(tmp_path / "a").value["clip"]["keypoint"].shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [((3, 133, 3), (399, 3, 1), 0), ((2, 3), (6, 6), 0), ((2, 3), (3, 1), 7), ((2, 3), (-3, 1), 6),
     ((2, 3), (3, 1), -1), ((10**9, 10**9), (0, 0), 0), ((2,), (3, 1), 0), ((-1, 3), (3, 1), 0)],
)  # fmt: skip
def test_a_tensor_may_not_reach_outside_of_its_storage(tmp_path, shape, stride, offset):
    assert fails(tmp_path / "a", tensor("FloatStorage", shape, stride, offset)) == "untrusted"


@pytest.mark.parametrize("kind", ["load", "BFloatStorage"])
def test_a_tensor_may_not_name_other_storages(tmp_path, kind):
    assert fails(tmp_path / "a", tensor(kind, (2, 3), (3, 1))) == "untrusted"


def test_crafted_opcodes(tmp_path):
    bytearray_bomb = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R."
    array = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    array_bomb = array + b"(\x8a\x05\x00\x00\x00\x00\x10tU\x01btR."
    changed = b"\x80\x02cnumpy\ndtype\n}U\x0c__defaults__)s\x86b."
    memo_bomb = b"\x80\x02Nr\xff\xff\xff\xff."
    for raw in (bytearray_bomb, array_bomb, changed, memo_bomb, b"\x80\x04.", b"\x80\x04c", b"\x80\x05\x97."):
        assert fails(tmp_path / "a", raw) in ("untrusted", "damaged", "unsupported")


def test_decompression_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "LARGEST_CONTENT", 1 << 16)
    assert fails(tmp_path / "a", gzip.compress(pickle.dumps({"a": bytes(1 << 20)}))) == "too-large"
    stream = io.BytesIO()
    np.savez_compressed(stream, keypoints=np.zeros((100, 133, 3)))
    assert fails(tmp_path / "b", stream.getvalue()) == "too-large"
    monkeypatch.setattr(content, "LARGEST_FILE", 100)
    assert fails(tmp_path / "c", bytes(200)) == "too-large"


# --- damaged copies of good files -----------------------------------------------------------------------------
def good_files(folder: Path) -> list[Path]:
    for suffix in (".json", ".pose", ".npz"):
        write_keypoints(signer(3), folder / f"a{suffix}")
    (folder / "a.pkl").write_bytes(pickle.dumps({"x": {"keypoints": XYC.astype(np.float32)}}))
    unisign = {"keypoints": list(XYC[:, None, :, :2] / 300), "scores": list(XYC[:, None, :, 2])}
    (folder / "b.pkl").write_bytes(pickle.dumps(unisign))
    np.savetxt(folder / "a.txt", XYC[0, :, :2])
    return sorted(folder.iterdir())


def read_or_input_error(path: Path) -> None:
    try:
        keypoints = read_keypoints(path).keypoints
    except InputError:
        return
    assert np.isfinite(keypoints.xy).all()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_damaged_files_give_input_errors_only(tmp_path_factory, seed):
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("files")
    data = bytearray(chance.choice(good_files(folder)).read_bytes())
    where = chance.choice([len(data), min(len(data), 400)])
    for _ in range(chance.choice([1, 4, 30])):
        data[chance.randrange(where)] = chance.randrange(256)
    if chance.random() < 0.4:
        del data[chance.randrange(len(data)) :]
    (folder / "damaged").write_bytes(data)
    read_or_input_error(folder / "damaged")


def test_cut_copies_of_real_files_give_input_errors_only(shared, tmp_path):
    chance = random.Random(1)
    files = [path for path in (shared / "data").rglob("*") if path.is_file() and path.suffix not in (".png", ".mp4")]
    for path in files:
        data = path.read_bytes()
        (tmp_path / "cut").write_bytes(data[: chance.randrange(len(data))])
        read_or_input_error(tmp_path / "cut")


# --- writing --------------------------------------------------------------------------------------------------
def test_writing_refuses_before_it_touches_anything(tmp_path):
    with pytest.raises(BadValue):
        write_keypoints(signer(1), tmp_path / "a.bvh")
    with pytest.raises(NotFound):
        write_keypoints(signer(1), tmp_path / "none/a.npz")
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(NotWritable):
        write_keypoints(signer(1), tmp_path / "dir.npz")
    with pytest.raises(BadValue):
        write_keypoints(signer(1), tmp_path / "a.npz", "bvh")
    assert [path.name for path in tmp_path.iterdir()] == ["dir.npz"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RunError):
        write_keypoints(signer(1), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
