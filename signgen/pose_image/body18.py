"""Styles ``fpdm18``, ``cfld18`` and ``imagpose18``: person synthesis' drawings of 18 body points, pixel for pixel.

Weights trained on one of them expect it: they differ in the order of colours, in what is blended, and in sizes, which
do not grow with the picture.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from signgen.keypoints.layouts.body18 import to_body18
from signgen.keypoints.skeleton import HANDS
from signgen.pose_image.fpdm import FARTHEST, MISSING, ellipse, paint

# OpenPose's 17 limbs, points numbered from 1; its list has two more, from shoulder to ear, which none of these draws.
LIMBS = (
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14), (2, 1),
    (1, 15), (15, 17), (1, 16), (16, 18),
)  # fmt: skip
# OpenPose's rainbow, 18 hues from red to purple: point i and limb i have colour i.
RAINBOW = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
DARKER = 0.6  # of a limb's colour against its point's, in ``cfld18`` and ``imagpose18``
STICK, RADIUS = 4, 4  # pixels: half width of a limb, radius of a point; ``cfld18`` has lines of 2 and points of 3
SURE = 0.3  # from which score on ``imagpose18`` draws a point; annotations of the other two have no scores
_FINGERS = [
    (0 if joint == 0 else 4 * finger + joint, 4 * finger + joint + 1) for finger in range(5) for joint in range(4)
]


def draw_clip(
    xy: np.ndarray, confidence: np.ndarray, frame_size: tuple[int, int], size: tuple[int, int], style: str
) -> np.ndarray:
    """(T,133,2) pixels of ``frame_size`` and (T,133) -> (T,H,W,3) uint8 RGB pictures of ``size``.

    A point is missing where its confidence is 0; for ``imagpose18`` also where it is not above 0.3.
    """
    points = np.concatenate([np.asarray(xy, np.float64), np.asarray(confidence, np.float64)[..., None]], -1)
    points = np.where(np.isfinite(points).all(-1, keepdims=True), points, 0)
    points[points[..., 2] <= (SURE if style == "imagpose18" else 0)] = 0
    out = np.zeros((len(points), size[1], size[0], 3), np.uint8)
    for picture, pose, body in zip(out, points, to_body18(points), strict=True):
        draw_body(picture, _scaled(body, frame_size, size), style)
        if style == "imagpose18":
            for hand in HANDS:
                _draw_hand(picture, _scaled(pose[hand], frame_size, size))
    return out


def _scaled(points: np.ndarray, frame_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(J,3) of ``frame_size`` -> (J,2) of ``size``, `MISSING` where the confidence is 0."""
    places = np.clip(points[:, :2] * size / frame_size, -FARTHEST, FARTHEST)
    return np.where(points[:, 2:] > 0, places, MISSING)


def draw_body(picture: np.ndarray, points: np.ndarray, style: str) -> None:
    """Paints 18 points on a black picture.

    Args:
        picture: (H,W,3) uint8, changed in place.
        points: (18,2) pixels in OpenPose's order; a point with a coordinate of exactly -1 is not there.
        style: ``fpdm18`` (each limb blended ``0.4 old + 0.6 new``, red and blue exchanged), ``cfld18`` (thin lines and
            points, smooth edges) or ``imagpose18`` (limbs as they are, darkened together, points over them).
    """
    if style == "fpdm18":
        paint(picture, points, LIMBS, [colour[::-1] for colour in RAINBOW], RADIUS, STICK)
        return
    there = (points != MISSING).all(-1)
    places = [(int(x), int(y)) for x, y in points]
    for limb, colour in zip(LIMBS, RAINBOW, strict=False):
        first, second = (joint - 1 for joint in limb)
        if not there[[first, second]].all():
            continue
        if style == "cfld18":
            dark = [round(value * DARKER) for value in colour]
            cv2.line(picture, places[first], places[second], dark, 2, cv2.LINE_AA)
        else:
            cv2.fillConvexPoly(picture, ellipse(points[[first, second]], STICK), colour)
    if style == "imagpose18":
        picture[:] = (picture * DARKER).astype(np.uint8)
    for place, seen, colour in zip(places, there, RAINBOW, strict=True):
        if seen and style == "cfld18":
            cv2.circle(picture, place, 3, colour, -1, cv2.LINE_AA)
        elif seen:
            cv2.circle(picture, place, RADIUS, colour, -1)


def _draw_hand(picture: np.ndarray, points: np.ndarray) -> None:
    """DWPose's hand of (21,2) points: bones from red round to purple, joints blue; none at the left or upper edge."""
    shown = (points != MISSING).all(-1) & (points.astype(int) > 0).all(-1)
    places = [(int(x), int(y)) for x, y in points]
    for number, (first, second) in enumerate(_FINGERS):
        if shown[first] and shown[second]:
            hue = colorsys.hsv_to_rgb(number / len(_FINGERS), 1.0, 1.0)
            cv2.line(picture, places[first], places[second], [value * 255 for value in hue], 2)
    for place, seen in zip(places, shown, strict=True):
        if seen:
            cv2.circle(picture, place, RADIUS, (0, 0, 255), -1)
