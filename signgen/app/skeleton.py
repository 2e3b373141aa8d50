"""Keypoints for the browser, which draws them itself: small, at once, and sharp on every screen."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints

PER_PIXEL = 4  # units of a coordinate
MISSING = -32768
_FARTHEST = 32000


def packed(keypoints: Keypoints) -> str:
    """x and y of all points as base64 of little-endian int16 (T,133,2), quarter pixels, `MISSING` where not seen."""
    points = np.clip(np.rint(keypoints.xy * PER_PIXEL), -_FARTHEST, _FARTHEST).astype("<i2")
    points[keypoints.confidence <= 0] = MISSING
    return base64.b64encode(points.tobytes()).decode("ascii")


def strokes() -> list[list[Any]]:
    """What to draw, in order: [point, point, colour as #rrggbb, width for a frame of 260 rows]."""
    from signgen.keypoints.skeleton import FINGERS, LIMB_GROUPS
    from signgen.pose_image.palette import FINGER_WIDTH, GROUPS, LEFT_FINGERS, RIGHT_FINGERS, WRIST_LINKS

    drawn: list[list[Any]] = []
    for name, (colour, width) in GROUPS.items():
        pairs = (*LIMB_GROUPS[name], *WRIST_LINKS.get(name, ()))
        drawn += [[a, b, _hex(colour), width] for a, b in pairs]
    for side, colours in (("left", LEFT_FINGERS), ("right", RIGHT_FINGERS)):
        for finger, colour in zip(FINGERS, colours, strict=True):
            drawn += [[a, b, _hex(colour), FINGER_WIDTH] for a, b in LIMB_GROUPS[f"{side}_{finger}"]]
    return drawn


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def show(keypoints: Keypoints, title: str, live: str | None = None) -> str:
    """What the page's player is told, as JSON.

    Args:
        keypoints: the frames to be shown.
        title: name of the clip.
        live: key of the feed that will have the rendered frames.
    """
    width, height = keypoints.size
    content = {
        "title": title, "frames": len(keypoints), "width": width, "height": height, "fps": keypoints.fps,
        "points": packed(keypoints), "live": live,
    }  # fmt: skip
    return json.dumps(content)
