"""What commands print, whatever names say and wherever it goes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from keypoint_maker import signer

from signgen.commands.common import harmless
from signgen.errors import BadValue
from signgen.extraction.mediapipe_holistic import kept_aside
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.scoring.run import _as_text


def signgen(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m signgen {line}"
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=280)


def test_control_characters_of_a_name_are_escapes_that_json_reads(tmp_path):
    clip = signer(3)
    named = Keypoints(clip.xy, clip.confidence, 210, 260, 25.0, "a\x1b]0;owned\x07\x9b2J\u202eb")
    assert harmless(named.name) == "a\\u001b]0;owned\\u0007\\u009b2J\\u202eb"
    assert harmless("\x1b[1mbold\x1b[0m\n") == "\x1b[1mbold\x1b[0m\n"
    write_keypoints(named, tmp_path / "a.npz")
    done = signgen("inspect a.npz --json", tmp_path)
    assert json.loads(done.stdout)["name"] == named.name
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.stdout + done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_standard_output_that_is_full_or_closed_is_one_line(tmp_path):
    write_keypoints(signer(3), tmp_path / "a.npz")
    for line, words in (
        ("inspect a.npz > /dev/full", "cannot be written (No space left on device)"),
        ("inspect a.npz >&-", "it is closed"),
        ("convert a.npz - --to pose > /dev/full", "cannot be written (No space left on device)"),
    ):
        done = signgen(line, tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"error: standard output: {words}; ")
        assert "Traceback" not in done.stderr
        assert "ignored" not in done.stderr


def test_standard_error_that_is_closed_is_no_failure(tmp_path, monkeypatch):
    """As where a service begins a command, or a program without a console."""
    write_keypoints(signer(3), tmp_path / "a.npz")
    done = signgen("draw a.npz -o frames --json 2>&-", tmp_path)
    assert (done.returncode, json.loads(done.stdout)["frames"]) == (0, 3)
    monkeypatch.setattr(sys, "stderr", None)
    with kept_aside():
        pass


def test_names_that_standard_output_cannot_hold_are_escapes(tmp_path, monkeypatch):
    """As in a file or a pipe on Windows."""
    write_keypoints(signer(3), tmp_path / "手話.npz")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    done = signgen("convert 手話.npz 手話.pose --json", tmp_path)
    assert (done.returncode, json.loads(done.stdout)["output"]) == (0, "手話.pose")
    done = signgen("convert 手話.npz 手話.pose", tmp_path)
    assert (done.returncode, done.stdout[:18]) == (0, "\\u624b\\u8a71.pose:")


def test_names_are_no_formulas_in_a_table():
    assert [_as_text(name) for name in ("=1+1", "+a", "-a", "@a", "clip-1")] == ["'=1+1", "'+a", "'-a", "'@a", "clip-1"]


def test_a_rate_that_no_video_has_is_refused(tmp_path):
    write_keypoints(signer(3), tmp_path / "a.npz")
    with pytest.raises(BadValue, match="1e-09 frames per second; give a rate from 0.001 to 1000"):
        read_keypoints(tmp_path / "a.npz", fps=1e-9)


def test_other_digits_in_names_of_frames_are_letters(tmp_path):
    someone = {"keypoints": signer(1).xy[0].tolist(), "keypoint_scores": [1] * 133}
    for name in ("\u00b21.json", "10.json", "2.json", "\u0663.json"):
        (tmp_path / name).write_text(json.dumps([someone]))
    assert len(read_keypoints(tmp_path).keypoints) == 4
