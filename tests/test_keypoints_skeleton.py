"""The skeleton's own consistency."""

from __future__ import annotations

import numpy as np

from signgen.keypoints import skeleton

LIMBS = [limb for group in skeleton.LIMB_GROUPS.values() for limb in group]


def test_names_are_133_different_ones():
    assert len(skeleton.NAMES) == len(set(skeleton.NAMES)) == skeleton.NUM_JOINTS
    assert skeleton.NAMES[9] == "left_wrist"
    assert skeleton.NAMES[skeleton.RIGHT_KNUCKLE] == "right_middle_finger1"


def test_ranges_cover_every_joint_once():
    parts = (skeleton.BODY, skeleton.FEET, skeleton.FACE, skeleton.LEFT_HAND, skeleton.RIGHT_HAND)
    covered = np.concatenate([np.arange(part.start, part.stop) for part in parts])
    assert covered.tolist() == list(range(133))


def test_mirror_swaps_left_and_right_names():
    assert (skeleton.MIRROR[skeleton.MIRROR] == np.arange(133)).all()
    for joint, name in enumerate(skeleton.NAMES):
        partner = skeleton.NAMES[skeleton.MIRROR[joint]]
        if name.startswith("left_"):
            assert partner == "right_" + name.removeprefix("left_")
    face = skeleton.MIRROR[skeleton.FACE] - skeleton.FACE.start
    assert face[[0, 8, 17, 27, 36, 48, 60, 66]].tolist() == [16, 8, 26, 27, 45, 54, 64, 66]


def test_limbs_are_closed_under_mirroring():
    limbs = {frozenset(limb) for limb in LIMBS}
    assert len(limbs) == len(LIMBS)
    assert {frozenset(skeleton.MIRROR[list(limb)].tolist()) for limb in limbs} == limbs


def test_each_hand_is_a_tree_of_20_edges():
    for hand in (skeleton.LEFT_HAND, skeleton.RIGHT_HAND):
        inside = [limb for limb in LIMBS if all(hand.start <= joint < hand.stop for joint in limb)]
        assert len(inside) == 20
        assert sorted(limb[1] for limb in inside) == list(range(hand.start + 1, hand.stop))


def test_every_point_is_in_a_limb():
    assert {joint for limb in LIMBS for joint in limb} == set(range(133))


def test_pairs_are_mirror_partners():
    for pair in ("EYES", "SHOULDERS", "WRISTS", "HIPS", "KNUCKLES"):
        left, right = getattr(skeleton, pair)
        assert skeleton.NAMES[left].startswith("left_")
        assert skeleton.MIRROR[left] == right
    for left, right in zip(skeleton.LEFT_ARM[:3], skeleton.RIGHT_ARM[:3], strict=True):
        assert skeleton.MIRROR[left] == right
