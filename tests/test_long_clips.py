"""Clips too long for memory: the same points and frames as those that fit, whatever their length and place."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from keypoint_maker import points, signer

from signgen.errors import TooLarge
from signgen.keypoints import Keypoints, budget, pieces, read_keypoints, rows, write_keypoints
from signgen.keypoints.people import Detections, follow
from signgen.keypoints.raw import Request
from signgen.keypoints.repair.missing import fill_missing
from signgen.keypoints.summary import summary
from signgen.rendering import driving
from signgen.rendering.scene import Scene, build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import load_source


def moving(frames: int, seed: int = 0) -> Keypoints:
    """No frame like another; hands are lost for a while, now and then, and nobody is there for some frames."""
    chance, clip = np.random.default_rng(seed), signer(frames)
    confidence = clip.confidence.copy()
    for start in range(11, frames, 37):
        confidence[start : start + 6, 91:112] = 0
    confidence[50:53] = 0
    return Keypoints(clip.xy + chance.normal(0, 1, clip.xy.shape), confidence, 210, 260, 25.0, "long")


@pytest.fixture
def few_in_memory(monkeypatch):
    """Everything of more than 16 frames counts as long."""
    monkeypatch.setattr(rows, "IN_MEMORY", 16)
    monkeypatch.setattr(rows, "BLOCK", 7)
    monkeypatch.setattr(rows, "SMALL", 1 << 10)


@pytest.mark.parametrize(
    "format", ["mmpose", "rtmlib", "coco-wholebody", "openpose", "pose", "npz", "npy", "skels", "slrt"]
)
def test_a_clip_in_a_file_without_a_name_is_the_same(tmp_path, monkeypatch, format):
    clip = moving(60)
    write_keypoints(clip, tmp_path / "a", format)
    expected = read_keypoints(tmp_path / "a", format=format)
    monkeypatch.setattr(rows, "IN_MEMORY", 16)
    monkeypatch.setattr(rows, "SMALL", 1 << 10)
    found = read_keypoints(tmp_path / "a", format=format)
    assert rows.is_mapped(found.keypoints.xy)
    assert rows.is_mapped(found.keypoints.confidence)
    assert found.keypoints == expected.keypoints
    assert summary(found) == summary(expected)
    write_keypoints(found.keypoints, tmp_path / "b", "npz")
    write_keypoints(expected.keypoints, tmp_path / "c", "npz")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_what_lies_in_a_file_cannot_be_changed_and_slices_are_copies(tmp_path, few_in_memory):
    write_keypoints(moving(60), tmp_path / "a.npz")
    clip = read_keypoints(tmp_path / "a.npz").keypoints
    with pytest.raises(ValueError, match="read-only"):
        clip.xy[0] = 0
    part = clip[5:9]
    assert not rows.is_mapped(part.xy)
    assert np.array_equal(part.xy, clip.xy[5:9])
    assert np.array_equal(clip.mirror().mirror().confidence, clip.confidence)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch, few_in_memory):
    write_keypoints(moving(60), tmp_path / "a.npz")

    def full(self: rows.Scratch) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows.Scratch, "_file", property(full))
    with pytest.raises(TooLarge, match="no room for a long clip .No space left on device."):
        read_keypoints(tmp_path / "a.npz")


def test_a_long_json_list_is_read_item_by_item(tmp_path, monkeypatch):
    from signgen.keypoints import texts

    write_keypoints(moving(60), tmp_path / "a.json")
    expected = read_keypoints(tmp_path / "a.json").keypoints
    monkeypatch.setattr(texts, "_WINDOW", 1000)
    value = texts.read_json((tmp_path / "a.json").open("rb"), "a.json", budget.Budget("a.json", 0))
    assert isinstance(value, texts.JsonList)
    assert list(value) == json.loads((tmp_path / "a.json").read_text())
    assert read_keypoints(tmp_path / "a.json").keypoints == expected
    cut = (tmp_path / "a.json").read_bytes()[:-300]
    (tmp_path / "a.json").write_bytes(cut)
    with pytest.raises(ValueError, match="damaged JSON"):
        read_keypoints(tmp_path / "a.json")


# --- people ---------------------------------------------------------------------------------------------------
def crowd(frames: int, people: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(T,P,133,2) walkers that cross each other, and their ranks (P,), the second is the surest."""
    chance = np.random.default_rng(seed)
    steps = chance.normal(0, 2, (frames, people, 1, 2)).cumsum(0)
    places = chance.uniform(0, 3000, (people, 1, 2))
    ranks = np.full(people, 0.5)
    ranks[1] = 0.9
    return points(frames)[:, None] + places + steps, ranks


