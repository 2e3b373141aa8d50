"""Glasses (two rims, a bridge and temples) and earrings, fixed to the head."""

from __future__ import annotations

import numpy as np

from signgen.synthetic.body.mesh import TEETH, Patch, grid_faces, plain_patch, rigid_weights
from signgen.synthetic.body.template import CORNEAS, SKIN_END, Shape, bone_index, template
from signgen.synthetic.dress.looks import Look

RIM = 0.0024  # metres of a rim's width
POINTS = 28


def _band(inner: np.ndarray, outer: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and two-sided faces of a band between two lines of n points (n, 3)."""
    n = len(inner)
    a = start + np.arange(n - 1)
    front = np.concatenate([np.stack([a, a + 1, a + n], 1), np.stack([a + 1, a + n + 1, a + n], 1)])
    return np.concatenate([inner, outer]), np.concatenate([front, front[:, ::-1]])


def _rim(centre: np.ndarray, half: tuple[float, float], square: float) -> tuple[np.ndarray, np.ndarray]:
    """Inner and outer line of a rim in the plane before an eye; `square` 2 is an ellipse, more is boxier."""
    turn = np.linspace(0, 2 * np.pi, POINTS)
    cos, sin = np.cos(turn), np.sin(turn)
    radius = (np.abs(cos) ** square + np.abs(sin) ** square) ** (-1 / square)
    curve = np.stack([cos * radius, np.zeros(POINTS), sin * radius], 1)
    sizes = np.array([half[0], 0, half[1]])
    return centre + curve * sizes, centre + curve * (sizes + RIM * np.array([1, 0, 1]))


def glasses_patch(look: Look, shape: Shape) -> Patch:
    """The glasses of a signer with this body."""
    shared = template()
    left, right = shape.rest[shared.new[list(CORNEAS)]]
    head = shape.rest[shared.part("head")]
    bridge = head[(np.abs(head[:, 0]) < 0.010) & (np.abs(head[:, 2] - left[2] + 0.006) < 0.008)]
    plane = min(float(bridge[:, 1].min()) - 0.003, float(left[1]) - 0.010)
    half = (0.0245, 0.0205 if look.glasses == "round" else 0.0165)
    square = 2.4 if look.glasses == "round" else 4.5
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for eye, side in ((left, 1), (right, -1)):
        centre = np.array([eye[0] + side * 0.001, plane, eye[2] - 0.003])
        parts.append(_rim(centre, half, square))
        hinge = centre + np.array([side * (half[0] + RIM), 0.0, 0.006])
        ear = np.array([side * (np.abs(head[:, 0]).max() - 0.016), plane + 0.13, eye[2] + 0.004])
        run = np.linspace(0, 1, 6)[:, None]
        temple = hinge + (ear - hinge) * run
        temple[1:, 0] = side * np.maximum(np.abs(temple[1:, 0]), abs(hinge[0]) + 0.004)
        parts.append((temple - [0, 0, 0.0018], temple + [0, 0, 0.0018]))
    nose = np.linspace(-1, 1, 7)[:, None] * np.array([left[0] - half[0], 0, 0])
    rise = np.array([0, -0.002, 0.003]) * np.cos(np.linspace(-1.5, 1.5, 7))[:, None]
    arch = np.array([0, plane, left[2] + 0.001]) + nose + rise
    parts.append((arch - [0, 0, RIM / 2], arch + [0, 0, RIM / 2]))
    vertices, faces, start = [], [], 0
    for inner, outer in parts:
        band, triangles = _band(inner, outer, start)
        vertices.append(band)
        faces.append(triangles)
        start += len(band)
    points = np.concatenate(vertices)
    weights, bones = rigid_weights(start, bone_index["head"])
    return plain_patch(points, np.concatenate(faces), TEETH, look.frame, points, weights, bones)


def earrings_patch(look: Look, shape: Shape) -> Patch:
    """A stud in each ear lobe of a signer with this body."""
    shared = template()
    x, y, z = shared.canonical.T
    ear = (np.abs(x) > 0.070) & (z > 0.92) & (z < 1.0) & (y > -0.085) & (y < -0.02) & (shared.hm08 < SKIN_END)
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 9), np.linspace(-np.pi / 2, np.pi / 2, 6), indexing="ij")
    ball = np.stack([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)], 2).reshape(-1, 3)
    studs = []
    for side in (1, -1):
        lobe = np.flatnonzero(ear & (side * x > 0))
        lowest = shape.rest[lobe[shape.rest[lobe, 2].argmin()]]
        studs.append(lowest + np.array([0.002 * side, -0.002, 0.004]) + look.earrings * ball)
    points, faces = np.concatenate(studs), grid_faces(9, 6)
    weights, bones = rigid_weights(len(points), bone_index["head"])
    both = np.concatenate([faces, faces + len(ball)])
    return plain_patch(points, both, TEETH, look.frame, points, weights, bones)
