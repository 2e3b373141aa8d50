"""What is sewn onto clothes: collar leaves, ties, plackets with buttons, lapels; thin sheets laid on the cloth.

A sheet is a grid of places on the draped shell. Round the neck a place is an angle (0 the front, towards the person's
left) and a canonical height, on the chest canonical x and z. Where the shell lies at a place is a local linear fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.synthetic.body.mesh import CLOTH, Patch, grid_faces, lined, plain_patch, sparse_weights
from signgen.synthetic.body.rotations import Triple, triple
from signgen.synthetic.dress.looks import Look

NECK_Y = -0.030  # canonical y of the axis round which a collar lies
NECK_RADIUS = 0.075  # metres of arc that one radian counts for in a fit
NEAREST = 14
REACH = 0.012  # metres, standard deviation of a fit's weights
TIE_ROWS = ((0.790, 0.015), (0.775, 0.019), (0.758, 0.014), (0.745, 0.013), (0.60, 0.026), (0.30, 0.037))
HEM_AT = np.array([0.0, 0.25, 0.5, 0.75, 0.92, 1.0])  # across a leaf, from where it is held to its free edge
HEM_SHADE = np.array([1.10, 1.16, 1.18, 1.14, 0.92, 0.48])  # the free edge is dark: it stands off the cloth below


@dataclass(frozen=True)
class Seat:
    """Where sheets can lie: parameters (n, 2), draped vertices (n, 3) and dense skinning weights (n, J)."""

    at: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    round_neck: bool

    def places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (m, 3), outward unit normals (m, 3) and dense weights (m, J) at parameters (m, 2)."""
        away = at[:, None] - self.at[None]
        square = (away**2).sum(2)
        near = np.argsort(square, 1)[:, :NEAREST]
        rows = np.arange(len(at))[:, None]
        share = np.exp(-square[rows, near] / (2 * REACH**2)) + 1e-6
        share /= share.sum(1, keepdims=True)
        design = np.concatenate([np.ones((*near.shape, 1)), -away[rows, near]], 2)
        normal_matrix = np.einsum("mki,mk,mkj->mij", design, share, design) + np.diag([0, 2e-6, 2e-6])
        fit = np.linalg.solve(normal_matrix, np.einsum("mki,mk,mkc->mic", design, share, self.vertices[near]))
        normal = np.cross(fit[:, 1], fit[:, 2])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        return fit[:, 0], normal, np.einsum("mk,mkj->mj", share, self.weights[near])


def neck_seat(canonical: np.ndarray, vertices: np.ndarray, weights: np.ndarray) -> Seat:
    """Round the neck and on the shoulders beside it."""
    near = np.flatnonzero((canonical[:, 2] > 0.69) & (np.abs(canonical[:, 0]) < 0.20))
    x, y, z = canonical[near].T
    angle = np.arctan2(x, -(y - NECK_Y))
    turns = [np.stack([NECK_RADIUS * (angle + turn), z], 1) for turn in (-2 * np.pi, 0, 2 * np.pi)]
    near = np.tile(near, 3)
    return Seat(np.concatenate(turns), vertices[near], weights[near], True)


def chest_seat(canonical: np.ndarray, vertices: np.ndarray, weights: np.ndarray, arm: np.ndarray) -> Seat:
    """The front of the trunk."""
    front = np.flatnonzero((canonical[:, 1] < -0.03) & (arm < 0.35) & (np.abs(canonical[:, 0]) < 0.17))
    return Seat(canonical[front][:, [0, 2]], vertices[front], weights[front], False)


