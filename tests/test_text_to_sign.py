"""What text-to-sign systems emit, made ready for rendering: points without nose and eyes, skeletons without a face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from keypoint_maker import signer
from tiny_pipeline import make_pipeline

from signgen.keypoints import Keypoints, write_keypoints
from signgen.rendering import render
from signgen.rendering.driving import read_driving
from signgen.rendering.plan import FITTED
from signgen.rendering.scene import Scene, build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import load_source

CANVAS = (210, 260)
SHOULDERS, FACE, NOSE_AND_EYES = [5, 6], slice(23, 91), [0, 1, 2]
REDUCED_FACE = (27, 28, 29, 30)  # of iBUG-68, without: the bridge of the nose


def scene_of(path: Path, align: bool = False) -> Scene:
    source = load_source("alma")
    driving = read_driving(path, source, RenderSettings())
    return build_scene(source, driving.clip, CANVAS, 0.81, None, align or not driving.placed)


def reduced(path: Path) -> Path:
    """A clip with what spoken-to-signed-translation keeps: no nose, eyes and ears, no bridge of the nose."""
    whole = signer(6, shift=(300.0, 200.0), scale=1.6)
    confidence = whole.confidence.copy()
    confidence[:, [0, 1, 2, 3, 4, *range(13, 23), *(23 + i for i in REDUCED_FACE)]] = 0
    confidence[:, 91:112] = 0  # and a hand that was never found
    write_keypoints(Keypoints(whole.xy, confidence, 640, 480, 25.0, "kinder"), path)
    return path


def skels(path: Path, scale: float = 1.0) -> Path:
    write_keypoints(signer(6, scale=scale), path)
    return path


def test_a_reduced_face_gets_nose_and_eyes_where_they_belong(tmp_path: Path) -> None:
    xy, seen = (scene := scene_of(reduced(tmp_path / "a.pose"))).driving.xy, scene.driving.confidence > 0
    assert seen[:, NOSE_AND_EYES].all()
    for eye, corners in ((2, (36, 39)), (1, (42, 45))):  # each eye lies between its corners in the face
        middle = xy[:, [23 + i for i in corners]].mean(1)
        assert np.linalg.norm(xy[:, eye] - middle, axis=-1).max() < 6
    assert (xy[:, 1, 0] > xy[:, 2, 0]).all()  # left is the signer's left
    jaw = xy[:, 23:40, 0]
    assert ((jaw.min(1) < xy[:, 0, 0]) & (xy[:, 0, 0] < jaw.max(1))).all()
    assert (xy[:, 0, 1] > xy[:, [1, 2], 1].max(1)).all()
    assert any("head and face points that no frame shows" in line for line in scene.warnings)


def test_the_hand_that_was_never_found_hangs_on_its_arm(tmp_path: Path) -> None:
    scene = scene_of(reduced(tmp_path / "a.pose"))
    assert (scene.driving.confidence[:, 91:112] > 0).all()
    assert np.abs(scene.driving.xy[:, 91] - scene.driving.xy[:, 9]).max() < 4


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7])
def test_a_skeleton_without_place_or_face_stands_where_the_source_does(tmp_path: Path, scale: float) -> None:
    """Whatever its size was, shoulders and nose are the source person's, and the whole face is on the head."""
    scene = scene_of(skels(tmp_path / "a.skels", scale))
    person, driving = scene.person, scene.driving
    middle = driving.xy[:, SHOULDERS].mean(1)
    assert np.abs(middle - person.xy[0, SHOULDERS].mean(0)).max() < 1
    ours, theirs = (np.linalg.norm(points[0, 5] - points[0, 6]) for points in (driving.xy, person.xy))
    assert ours == pytest.approx(theirs, rel=0.01)
    assert (driving.confidence[:, FACE] > 0).all()
    assert np.linalg.norm(driving.xy[:, 0] - person.xy[0, 0], axis=-1).max() < 3
    assert np.abs(driving.xy[:, FACE] - person.xy[0, FACE]).max() < 4
    assert not any("try --align" in line for line in scene.warnings)


def test_the_face_moves_with_the_nose(tmp_path: Path) -> None:
    clip = signer(6)
    xy = clip.xy.copy()
    xy[3:, 0, 0] += 5
    write_keypoints(Keypoints(xy, clip.confidence, 210, 260, 25.0, "nod"), tmp_path / "a.skels")
    moved = scene_of(tmp_path / "a.skels").driving.xy
    by = moved[4, 0] - moved[1, 0]
    assert by[0] > 2
    assert np.allclose(moved[4, FACE] - moved[1, FACE], by, atol=0.01)


def test_what_was_fitted_is_said_and_kept_in_the_manifest(tmp_path: Path) -> None:
    path = skels(tmp_path / "a.skels")
    done = render(path, "alma", make_pipeline(), tmp_path / "out.mp4", frames=slice(0, 1))
    assert FITTED in done.warnings
    assert json.loads(done.manifest.read_text())["configuration"]["align"] is True
    placed = render(signer(2), "alma", make_pipeline(), tmp_path / "placed.mp4", frames=slice(0, 1))
    assert FITTED not in placed.warnings