def followed(xy: np.ndarray, ranks: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The points of the signer, where the people of each frame come in some order."""
    frames, people = xy.shape[:2]
    mixed = np.take_along_axis(xy, order[..., None, None], axis=1).reshape(-1, 133, 2)
    part = Detections(np.full(frames, people), mixed, np.ones((len(mixed), 133)), ranks[order].ravel())
    return follow([part], "a", Request(path=None)).frames()[0]  # type: ignore[arg-type]


def test_the_surest_is_followed_through_a_crowd_in_any_order():
    xy, ranks = crowd(80, 9)
    order = np.argsort(np.random.default_rng(1).random((80, 9)), axis=1)
    assert np.array_equal(followed(xy, ranks, order), xy[:, 1])


def test_a_hundred_people_and_no_more():
    xy, ranks = crowd(3, 101)
    order = np.tile(np.arange(101), (3, 1))
    assert np.array_equal(followed(xy[:, :100], ranks[:100], order[:, :100]), xy[:, 1])
    with pytest.raises(TooLarge, match="101 people in a frame"):
        followed(xy, ranks, order)


# --- pieces ---------------------------------------------------------------------------------------------------
@pytest.fixture
def short_pieces(monkeypatch):
    monkeypatch.setattr(driving, "LONGEST_WHOLE", 100)
    monkeypatch.setattr(pieces, "_PIECE", 60)
    monkeypatch.setattr(pieces, "_MARGIN", 150)


def test_a_long_clip_is_completed_as_a_short_one(short_pieces):
    clip = moving(240)
    whole, _ = fill_missing(clip)
    found, said = driving.complete(clip)
    assert isinstance(found, pieces.Pieces)
    assert len(found) == len(clip)
    assert "240 frames are completed and fitted in pieces" in said[0]
    between = found[55:185]  # over three borders
    assert np.array_equal(between.confidence > 0, whole.confidence[55:185] > 0)
    assert np.abs(between.xy - whole.xy[55:185]).max() < 0.5  # lengths of limbs are measured by a piece
    assert np.array_equal(found[170:175].xy, between.xy[115:120]), "the same frames, however they are asked for"


def test_a_piece_that_begins_without_anybody_holds_the_last_pose(short_pieces, monkeypatch):
    monkeypatch.setattr(pieces, "_MARGIN", 5)
    clip = moving(240)
    confidence = clip.confidence.copy()
    confidence[100:200] = 0
    clip = replace(clip, confidence=confidence)
    settings = RenderSettings(fill_hands=False)
    held = driving.read_driving(clip, load_source(None, None), settings)
    for frame in (100, 130, 180, 199):
        assert np.array_equal(held.clip[frame : frame + 1].xy[0], clip.xy[99])
    assert any("nobody is found in 103 of 240 frames" in warning for warning in held.warnings)


@pytest.mark.parametrize("align", [False, True])
def test_a_long_clip_is_laid_onto_the_canvas_as_a_short_one(short_pieces, monkeypatch, align):
    clip, source = moving(240), load_source(None, None)
    settings = RenderSettings(align=align)

    def scene() -> Scene:
        driven = driving.read_driving(clip, source, settings).clip
        return build_scene(source, driven, (210, 260), 0.81, (300, 300), align)

    found = scene()
    monkeypatch.setattr(driving, "LONGEST_WHOLE", 1000)
    whole = scene()
    assert isinstance(found.driving, pieces.Pieces)
    assert isinstance(whole.driving, Keypoints)
    assert (found.framing, found.driving.size) == (whole.framing, whole.driving.size)
    some = found.driving[100:130]
    assert np.array_equal(some.confidence > 0, whole.driving.confidence[100:130] > 0)
    assert np.abs(some.xy - whole.driving.xy[100:130]).max() < 1
