"""Strands of hair: narrow ribbons that run over the hair's surface, each in its own tone, and stray past its edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from signgen.synthetic.body.mesh import HAIR, Patch, plain_patch
from signgen.synthetic.dress.looks import Look

SEGMENTS = 3
LOOSE = 0.016  # metres from the hair's surface at which a strand has lost it and is left out
KNOT = np.array([0.0, 0.055, 1.03])  # canonical place towards which tied hair is drawn


@dataclass(frozen=True)
class Combing:
    """How strands of a cut run: how many, how long (metres), how far they stand off and how wildly they turn."""

    count: int
    length: float
    stray: float
    wild: float


COMBINGS = {
    "cropped": Combing(300, 0.014, 0.0012, 0.5),
    "receding": Combing(240, 0.022, 0.0015, 0.3),
    "short": Combing(380, 0.030, 0.0030, 0.45),
    "side": Combing(380, 0.046, 0.0035, 0.30),
    "full": Combing(420, 0.048, 0.0045, 0.40),
    "quiff": Combing(420, 0.045, 0.0055, 0.35),
    "curly": Combing(560, 0.022, 0.0080, 2.2),
    "afro": Combing(760, 0.020, 0.0090, 2.5),
    "tied": Combing(300, 0.060, 0.0018, 0.12),
    "pony": Combing(300, 0.060, 0.0018, 0.12),
    "bun": Combing(300, 0.055, 0.0020, 0.12),
    "fringe": Combing(420, 0.055, 0.0030, 0.20),
    "bob": Combing(420, 0.075, 0.0035, 0.15),
    "long": Combing(460, 0.095, 0.0040, 0.18),
    "wavy": Combing(480, 0.085, 0.0070, 0.45),
}


def _combed(look: Look, points: np.ndarray) -> np.ndarray:
    """Direction (n, 3), not of unit length, in which hair at canonical points is combed."""
    x, y, z = points.T
    down = np.stack([0.3 * x / 0.08, np.full(len(x), 0.15), -np.ones(len(x))], 1)
    if look.hair in ("tied", "bun", "pony"):
        return KNOT - points
    if look.hair in ("quiff", "receding"):
        back = np.stack([0.2 * x / 0.08, np.ones(len(x)), np.full(len(x), 0.25)], 1)
        return np.where((z > 1.035)[:, None], back, down)
    if look.hair in ("fringe", "cropped", "short"):
        forward = np.stack([0.3 * x / 0.08, -np.ones(len(x)), np.full(len(x), -0.4)], 1)
        return np.where(((z > 1.05) & (y < 0.0))[:, None], forward, down)
    if look.hair in ("bob", "long", "wavy"):  # swept aside over the forehead, never into the face
        aside = np.stack([np.where(x > look.parting, 1.0, -1.0), np.full(len(x), 0.55), np.full(len(x), -0.25)], 1)
        return np.where(((y < -0.07) | (z > 1.06))[:, None], aside, down)
    across = np.stack([np.where(x > look.parting, 1.0, -1.0), np.full(len(x), 0.25), np.full(len(x), -0.35)], 1)
    return np.where((z > 1.06)[:, None], across, down)


def _nearest(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Index (n,) of the vertex of `to` (m, 3) nearest to each point (n, 3)."""
    square = (to**2).sum(1) - 2 * points @ to.T
    return square.argmin(1)


def strands_patch(look: Look, hair: Patch, normals: np.ndarray) -> Patch:
    """Ribbons over a patch of hair with vertex normals (n, 3); they grow where its cut is well above 0."""
    combing = COMBINGS[look.hair]
    rng = np.random.default_rng([look.seed, 61])
    grown = np.flatnonzero(hair.cut > 0.001)
    roots = rng.choice(grown, combing.count)
    forehead = hair.canonical[roots, 1] < -0.085
    length = np.where(forehead, min(combing.length, 0.045), combing.length) * rng.uniform(0.5, 1.3, combing.count)
    turn = rng.normal(0, combing.wild, (combing.count, 3))
    lifted = 0.0008 + combing.stray * rng.random(combing.count) ** 2
    place = hair.vertices[roots] + rng.normal(0, 0.002, (combing.count, 3))
    direction = np.zeros_like(place)
    at = roots
    lines, sides = [], []
    stays = np.ones(combing.count, bool)
    for k in range(SEGMENTS + 1):
        up = normals[at]
        wanted = _combed(look, hair.canonical[at])
        wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True) + turn * (1 + 0.5 * k)
        wanted = wanted - (wanted * up).sum(1, keepdims=True) * up
        wanted = wanted / np.maximum(np.linalg.norm(wanted, axis=1, keepdims=True), 1e-6)
        direction = wanted if k == 0 else 0.5 * direction + 0.5 * wanted
        height = ((place - hair.vertices[at]) * up).sum(1)
        above = lifted * (0.35 + 0.65 * k / SEGMENTS)
        place = place + up * (above - height)[:, None]
        lines.append(place)
        sides.append(np.cross(up, direction))
        place = place + direction * (length / SEGMENTS)[:, None]
        at = _nearest(place, hair.vertices)
        stays &= np.linalg.norm(place - hair.vertices[at], axis=1) < LOOSE
    return _ribbons(look, hair, roots[stays], np.stack(lines, 1)[stays], np.stack(sides, 1)[stays], rng)


def _ribbons(look: Look, hair: Patch, roots: np.ndarray, lines: np.ndarray, sides: np.ndarray, rng) -> Patch:
    """Ribbons along lines (S, K, 3) with sideways directions of the same shape, tapering to a point."""
    count, points = lines.shape[:2]
    width = rng.uniform(0.0012, 0.0024, count)[:, None, None] * np.linspace(1.0, 0.15, points)[None, :, None]
    vertices = np.stack([lines + sides * width, lines - sides * width], 2).reshape(-1, 3)
    first = np.arange(points - 1) * 2
    one = np.concatenate([np.stack([first, first + 2, first + 1], 1), np.stack([first + 1, first + 2, first + 3], 1)])
    faces = (np.arange(count)[:, None, None] * 2 * points + one[None]).reshape(-1, 3)
    tone = np.exp(rng.normal(0, 0.32, count))
    each = np.repeat(np.arange(count), 2 * points)
    canonical = hair.canonical[roots][each]
    colour = np.clip(np.array(look.hair_colour) * tone[each, None], 0, 0.8)
    patch = plain_patch(vertices, faces, HAIR, colour, canonical, hair.weights[roots][each], hair.bones[roots][each])
    corners = vertices[faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = np.array([0.0, lines[..., 1].mean(), lines[..., 2].mean()])
    inward = (outward * (corners.mean(1) - middle)).sum(1) < 0
    patch.faces[inward] = patch.faces[inward][:, ::-1]
    return patch