def _sheet(seat: Seat, at: np.ndarray, lift: np.ndarray, colour: Triple | np.ndarray) -> Patch:
    """A sheet over a grid of parameters (R, C, 2), `lift` (R, C) metres above the cloth; colour one or (R, C, 3)."""
    rows, columns = lift.shape
    points, normals, dense = seat.places(at.reshape(-1, 2))
    vertices = points + normals * lift.reshape(-1, 1)
    faces = grid_faces(rows, columns)
    corners = vertices[faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if (outward * normals[faces[:, 0]]).sum() < 0:
        faces = faces[:, ::-1]
    weights, bones = sparse_weights(dense)
    shades = np.broadcast_to(np.asarray(colour, float), (rows, columns, 3)).reshape(-1, 3)
    patch = plain_patch(vertices, faces, CLOTH, shades, vertices, weights, bones)
    return lined(patch, np.ones(len(faces), bool))


def _plain(patch: Patch) -> Patch:
    """The patch without the pattern of the cloth below it."""
    patch.trim[:] = -2.0
    return patch


def _collar(seat: Seat, colour: Triple, opening: float, spread: float, length: float) -> list[Patch]:
    """Two leaves from the fold line down; `opening` degrees from the middle, points `spread` degrees further out."""
    leaves = []
    for side in (-1, 1):
        u, v = np.linspace(0, 1, 22)[:, None], HEM_AT[None]
        top = opening + u * (182 - opening)
        low = opening + spread + u * (182 - opening - spread)
        angle = top + (low - top) * v
        high = np.interp(angle, [0, 60, 90, 120, 180], [0.800, 0.822, 0.842, 0.856, 0.868])
        bottom = np.interp(angle, [0, 35, 60, 90, 120, 180], [0.745, 0.735, 0.784, 0.826, 0.838, 0.838])
        height = high + (bottom - high) * v * length
        lift = 0.004 + 0.007 * np.sin(np.pi * np.clip(v * 0.75 + 0.1, 0, 1)) + 0 * u
        at = np.stack([NECK_RADIUS * side * np.radians(angle), height], 2)
        shade = np.asarray(colour) * (HEM_SHADE + 0 * u)[:, :, None]
        shade[:2] *= 0.72  # the front edge of a leaf
        leaves.append(_sheet(seat, at, lift, shade))
    return leaves


def _strip(seat: Seat, heights: np.ndarray, half: np.ndarray, lift: tuple[float, float], colour: Triple) -> Patch:
    """A strip down the middle: canonical heights and half-widths (R,), lift at its edges and its middle."""
    across = np.linspace(-1, 1, 7)
    at = np.stack([half[:, None] * across, np.broadcast_to(heights[:, None], (len(heights), 7))], 2)
    rise = lift[0] + (lift[1] - lift[0]) * np.sqrt(np.clip(1 - across**2, 0, 1))
    shade = np.asarray(colour) * (0.6 + 0.4 * np.clip(1 - across**2, 0, 1) ** 0.3)[None, :, None]
    return _sheet(seat, at, np.broadcast_to(rise, at.shape[:2]), np.broadcast_to(shade, (*at.shape[:2], 3)))


def _tie(seat: Seat, colour: Triple) -> list[Patch]:
    rows = np.array(TIE_ROWS)
    heights = np.concatenate([np.linspace(0.790, 0.750, 7), np.linspace(0.740, 0.30, 26)])
    half = np.interp(-heights, -rows[:, 0], rows[:, 1])
    blade = _strip(seat, heights, half, (0.003, 0.008), colour)
    knot = np.linspace(0.792, 0.754, 6)
    bulge = np.interp(-knot, -rows[:, 0], rows[:, 1]) + 0.002
    return [blade, _strip(seat, knot, bulge, (0.006, 0.014), triple(1.15 * channel for channel in colour))]


def _buttons(seat: Seat, colour: Triple, top: float, bottom: float, x: float, step: float) -> list[Patch]:
    out = []
    ring = np.array([[0, 0.2, 0.8, 1.0]])
    turn = np.linspace(0, 2 * np.pi, 9)[:, None]
    for height in np.arange(top, bottom, -step):
        at = np.stack([x + 0.0055 * ring * np.cos(turn), height + 0.0055 * ring * np.sin(turn)], 2)
        shade = np.asarray(colour) * (1.1 - 0.4 * ring + 0 * turn)[:, :, None]
        out.append(_plain(_sheet(seat, at, np.full(at.shape[:2], 0.007), shade)))
    return out


def _placket(seat: Seat, cloth: Triple, button: Triple, top: float) -> list[Patch]:
    heights = np.linspace(top, 0.20, 30)
    strip = _strip(seat, heights, np.full(30, 0.016), (0.0015, 0.0035), triple(1.12 * channel for channel in cloth))
    return [strip, *_buttons(seat, button, top - 0.03, 0.22, 0.0, 0.075)]


def opening_half(height: np.ndarray, button: float) -> np.ndarray:
    """Half-width (n,) in metres of a jacket's or waistcoat's front opening at canonical heights."""
    return 0.088 * np.clip((height - button) / (0.76 - button), 0, 1) - 0.004


def _lapels(seat: Seat, colour: Triple, button: float) -> list[Patch]:
    """From the button up to the neck; the notch is a third of the way down."""
    out = []
    heights = np.linspace(button, 0.775, 26)
    t = (heights - button) / (0.775 - button)
    width = np.interp(t, [0, 0.10, 0.62, 0.70, 0.74, 0.80, 1.0], [0.004, 0.014, 0.056, 0.060, 0.036, 0.046, 0.030])
    inner = opening_half(heights, button)
    for side in (-1, 1):
        u = HEM_AT[None]
        at = np.stack([side * (inner[:, None] + width[:, None] * u), np.broadcast_to(heights[:, None], (26, 6))], 2)
        lift = 0.005 + 0.005 * np.sin(np.pi * np.clip(0.15 + 0.65 * u, 0, 1)) + 0 * t[:, None]
        shade = np.asarray(colour) * (1.1 * HEM_SHADE + 0 * t[:, None])[:, :, None]
        out.append(_sheet(seat, at, lift, shade))
    return out


def trimmings(look: Look, neck: Seat, chest: Seat) -> list[Patch]:
    """Everything sewn on for this look; empty for plain jumpers."""
    shirt = look.shirt
    parts: list[Patch] = []
    if look.neckline in ("shirt", "vest", "suit"):
        parts += _collar(neck, shirt, 3.0 if look.tie or look.neckline == "suit" else 14.0, 30.0, 1.0)
        parts += [_plain(part) for part in _tie(chest, look.tie_colour)] if look.tie else []
    if look.neckline == "blouse":
        parts += _collar(neck, shirt, 30.0, 22.0, 0.85)
    if look.neckline in ("shirt", "blouse") and not look.tie:
        parts += _placket(chest, shirt, look.button, 0.74 if look.neckline == "shirt" else 0.66)
    if look.neckline in ("jacket", "suit"):
        parts += _lapels(chest, look.cloth, look.closed)
        parts += _buttons(chest, look.button, look.closed - 0.015, 0.22, 0.012, 0.10)
    if look.neckline == "vest":
        parts += _buttons(chest, look.button, look.closed - 0.015, 0.22, 0.0, 0.065)
    return parts
