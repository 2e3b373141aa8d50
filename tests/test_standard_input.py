"""Keypoints through a pipe: `-` in place of a file, and `-` as convert's output."""

from __future__ import annotations

import gc
import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from keypoint_maker import signer

from signgen.cli import main
from signgen.errors import Missing, TooLarge
from signgen.keypoints import content, read_keypoints
from signgen.keypoints.keypoint_files import WRITE_FORMATS, keypoint_bytes
from signgen.video import probe


def run(given: bytes, *arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)


@pytest.mark.parametrize("format", [name for name in WRITE_FORMATS if name not in ("openpose", "fpdm")])
def test_every_format_of_one_file_is_told_by_its_content(format: str) -> None:
    done = run(keypoint_bytes(signer(4), format)[0], "inspect", "-", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["format"], found["frames"]) == (format, 4)


def test_gzip_comes_through_a_pipe_as_well() -> None:
    done = run(gzip.compress(keypoint_bytes(signer(4), "slrt")[0]), "inspect", "-", "--json")
    assert json.loads(done.stdout)["format"] == "slrt"


@pytest.mark.parametrize("format", WRITE_FORMATS)
@pytest.mark.parametrize("wrapped", ["", "gzip", "zip", "tar"])
def test_what_came_through_a_pipe_can_be_read_again_and_again(format: str, wrapped: str) -> None:
    if format in ("openpose", "fpdm"):
        pytest.skip("a folder")
    given = keypoint_bytes(signer(4), format)[0]
    packed = io.BytesIO()
    if wrapped == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("clip.bin", given)
    if wrapped == "tar":
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo("clip.bin")
            member.size = len(given)
            archive.addfile(member, io.BytesIO(given))
    given = gzip.compress(given) if wrapped == "gzip" else packed.getvalue() or given
    kept = content.read_standard_input(io.BytesIO(given))
    first = read_keypoints(kept).keypoints
    gc.collect()
    assert read_keypoints(kept).keypoints == first


def test_draw_reads_a_pipe(tmp_path: Path) -> None:
    done = run(keypoint_bytes(signer(3), "pose")[0], "draw", "-", "-o", tmp_path / "out.mp4")
    assert done.exit_code == 0, done.stderr
    assert probe(tmp_path / "out.mp4").frames == 3


def test_convert_joins_two_pipes() -> None:
    whole = signer(4)
    done = run(keypoint_bytes(whole, "npz")[0], "convert", "-", "-", "--to", "pose")
    assert done.exit_code == 0, done.stderr
    again = read_keypoints(content.read_standard_input(io.BytesIO(done.stdout_bytes))).keypoints
    assert (again.xy == whole.xy).all()
    assert "warning: .pose does not hold the clip's name (drawn)" in done.stderr


def test_commands_join_in_a_shell(tmp_path: Path) -> None:
    """Two processes and a real pipe; binary content must not be taken for text."""
    (tmp_path / "a.npz").write_bytes(keypoint_bytes(signer(4), "npz")[0])
    call = [sys.executable, "-m", "signgen", "convert"]
    with (tmp_path / "a.npz").open("rb") as given:
        first = subprocess.Popen([*call, "-", "-", "--to", "pose"], stdin=given, stdout=subprocess.PIPE, cwd=tmp_path)
        second = subprocess.run([*call, "-", "b.npz"], stdin=first.stdout, cwd=tmp_path, timeout=250)
    assert (first.wait(60), second.returncode) == (0, 0)
    assert (read_keypoints(tmp_path / "b.npz").keypoints.xy == signer(4).xy).all()


def test_what_was_piped_can_be_read_again() -> None:
    kept = content.read_standard_input(io.BytesIO(keypoint_bytes(signer(4), "mmpose")[0]))
    plain, told = (read_keypoints(kept, frame_size=size).keypoints for size in (None, (300, 400)))
    assert (plain.xy == told.xy).all()
    assert (plain.name, told.size) == ("stdin", (300, 400))


def test_an_endless_pipe_comes_to_an_end(monkeypatch) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            Endless.given += size
            return b"0" * size

    monkeypatch.setattr(content, "LARGEST_PIPED", 5 << 20)
    with pytest.raises(TooLarge):
        content.read_standard_input(Endless())
    assert Endless.given <= 7 << 20


@pytest.mark.parametrize(
    ("given", "arguments", "words"),
    [
        (b"", ("inspect", "-"), "stdin: nothing came"),
        (b"what is this", ("inspect", "-"), "stdin: content of an unknown kind"),
        (b"[]", ("convert", "-", "out.npz"), "stdin: an empty list"),
        (b"", ("draw", "-", "-o", "out.mp4"), "nothing came"),
        (b"", ("render", "-", "-o", "out.mp4"), "nothing came"),
        (b"[]", ("render", "-"), "add -o"),
        (b"[]", ("inspect", "-", "--from", "pose"), "a file of kind json"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, monkeypatch, given, arguments, words) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(given, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert [line[:7] for line in done.stderr.splitlines()] == ["error: "]
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"closed": False, "isatty": lambda self: True})())
    with pytest.raises(Missing):
        read_keypoints("-")
