"""Hands that reach beyond the model's canvas: it shows more, of source and driving person alike, as far as it can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_framing import person

from signgen.rendering.framing import HANDS_OUT, find_stance, hands_outside
from signgen.rendering.scene import ZOOMS, build_scene
from signgen.rendering.source import load_source

CANVAS, SIZE, ASPECT = (216, 264), (1280, 720), 0.81
SHOULDERS = 180.0  # pixels


def signing(reach: float):
    """A camera frame of someone whose hands are ``reach`` shoulder widths to both sides of the middle."""
    clip = person(SIZE, 640, 330, SHOULDERS, 150)
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    for hand, side in ((slice(91, 112), 1), (slice(112, 133), -1)):
        xy[:, hand] = (640 + side * reach * SHOULDERS, 400) + np.linspace(-8, 8, 21)[:, None]
        confidence[:, hand] = 0.9
    return replace(clip, xy=xy, confidence=confidence)


def scene_of(reach: float, size=SIZE):
    return build_scene(load_source("cora"), signing(reach), CANVAS, ASPECT, size, align=False)


def test_hands_that_fit_change_nothing():
    scene = scene_of(0.8)
    assert not any("wide signing" in line for line in scene.warnings)
    assert hands_outside(signing(0.8), scene.framing) == 0


@pytest.mark.parametrize("reach", [1.25, 1.4])
def test_wide_signing_is_painted_smaller_and_whole(reach):
    near, far = scene_of(0.8), scene_of(reach)
    assert hands_outside(signing(reach), near.framing) > HANDS_OUT
    assert hands_outside(signing(reach), far.framing) <= HANDS_OUT
    assert sum("wide signing" in line for line in far.warnings) == 1
    assert not any("cannot be shown" in line for line in far.warnings)
    person_there, driving_there = find_stance(far.person), find_stance(far.driving)
    assert (driving_there.x, driving_there.y) == pytest.approx((person_there.x, person_there.y), abs=1)
    assert driving_there.width == pytest.approx(person_there.width, rel=0.02)
    assert person_there.width < find_stance(near.person).width / min(ZOOMS) * 1.02
    # In the video the signer is as large as before: only what the canvas covers has grown.
    on_screen = [find_stance(scene.framing.to_output(scene.driving)).width for scene in (near, far)]
    assert on_screen[0] == pytest.approx(on_screen[1], rel=0.03)


def test_more_is_shown_above_and_beside_the_person_and_nothing_below():
    near = scene_of(0.8).framing
    zoomed = near.zoomed_out(1.25)
    assert zoomed.y + zoomed.height == near.y + near.height
    assert zoomed.x + zoomed.width / 2 == pytest.approx(near.x + near.width / 2, abs=1)
    assert zoomed.width == pytest.approx(1.25 * near.width, abs=1)


def test_hands_out_of_all_reach_are_warned_about():
    scene = scene_of(3.2)
    assert any("cannot be shown" in line for line in scene.warnings)


def test_a_frame_of_the_models_own_shape_is_taken_as_it_is():
    clip = signing(1.4).with_size(540, 660)
    scene = build_scene(load_source("cora"), clip, CANVAS, ASPECT, (540, 660), align=False)
    assert not any("wide signing" in line for line in scene.warnings)
    assert (scene.framing.x, scene.framing.y) == (0, 0)
