"""Archives of frames and JSON lines: read as the folder or the list; what is dangerous in them is one line."""

from __future__ import annotations

import gzip
import io
import json
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import Damaged, Empty, InputError, TooLarge, Unsupported, Untrusted
from signgen.keypoints import read_keypoints, write_keypoints
from tests.fuzz.runner import said_of
from tests.test_bombs import _said

CLIP = signer(5)
Files = dict[str, bytes]


def packed_zip(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def packed_tar(files: Files) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    return stream.getvalue()


PACKERS: dict[str, Callable[[Files], bytes]] = {
    "zip": packed_zip,
    "stored.zip": lambda files: packed_zip(files, zipfile.ZIP_STORED),
    "tar": packed_tar,
    "tar.gz": lambda files: gzip.compress(packed_tar(files)),
}


def frames(folder: Path, format: str) -> Files:
    write_keypoints(CLIP, folder / "made", format)
    return {item.name: item.read_bytes() for item in (folder / "made").iterdir()}


def arrays() -> Files:
    files = {}
    for t, frame in enumerate(np.concatenate([points(5), np.ones((5, 133, 1))], -1)):
        stream = io.BytesIO()
        made = np.zeros((543, 3))
        made[:] = frame[0] / [210, 260, 1]
        np.save(stream, made)
        files[f"{t}.npy"] = stream.getvalue()
    return files


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("folder", ["", "clips/house/"])
@pytest.mark.parametrize("format", ["openpose", "fpdm"])
def test_an_archive_is_read_like_its_folder(tmp_path: Path, kind: str, folder: str, format: str) -> None:
    files = {f"{folder}{name}": content for name, content in frames(tmp_path, format).items()}
    del files[sorted(files)[3]]
    (tmp_path / f"house.{kind}").write_bytes(PACKERS[kind]({**files, "__MACOSX/._a.json": b"x", ".DS_Store": b"x"}))
    read = read_keypoints(tmp_path / f"house.{kind}", frame_size=(210, 260))
    assert read.format == format
    assert (read.keypoints.confidence > 0).any(1).sum() == 4
    assert any("are missing: 1 of 5 frames" in line for line in read.warnings)
    seen = read.keypoints.confidence > 0
    assert np.abs(read.keypoints.xy - CLIP.xy)[seen & (CLIP.confidence > 0)].max() < 1e-3
    assert read.keypoints.name in ("drawn", "house")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_numbered_arrays_are_frames(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(PACKERS[kind](arrays()))
    read = read_keypoints(tmp_path / "a", frame_size=(210, 260))
    assert (read.format, len(read.keypoints)) == ("mediapipe", 5)


def test_what_savez_numbers_is_no_frame(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", CLIP.points, CLIP.points)
    assert read_keypoints(tmp_path / "a.npz", frame_size=(210, 260)).format == "npz"


@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_of_one_file_is_that_file(tmp_path: Path, kind: str) -> None:
    write_keypoints(CLIP, tmp_path / "a.pose")
    (tmp_path / "b").write_bytes(PACKERS[kind]({"some/a.pose": (tmp_path / "a.pose").read_bytes()}))
    assert np.array_equal(read_keypoints(tmp_path / "b").keypoints.xy, CLIP.xy)


# --- what is refused ------------------------------------------------------------------------------------------
ONE = json.dumps([{"keypoints": points(1)[0].tolist(), "keypoint_scores": [1.0] * 133}]).encode()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../a1.json", "/etc/a1.json", "b/../../a1.json", "..\\a1.json", "C:\\a1.json"])
def test_names_that_lead_out_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "a").write_bytes(PACKERS[kind]({name: ONE, "a2.json": ONE}))
    with pytest.raises(Untrusted):
        read_keypoints(tmp_path / "a")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, type: bytes) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        item = tarfile.TarInfo("a1.json")
        item.type, item.linkname = type, "/etc/passwd"
        archive.addfile(item)
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    with pytest.raises(Untrusted):
        read_keypoints(tmp_path / "a.tar")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        item = zipfile.ZipInfo("a1.json")
        item.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(item, "/etc/passwd")
        archive.writestr("a2.json", ONE)
    with pytest.raises(Untrusted):
        read_keypoints(tmp_path / "a.zip")


def many_headers() -> bytes:
    """A tar of 150,000 empty files, packed."""
    item = tarfile.TarInfo("a.json").tobuf()
    return gzip.compress(item * 150_000, 1)


def long_header() -> bytes:
    """A tar whose first header says that 300 MB of further header follow."""
    item = tarfile.TarInfo("x")
    item.type, item.size = tarfile.XHDTYPE, 300 << 20
    return gzip.compress(item.tobuf() + bytes(300 << 20), 1)


def zeros(count: int, mib: int) -> Files:
    return {f"{t}.json": b"[" + b" " * (mib << 20) + b"]" for t in range(count)}


def nested() -> bytes:
    return packed_zip({"a.zip": packed_zip({"b.zip": packed_zip({"1.json": ONE})})})


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "frames of zeros": (lambda: packed_zip(zeros(3, 20)), "too-large"),
    "one file of zeros": (lambda: packed_zip(zeros(1, 64)), "damaged"),
    "150,000 files": (many_headers, "too-large"),
    "a header without end": (long_header, "damaged"),
    "an archive in an archive": (nested, "unsupported"),
    "a tar in a zip": (lambda: packed_zip({"a.tar": packed_tar({"1.json": ONE})}), "unsupported"),
    "lines without end": (lambda: gzip.compress(b'{"instances":[]}\n' * 200_000, 1), "empty"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_line(tmp_path: Path, name: str) -> None:
    make, expected = BOMBS[name]
    (tmp_path / "bomb").write_bytes(make())
    assert _said(tmp_path / "bomb") == expected


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"a/1.json": ONE, "a/2.json": ONE, "b/1.json": ONE}, Unsupported),
        ({"1.png": b"x", "2.png": b"y"}, Unsupported),
        ({"1.json": ONE, "2.json": b"{"}, Damaged),
        ({}, Empty),
    ],
)
@pytest.mark.parametrize("packer", ["zip", "tar"])
def test_other_archives_are_one_line(tmp_path: Path, files: Files, kind: type[InputError], packer: str) -> None:
    (tmp_path / "a").write_bytes(PACKERS[packer](files))
    if not files and packer == "zip":
        kind = Unsupported  # an empty zip does not begin like one
    elif not files:
        kind = Unsupported  # nor does an empty tar
    with pytest.raises(kind):
        read_keypoints(tmp_path / "a")


