"""Solid hands as pictures of six channels: a z-buffer that both hands share, with 2 x 2 samples a pixel.

Channels, -1 to 1, as uint8 with 128 for 0 (nothing, too, is 0): normal to the right, down, to the camera; place along
the hand, across it (thumb's side above 0), palm or back. Mirroring a picture negates the first alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from signgen.pose_image.solid.hand import hand_mesh
from signgen.pose_image.solid.kinematics import compiled

CHANNELS = 6
SAMPLES = 2  # a pixel and side
FAR = np.float32(1e9)
_PALM, _BACK, _THUMB = (np.array(rgb, np.float32) for rgb in ((1, 0.75, 0.6), (0.6, 0.75, 1), (0, 1, -1)))
Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]  # pixels (n,2), depth (n,), normals (n,3), all float32


@compiled
def _rasterise(pixels, depth, normals, attributes, faces, flip, strength, left, top, buffer, out):  # type: ignore[no-untyped-def]
    """Draws one hand into ``out`` (h,w,6) where it is nearer than ``buffer`` (h,w)."""
    height, width = buffer.shape
    side = np.float32(SAMPLES)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if flip:
            b, c = c, b
        ax, ay = (pixels[a, 0] - left) * side, (pixels[a, 1] - top) * side
        bx, by = (pixels[b, 0] - left) * side, (pixels[b, 1] - top) * side
        cx, cy = (pixels[c, 0] - left) * side, (pixels[c, 1] - top) * side
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area >= 0.0:
            continue
        if max(ax, bx, cx) < 0.0 or max(ay, by, cy) < 0.0 or min(ax, bx, cx) > width or min(ay, by, cy) > height:
            continue
        first, last = max(0, math.ceil(min(ax, bx, cx) - 0.5)), min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
        upper, lower = max(0, math.ceil(min(ay, by, cy) - 0.5)), min(height - 1, math.floor(max(ay, by, cy) - 0.5))
        inverse = np.float32(1.0) / area
        for row in range(upper, lower + 1):
            y = np.float32(row) + np.float32(0.5)
            for column in range(first, last + 1):
                x = np.float32(column) + np.float32(0.5)
                u = ((bx - x) * (cy - y) - (cx - x) * (by - y)) * inverse
                v = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) * inverse
                w = np.float32(1.0) - u - v
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    z = u * depth[a] + v * depth[b] + w * depth[c]
                    if z < buffer[row, column]:
                        buffer[row, column] = z
                        us, vs, ws = u * strength, v * strength, w * strength
                        for k in range(3):
                            out[row, column, k] = us * normals[a, k] + vs * normals[b, k] + ws * normals[c, k]
                            out[row, column, 3 + k] = (
                                us * attributes[a, k] + vs * attributes[b, k] + ws * attributes[c, k]
                            )


@compiled
def _pack(samples, out):  # type: ignore[no-untyped-def]
    """The mean of each pixel's samples as uint8, 128 for 0."""
    height, width, _ = out.shape
    scale = np.float32(127.0 / SAMPLES**2)
    for row in range(height):
        for column in range(width):
            for k in range(CHANNELS):
                total = np.float32(0.0)
                for i in range(SAMPLES):
                    for j in range(SAMPLES):
                        total += samples[row * SAMPLES + i, column * SAMPLES + j, k]
                out[row, column, k] = np.uint8(total * scale + np.float32(128.5))  # channels are at most 1


def draw_meshes(
    meshes: Sequence[Mesh | None], left: int, top: int, size: int | tuple[int, int], strength: Sequence[float] = (1, 1)
) -> np.ndarray:
    """Draws a part of a picture with both hands in it.

    Args:
        meshes: of the left and of the right hand, float32: pixels (n,2), depth (n,) (less is nearer) and normals (n,3)
            (right, down, to the camera), vertices in the order of `HandMesh.ids`; None for no hand. The point (x, y)
            lies in pixel (floor x, floor y), as drawn signers' keypoints do.
        left, top: first column and row, whole pixels; the part may reach beyond the picture.
        size: the part's side in pixels, or its (width, height).
        strength: 0 to 1, of each hand: how far its channels are kept.

    Returns:
        uint8 (height, width, 6): normal right, down, to the camera; along the hand, across, palm or back; 128 is 0.
    """
    width, height = (size, size) if isinstance(size, int) else size
    mesh = hand_mesh()
    buffer = np.full((height * SAMPLES, width * SAMPLES), FAR, np.float32)
    samples = np.zeros((*buffer.shape, CHANNELS), np.float32)
    for side, one in enumerate(meshes):
        if one is not None and strength[side] > 0:
            _rasterise(
                *one, mesh.attributes, mesh.faces, side == 1, np.float32(strength[side]), np.float32(left),
                np.float32(top), buffer, samples,
            )  # fmt: skip
    out = np.empty((height, width, CHANNELS), np.uint8)
    _pack(samples, out)
    return out


def exposed(drawn: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of pictures of one exposure, uint8; pixels that are the same in all stay the same."""
    total = np.zeros(drawn[0].shape, np.uint16)
    for picture in drawn:
        total += picture
    return ((2 * total + len(drawn)) // (2 * len(drawn))).astype(np.uint8)


def lit(channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solid hands as they may be looked at: palms warm, backs cool, forearms grey, light from before and above.

    Returns:
        float32 (..., 3) RGB, 0 to 255, over black, and (..., 1) how far a pixel is covered, 0 to 1.
    """
    values = (channels.astype(np.float32) - 128) / 127
    cover = np.minimum(np.linalg.norm(values[..., :3], axis=-1, keepdims=True), 1)  # normals are as long as they cover
    values = values / np.maximum(cover, 1e-3)
    normal, along, across, palm = values[..., :3], values[..., 3:4], values[..., 4:5], values[..., 5:6]
    light = np.clip(0.2 + 0.8 * normal[..., 2:3] - 0.2 * normal[..., 1:2], 0, 1)
    colour = np.where(palm > 0, _PALM, _BACK)
    colour = np.where(along < -0.02, np.float32(0.7), colour)
    return 255 * np.clip(light * colour * (1 - 0.25 * across * _THUMB), 0, 1) * cover, cover
