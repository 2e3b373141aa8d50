"""Whole bodies in other orders than COCO-WholeBody's 133, and arrays with one more side."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import Unsupported
from signgen.keypoints import read_keypoints
from signgen.keypoints.layouts.wholebody import NONE, ORDERS, in_order
from signgen.keypoints.skeleton import MIRROR, NAMES

XYC = signer(5).points


def other(count: int) -> np.ndarray:
    """(5,count,3) the drawn signer in another order; places that the 133 do not have hold nonsense."""
    made = np.full((5, count, 3), 777.0)
    order = np.array(ORDERS[count])
    made[:, order[order != NONE]] = XYC[:, order != NONE]
    return made


def test_halpe_has_all_of_the_133() -> None:
    feet = ["left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe", "left_heel", "right_heel"]
    order = [*NAMES[:17], "head", "neck", "hip", *feet, *NAMES[23:]]
    assert [order[place] for place in ORDERS[136]] == list(NAMES)


def test_sapiens_has_all_but_the_jaw_once() -> None:
    order = ORDERS[308]
    known = [place for joint, place in enumerate(order) if place != NONE and joint not in (9, 10)]
    assert len(set(known)) == len(known) == 133 - 2 - 16
    assert [joint for joint, place in enumerate(order) if place == NONE] == [*range(23, 31), *range(32, 40)]
    assert (order[9], order[10]) == (order[91], order[112]), "wrists are the hands' roots"
    names = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
    fingers = [f"{name}{4 - joint}" for name in names for joint in range(4)]
    for hand, start in (("right", 21), ("left", 42)):
        for place, name in enumerate(fingers):
            assert order[NAMES.index(f"{hand}_{name}")] == start + place


def test_both_sides_of_sapiens_face_are_mirror_images() -> None:
    """Its list of eyebrows, lids and lips goes from the picture's left to its right, so halves swap."""
    order = np.array(ORDERS[308])
    upper_lip = [order[71 + i] for i in range(7)]
    assert upper_lip == [188, 192, 197, 190, 198, 193, 189]
    assert all((order[joint] == NONE) == (order[MIRROR[joint]] == NONE) for joint in range(133))


@pytest.mark.parametrize("count", ORDERS)
@pytest.mark.parametrize("people", [0, 1])
def test_an_array_is_put_into_order(tmp_path: Path, count: int, people: int) -> None:
    made = other(count)
    np.save(tmp_path / "a.npy", made[:, None] if people else made)
    clip = read_keypoints(tmp_path / "a.npy", frame_size=(210, 260), fps=25).keypoints
    there = np.array(ORDERS[count]) != NONE
    assert np.abs(clip.points - XYC)[:, there & (np.arange(133) != 9) & (np.arange(133) != 10)].max() < 1e-5
    assert not clip.points[:, ~there].any()


@pytest.mark.parametrize("count", ORDERS)
def test_mmposes_json_is_put_into_order(tmp_path: Path, count: int) -> None:
    """As Sapiens writes it: one file a picture."""
    for t, frame in enumerate(other(count)):
        one = {"keypoints": frame[:, :2].tolist(), "keypoint_scores": frame[:, 2].tolist()}
        (tmp_path / f"{t:05d}.json").write_text(json.dumps({"instance_info": [one]}))
    clip = read_keypoints(tmp_path, frame_size=(210, 260), fps=25).keypoints
    assert len(clip) == 5
    assert np.abs(clip.points - XYC)[:, 91:].max() < 1e-4


def test_a_long_array_is_put_into_order_in_pieces() -> None:
    long = np.arange(6000 * 136 * 2, dtype=np.float64).reshape(6000, 136, 2)
    assert np.array_equal(in_order(long)[:, 17:23], long[:, [20, 22, 24, 21, 23, 25]])
    scores = long[..., 0]
    assert np.array_equal(in_order(scores, -1)[:, 90], scores[:, 93])


# --- one more side --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(1, 5, 133, 3), (1, 5, 1, 133, 3)])
def test_a_batch_of_one_is_a_clip(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", XYC.reshape(shape))
    read = read_keypoints(tmp_path / "a.npy", frame_size=(210, 260), fps=25)
    assert (len(read.keypoints), read.people) == (5, 1)
    assert np.array_equal(read.keypoints.points, XYC)


def test_one_row_of_numbers_a_frame(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", XYC.reshape(5, -1))
    read = read_keypoints(tmp_path / "a.npy", frame_size=(210, 260), fps=25)
    assert np.array_equal(read.keypoints.points, XYC)


def test_a_batch_of_one_with_scores_beside_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", keypoint=XYC[None, ..., :2], keypoint_score=XYC[None, ..., 2], img_shape=(260, 210))
    read = read_keypoints(tmp_path / "a.npz", fps=25)
    assert np.array_equal(read.keypoints.points, XYC)
    assert read.keypoints.size == (210, 260)


def test_people_beside_each_other_in_one_frame_are_people(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.stack([points(1)[0] + (150 * k, 0) for k in range(3)])[None])
    read = read_keypoints(tmp_path / "a.npy", frame_size=(640, 260), fps=25)
    assert (len(read.keypoints), read.people) == (1, 3)


def test_more_frames_than_people_can_be(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", points(300)[None])
    assert len(read_keypoints(tmp_path / "a.npy", frame_size=(210, 260), fps=25).keypoints) == 300


def test_several_clips_in_one_array_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.stack([XYC, XYC])[:, :, None])
    with pytest.raises(Unsupported):
        read_keypoints(tmp_path / "a.npy")


def test_the_case_of_users() -> None:
    path = Path(os.environ.get("SIGNGEN_SHARED", "absent")) / "cases" / "batch_1_T_133_3.npy"
    if not path.exists():
        pytest.skip("needs SIGNGEN_SHARED/cases")
    read = read_keypoints(path)
    assert (len(read.keypoints), read.people) == (4, 1)
    assert np.allclose(read.keypoints.xy[0, 5], [391.64, 241.74], atol=0.01)
