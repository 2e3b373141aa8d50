"""Frame numbers: they order the frames, and what they jump over is time without a person, kept and named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import TooLarge
from signgen.keypoints import ReadResult, read_keypoints, write_keypoints
from signgen.keypoints.frame_numbers import numbers_in_names, timeline

GAP = [0, 1, 5, 6]  # of frames 0 to 6
PEOPLE = points(7)


def _instance(t: int) -> dict[str, Any]:
    return {"keypoints": PEOPLE[t].tolist(), "keypoint_scores": [0.9] * 133}


def mmpose(path: Path, numbers: list[int], first: int = 0) -> Path:
    frames = [{"frame_id": first + t, "instances": [_instance(t % 7)]} for t in numbers]
    path.write_text(json.dumps(frames))
    return path


def topdown(path: Path, numbers: list[int]) -> Path:
    mmpose(path, numbers, first=1)
    path.write_text(json.dumps({"meta_info": {}, "instance_info": json.loads(path.read_text())}))
    return path


def rtmlib(path: Path, numbers: list[int]) -> Path:
    one = [{"frame": t, "keypoints": [PEOPLE[t % 7].tolist()], "scores": [[0.9] * 133]} for t in numbers]
    path.write_text(json.dumps(one))
    return path


def mmpose_folder(path: Path, numbers: list[int]) -> Path:
    path.mkdir()
    for t in numbers:
        (path / f"cam3_images{t:04d}.json").write_text(json.dumps([_instance(t % 7)]))
    return path


def openpose(path: Path, numbers: list[int]) -> Path:
    write_keypoints(signer(7), path, "openpose")
    written = sorted(path.iterdir())
    kept = {t: written[t % 7].read_bytes() for t in numbers}
    for file in written:
        file.unlink()
    for t, content in kept.items():
        (path / f"clip_{t:012d}_keypoints.json").write_bytes(content)
    return path


def fpdm(path: Path, numbers: list[int]) -> Path:
    path.mkdir()
    for t in numbers:
        np.savetxt(path / f"{t}.txt", PEOPLE[t % 7])
    return path


def coco(path: Path, numbers: list[int]) -> Path:
    write_keypoints(signer(7), path, "coco-wholebody")
    content = json.loads(path.read_text())
    content["images"] = [{**content["images"][t % 7], "id": t, "file_name": f"{t:06d}.png"} for t in numbers]
    content["annotations"] = [{**content["annotations"][t % 7], "image_id": t} for t in numbers]
    path.write_text(json.dumps(content))
    return path


WRITERS: dict[str, Callable[[Path, list[int]], Path]] = {
    "mmpose": mmpose, "mmpose-topdown": topdown, "rtmlib": rtmlib, "mmpose-folder": mmpose_folder,
    "openpose": openpose, "fpdm": fpdm, "coco-wholebody": coco,
}  # fmt: skip


def assert_gap(read: ReadResult) -> None:
    """Frames 2 to 4 are there, empty, and named; the others are where their numbers say."""
    clip = read.keypoints
    seen = (clip.confidence > 0).any(1)
    assert seen.tolist() == [True, True, False, False, False, True, True]
    assert np.abs(clip.xy[seen] - PEOPLE[GAP])[clip.confidence[seen] > 0].max() < 0.01
    said = [line for line in read.warnings if "frame numbers" in line]
    assert len(said) == 1
    assert "3 of 7 frames" in said[0]


@pytest.mark.parametrize("order", [GAP, [5, 0, 6, 1]])
@pytest.mark.parametrize("format", WRITERS)
def test_a_hole_is_kept_and_the_numbers_order_the_frames(tmp_path: Path, format: str, order: list[int]) -> None:
    assert_gap(read_keypoints(WRITERS[format](tmp_path / "clip.dat", order)))


@pytest.mark.parametrize("case", ["openpose_gap", "mmpose_gap.json"])
def test_the_cases_of_users(case: str) -> None:
    path = Path(os.environ.get("SIGNGEN_SHARED", "absent")) / "cases" / case
    if not path.exists():
        pytest.skip("needs SIGNGEN_SHARED/cases")
    read = read_keypoints(path)
    assert (read.keypoints.confidence > 0).any(1).tolist() == [True, True, False, False, False, True, True]
    assert any("frame numbers 2 to 4 are missing: 3 of 7" in line for line in read.warnings)


@pytest.mark.parametrize("format", ["mmpose", "rtmlib", "openpose", "mmpose-folder", "fpdm"])
def test_a_hole_of_a_thousand_million_frames_is_refused(tmp_path: Path, format: str) -> None:
    path = WRITERS[format](tmp_path / "clip.dat", [0, 1, 1_000_000_000])
    with pytest.raises(TooLarge) as error:
        read_keypoints(path)
    assert error.value.subject == str(path)


def test_a_clip_that_begins_later_has_no_hole_before_it(tmp_path: Path) -> None:
    read = read_keypoints(mmpose(tmp_path / "a.json", [40, 41, 42]))
    assert len(read.keypoints) == 3
    assert not any("frame number" in line for line in read.warnings)


def test_a_signer_is_followed_over_frames_that_come_in_another_order(tmp_path: Path) -> None:
    """Two people side by side; in file order each would jump to the other's place."""
    frames = []
    for t in range(40):
        people = []
        for start, speed, score in ((0, 8, 0.9), (180, 8, 0.5)):
            people.append({**_instance(0), "keypoint_scores": [score] * 133})
            people[-1]["keypoints"] = (PEOPLE[0] + [start + speed * t, 0]).tolist()
        frames.append({"frame_id": t, "instances": people[:: 1 if t % 2 else -1]})
    np.random.default_rng(3).shuffle(frames)  # type: ignore[arg-type]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    clip = read_keypoints(tmp_path / "a.json", frame_size=(640, 300)).keypoints
    assert np.allclose(np.diff(clip.xy[:, 0, 0]), 8, atol=1e-3)
    assert np.allclose(clip.confidence[:, 0], 0.9)


