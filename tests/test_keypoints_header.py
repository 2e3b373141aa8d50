"""The header file beside MMPose's JSON: size and rate come back, and only where it belongs to the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from signgen.dataset.keypoint_source import KeypointSource
from signgen.errors import InputError
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.header import header_bytes, header_path


def clip(frames: int = 4) -> Keypoints:
    places = np.random.default_rng(3).uniform(20, 200, (frames, 133, 2))
    return Keypoints(places.astype(np.float32), np.full((frames, 133), 0.9), 321, 243, 30000 / 1001, "clip")


def written(folder: Path, frames: int = 4) -> Path:
    path = folder / "clip.json"
    write_keypoints(clip(frames), path)
    header_path(path).write_bytes(header_bytes(clip(), {"estimator": "none"}))
    return path


def test_size_and_rate_come_back_exactly_and_without_a_word(tmp_path: Path) -> None:
    read = read_keypoints(written(tmp_path))
    assert read.keypoints == clip()
    assert (read.size_known, read.fps_known, read.warnings) == (True, True, [])


def test_what_the_caller_says_wins(tmp_path: Path) -> None:
    read = read_keypoints(written(tmp_path), frame_size=(400, 300), fps=50).keypoints
    assert (read.size, read.fps) == ((400, 300), 50)


def test_a_header_of_another_clip_is_not_believed(tmp_path: Path) -> None:
    read = read_keypoints(written(tmp_path, frames=3))
    assert not read.size_known
    assert any("is of 4 frames, this file has 3" in warning for warning in read.warnings)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"signgen_header": 1, "frames": 4', "damaged"),
        (b"[]", "unsupported"),
        (b'{"signgen_header": 2}', "unsupported"),
        (b'{"signgen_header": 1, "frames": 4, "width": "9", "height": 9, "fps": 25}', "damaged"),
        (b'{"signgen_header": 1, "frames": 4, "width": 9, "height": 9, "fps": NaN}', "damaged"),
    ],
)
def test_a_damaged_header_is_named(tmp_path: Path, content: bytes, code: str) -> None:
    path = written(tmp_path)
    header_path(path).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_keypoints(path)
    assert (error.value.code, error.value.subject) == (code, str(header_path(path)))


def test_readers_of_folders_do_not_take_it_for_a_clip(tmp_path: Path) -> None:
    written(tmp_path)
    raw = KeypointSource([tmp_path], ["clip"]).raw("clip", "train")
    assert (raw.size, raw.fps) == ((321, 243), 30000 / 1001)
    (tmp_path / "frames").mkdir()
    instances = json.loads((tmp_path / "clip.json").read_text())[0]["instances"]
    (tmp_path / "frames" / "images0001.json").write_text(json.dumps(instances))
    (tmp_path / "frames" / "images0001.json.header").write_text("{}")
    assert len(read_keypoints(tmp_path / "frames", frame_size=(321, 243), fps=25).keypoints) == 1
