"""What each format has room for, and in words what a clip loses in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from signgen.keypoints.skeleton import FACE, FEET, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

if TYPE_CHECKING:
    from signgen.keypoints.clip import Keypoints

EVERY = tuple(range(NUM_JOINTS))
_HANDS = (*range(LEFT_HAND.start, LEFT_HAND.stop), *range(RIGHT_HAND.start, RIGHT_HAND.stop))
WITHOUT_FEET = tuple(joint for joint in EVERY if not FEET.start <= joint < FEET.stop)
SKELS_JOINTS = (0, *range(5, 11), *_HANDS)
_PARTS = {
    "eyes and ears": (1, 2, 3, 4), "hips": (11, 12), "knees and ankles": (13, 14, 15, 16),
    "feet": tuple(range(FEET.start, FEET.stop)), "face": tuple(range(FACE.start, FACE.stop)),
}  # fmt: skip


@dataclass(frozen=True)
class Room:
    """What a format holds.

    Attributes:
        label: how people call it.
        size, fps, confidence: whether it says them.
        name: ``inside`` (any name), ``file`` (the file's own name is read as the clip's), or ``files`` (the names of
            the files in its folder).
        joints: the points that it holds.
        placed: whether it says where in the frame the signer stands, and how large.
    """

    label: str
    size: bool = False
    fps: bool = False
    confidence: bool = True
    name: str = "file"
    joints: tuple[int, ...] = EVERY
    placed: bool = True


ROOMS = {
    "npz": Room("npz", size=True, fps=True, name="inside"),
    "pose": Room(".pose", size=True, fps=True),
    "mmpose": Room("MMPose JSON"),
    "mmpose-topdown": Room("MMPose's top-down JSON"),
    "mmpose-0.x": Room("MMPose 0.x JSON"),
    "openpose": Room("OpenPose JSON", name="files"),
    "rtmlib": Room("RTMLib JSON"),
    "coco-wholebody": Room("COCO-WholeBody JSON", size=True),
    "uni-sign": Room("Uni-Sign's pickle"),
    "dwpose": Room("DWPose's pickle", joints=WITHOUT_FEET),
    "mska": Room("MSKA's pickle", name="inside"),
    "slrt": Room("SLRT's pickle", name="inside"),
    "nla-slr": Room("NLA-SLR's pickle", name="inside"),
    "npy": Room("npy"),
    "skels": Room(".skels", confidence=False, joints=SKELS_JOINTS, placed=False),
    "fpdm": Room("FPDM's text", confidence=False),
}


def losses(keypoints: Keypoints, format: str, stem: str, header: bool = False) -> list[str]:
    """One line for each thing of this clip that the format has no room for.

    Args:
        stem: the name, without suffix, of the file or folder that is written.
        header: whether a header beside it holds frame size and rate.
    """
    room = ROOMS[format]
    said = ["" if header else _frame(keypoints, room), _name(keypoints.name, room, stem), _points(keypoints, room)]
    if not room.confidence and ((keypoints.confidence > 0) & (keypoints.confidence < 1)).any():
        said.append(f"{room.label} has no room for confidences: a point is there or is missing")
    if not room.placed:
        said.append(f"{room.label} has no room for place and size: the neck is the origin, shoulders are 1 apart")
    return [line for line in said if line]


def _frame(keypoints: Keypoints, room: Room) -> str:
    if room.size and room.fps:
        return ""
    size, rate = f"the frame size ({keypoints.width}x{keypoints.height})", f"the rate ({keypoints.fps:g} fps)"
    lost = [words for words, held in ((size, room.size), (rate, room.fps)) if not held]
    options = [option for option, held in (("--frame-size", room.size), ("--fps", room.fps)) if not held]
    return f"{room.label} has no room for {' and '.join(lost)}: give {' and '.join(options)} when it is read"


def _name(name: str, room: Room, stem: str) -> str:
    if not name or room.name == "inside" or name == stem:
        return ""
    if room.name == "files" and name.rsplit("/", 1)[-1] == name:
        return ""
    return f"{room.label} has no room for the clip's name ({name})"


def _points(keypoints: Keypoints, room: Room) -> str:
    """Parts of which points are seen that the format does not have."""
    absent = np.setdiff1d(EVERY, room.joints)
    lost = (keypoints.confidence[:, absent] > 0).any(0)
    if not lost.any():
        return ""
    parts = [name for name, joints in _PARTS.items() if set(absent[lost]) & set(joints)]
    return f"{room.label} has no room for {', '.join(parts)}: {int(lost.sum())} of 133 points are left out"