def test_a_cut_archive_is_one_line(tmp_path: Path) -> None:
    for kind, pack in PACKERS.items():
        data = pack({f"{t}.json": ONE for t in range(4)})
        for stop in (len(data) // 3, len(data) // 2, len(data) - 30):
            (tmp_path / "a").write_bytes(data[:stop])
            assert said_of(tmp_path / "a") in ("damaged", "unsupported", "accepted", "empty"), (kind, stop)


# --- JSON lines -----------------------------------------------------------------------------------------------
def line(t: int) -> dict:
    return {"frame_id": t, "instances": [{"keypoints": points(5)[t].tolist(), "keypoint_scores": [1.0] * 133}]}


@pytest.mark.parametrize("end", ["", "\n", "\r\n\n"])
def test_json_lines_are_a_list(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line(t)) for t in (0, 4, 1)) + end)
    read = read_keypoints(tmp_path / "a.jsonl", frame_size=(210, 260))
    assert read.format == "mmpose"
    assert (read.keypoints.confidence > 0).any(1).tolist() == [True, True, False, False, True]
    assert np.abs(read.keypoints.xy[4] - points(5)[4]).max() < 1e-3


def test_lines_of_people_and_of_openposes_frames(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line(t)["instances"]) for t in range(5)))
    assert np.abs(read_keypoints(tmp_path / "a.jsonl", frame_size=(210, 260)).keypoints.xy - points(5)).max() < 1e-3
    write_keypoints(CLIP, tmp_path / "b.json", "comfyui")
    content = json.loads((tmp_path / "b.json").read_text())
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, content)))
    read = read_keypoints(tmp_path / "b.jsonl")
    assert (read.format, read.keypoints.size, len(read.keypoints)) == ("comfyui", (210, 260), 5)


def test_many_lines_are_read_little_by_little(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line(t % 5) | {"frame_id": t}) for t in range(700)))
    assert (tmp_path / "a.jsonl").stat().st_size > 2 << 20
    assert len(read_keypoints(tmp_path / "a.jsonl", frame_size=(210, 260)).keypoints) == 700


def test_a_broken_line_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(line(0))}\n{json.dumps(line(1))}\n" + '{"frame_id": 2, "inst')
    with pytest.raises(Damaged):
        read_keypoints(tmp_path / "a.jsonl")


def test_text_after_one_object_stays_damage(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f"{json.dumps(line(0))}\nand more")
    with pytest.raises(Damaged):
        read_keypoints(tmp_path / "a.json")
    assert TooLarge.code == "too-large"