@pytest.mark.parametrize("kind", ["text", "float", "frames", "by number", "frameIndex"])
def test_numbers_in_other_clothes(tmp_path: Path, kind: str) -> None:
    frames = json.loads(mmpose(tmp_path / "a.json", GAP).read_text())
    bare = {frame["frame_id"]: {"instances": frame["instances"]} for frame in frames}
    content = {
        "text": [{"frame_id": str(number), **frame} for number, frame in bare.items()],
        "float": [{"frame_id": float(number), **frame} for number, frame in bare.items()],
        "frames": {"frames": frames, "width": 210, "height": 260},
        "by number": bare,
        "frameIndex": [{"frameIndex": number, **frame} for number, frame in bare.items()],
    }
    (tmp_path / "a.json").write_text(json.dumps(content[kind]))
    assert_gap(read_keypoints(tmp_path / "a.json"))


def test_numbers_that_occur_twice_say_nothing(tmp_path: Path) -> None:
    read = read_keypoints(mmpose(tmp_path / "a.json", [3, 3, 9]))
    assert len(read.keypoints) == 3
    assert any("frame number 3 occurs twice" in line for line in read.warnings)


def test_every_fifth_frame_of_a_video_is_a_slower_clip(tmp_path: Path) -> None:
    time = timeline([5 * t for t in range(10) if t != 4], 9, "clip")
    assert time.places.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert ["steps of 5" in line for line in time.warnings] == [True, False]
    assert "numbers 20 are missing" in time.warnings[1]


def test_holes_between_regular_steps_are_kept(tmp_path: Path) -> None:
    """Every third frame is lost: the median of the steps is 2, but most of them are none of it."""
    numbers = [0, 2, 3, 5, 6, 8, 9, 11, 12, 14]
    time = timeline(numbers, 10, "clip")
    assert (time.places.tolist(), time.length) == (numbers, 15)
    (line,) = time.warnings
    assert "1, 4, 7 and 2 more holes are missing: 5 of 15" in line


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_milliseconds_count_frames_without_drifting(rate: int) -> None:
    numbers = [round(1000 * t / rate) for t in range(400) if t != 200]
    time = timeline(numbers, 399, "clip")
    assert time.places.tolist() == [t for t in range(400) if t != 200]


@pytest.mark.parametrize(
    ("numbers", "places"),
    [
        ([0, None, 2, 6], [0, 1, 2, 6]),
        ([None, 5, 6, None, None, 12], [0, 1, 2, 4, 6, 8]),
        ([0, 1, 2, 6, None], [0, 1, 2, 6, 7]),
        ([0, None, 1, 5], [0, 1, 2, 3]),  # no place between them
        ([6, None, 2, 0], [0, 1, 2, 3]),  # no telling where
        ([None, 4, None, None], [0, 1, 2, 3]),
    ],
)
def test_frames_without_a_number_are_placed_or_said(numbers: list[int | None], places: list[int]) -> None:
    time = timeline(numbers, len(numbers), "clip")
    assert time.places.tolist() == places
    assert f"{numbers.count(None)} of {len(numbers)} frames have no number" in time.warnings[0]


def test_a_frame_without_a_number_does_not_take_that_of_the_others(tmp_path: Path) -> None:
    frames = json.loads(mmpose(tmp_path / "a.json", [0, 1, 2, 6, 7]).read_text())
    frames[1]["frame_id"] = None
    (tmp_path / "a.json").write_text(json.dumps(frames))
    read = read_keypoints(tmp_path / "a.json")
    assert (read.keypoints.confidence > 0).any(1).tolist() == [True] * 3 + [False] * 3 + [True] * 2
    assert any("1 of 5 frames have no number" in line for line in read.warnings)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["a7.json", "a10.json"], [7, 10]),
        (["cam2_0_kp.json", "cam2_3_kp.json"], [0, 3]),
        (["2024-01-02_5.png", "2024-01-03_6.png"], None),
        (["a1.json", "b2.json"], None),
        (["a1.json"], None),
    ],
)
def test_the_number_that_changes_in_names_is_the_frames(names: list[str], numbers: list[int] | None) -> None:
    assert numbers_in_names(names) == numbers
