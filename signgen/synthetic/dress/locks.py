"""Hair from content version 5 on: thousands of thin ribbons that grow from the scalp, are combed, fall and curl.

A ribbon faces the camera's side of the head and is lit as if it were part of the head's rounded mass, so the outline is
that of hair and not of polygons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from signgen.synthetic.body.mesh import HAIR, Patch, plain_patch, rigid_weights
from signgen.synthetic.body.noise import noise_at, smoothstep
from signgen.synthetic.body.template import SKIN_END, Shape, bone_index, template, vertex_normals
from signgen.synthetic.dress.looks import Look

WIDTH = (0.0009, 0.0021)  # metres of a ribbon at its root
FORWARD = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class Growth:
    """How the hair of one cut grows: ribbons, their segments, lengths on the crown, sides, nape and forehead (metres,
    before the look's own length), how far they rise from the scalp, how strongly they fall, how much they curl
    (metres, turns a metre) and how unlike their directions are."""

    count: int
    segments: int
    crown: float
    sides: float
    nape: float
    front: float
    lift: float
    fall: float
    comb: str
    curl: float = 0.0
    turns: float = 0.0
    wild: float = 0.12


GROWTHS = {
    "cropped": Growth(1500, 2, 0.012, 0.008, 0.008, 0.010, 0.55, 0.05, "whorl", wild=0.25),
    "receding": Growth(1300, 3, 0.018, 0.015, 0.015, 0.014, 0.40, 0.15, "back", wild=0.20),
    "short": Growth(1700, 3, 0.030, 0.016, 0.016, 0.026, 0.35, 0.20, "whorl", wild=0.25),
    "side": Growth(1700, 4, 0.048, 0.022, 0.020, 0.052, 0.42, 0.22, "aside"),
    "full": Growth(1800, 5, 0.055, 0.040, 0.035, 0.050, 0.50, 0.25, "aside", curl=0.003, turns=14, wild=0.20),
    "quiff": Growth(1700, 5, 0.045, 0.016, 0.016, 0.062, 0.75, 0.08, "up", wild=0.14),
    "slick": Growth(1600, 5, 0.070, 0.045, 0.040, 0.080, 0.20, 0.15, "back", wild=0.06),
    "curly": Growth(1900, 7, 0.050, 0.036, 0.036, 0.042, 0.75, 0.20, "whorl", curl=0.0065, turns=42, wild=0.35),
    "afro": Growth(2600, 5, 0.034, 0.030, 0.030, 0.026, 1.00, 0.02, "whorl", curl=0.0050, turns=80, wild=0.6),
    "tied": Growth(1500, 5, 0.085, 0.080, 0.060, 0.090, 0.10, 0.0, "tied", wild=0.05),
    "pony": Growth(1500, 5, 0.085, 0.080, 0.060, 0.090, 0.12, 0.0, "tied", wild=0.06),
    "bun": Growth(1500, 5, 0.085, 0.080, 0.060, 0.090, 0.10, 0.0, "tied", wild=0.05),
    "pixie": Growth(1700, 5, 0.055, 0.038, 0.030, 0.062, 0.35, 0.30, "aside", wild=0.18),
    "fringe": Growth(1900, 7, 0.120, 0.115, 0.060, 0.058, 0.30, 0.60, "whorl", wild=0.07),
    "bob": Growth(2000, 8, 0.20, 0.17, 0.10, 0.19, 0.35, 0.60, "parted", wild=0.06),
    "long": Growth(2200, 10, 0.36, 0.33, 0.24, 0.36, 0.32, 0.70, "parted", curl=0.002, turns=6, wild=0.06),
    "wavy": Growth(2200, 11, 0.34, 0.31, 0.24, 0.34, 0.45, 0.55, "parted", curl=0.009, turns=11, wild=0.10),
    "curls": Growth(2200, 15, 0.27, 0.25, 0.20, 0.24, 0.70, 0.40, "parted", curl=0.010, turns=20, wild=0.22),
}
FREE = ("bob", "long", "wavy", "curls")  # cuts that hang below the head
KNOT = np.array([0.0, 0.075, 0.045])  # of tied hair, from the middle of the head


@dataclass(frozen=True)
class Head:
    """A signer's head and shoulders in the rest pose, for hair to lie on."""

    centre: np.ndarray
    top: float
    eye: float
    tree: cKDTree
    vertices: np.ndarray
    normals: np.ndarray

    @classmethod
    def of(cls, shape: Shape) -> Head:
        """Of a body."""
        shared = template()
        skin = shared.hm08 < SKIN_END
        cavities = shared.part("mouth_cavity", "eye_cavity.L", "eye_cavity.R")
        near = skin & (shared.canonical[:, 2] > 0.55) & (np.abs(shared.canonical[:, 0]) < 0.30)
        near[cavities] = False
        normals = vertex_normals(shape.rest, shared.body_faces)
        head = shape.rest[shared.part("head")]
        high = head[head[:, 2] > head[:, 2].max() - 0.16]
        eye = float(shape.heads[bone_index["eye.L"], 2])
        centre = np.array([0.0, 0.5 * (high[:, 1].min() + high[:, 1].max()), eye + 0.02])
        return cls(centre, float(head[:, 2].max()), eye, cKDTree(shape.rest[near]), shape.rest[near], normals[near])

    def laid(self, points: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The points (n, 3), each at least `low` metres (n,) outside the skin and, over the skull, at most `high`.

        Also says which (n,) 0..1 lie beside the skull and not below it.
        """
        _, at = self.tree.query(points)
        normal = self.normals[at]
        height = ((points - self.vertices[at]) * normal).sum(1)
        skull = smoothstep(self.eye - 0.055, self.eye - 0.02, self.vertices[at, 2])
        wanted = np.clip(height, low, np.maximum(low, high))
        wanted = np.where(height > wanted, height + skull * (wanted - height), wanted)
        return points + normal * np.clip(wanted - height, -0.03, 0.03)[:, None], skull


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _combed(look: Look, comb: str, points: np.ndarray, head: Head, side: np.ndarray) -> np.ndarray:
    """Unit direction (n, 3) in which hair at points (n, 3) is combed; `side` (n,) is the sign of its parting side."""
    away = points - head.centre
    x, y, z = away.T
    down = np.stack([0.25 * np.sign(x), 0.15 + 0 * x, -np.ones(len(x))], 1)
    if comb == "tied":
        return _unit(KNOT + [0, 0, 0.05 if look.hair == "bun" else -0.03] - away)
    if comb in ("back", "up"):
        rise = (0.9 if comb == "up" else 0.1) * smoothstep(-0.02, -0.07, y) * smoothstep(0.03, 0.07, z)
        back = np.stack([0.25 * x / 0.08, np.ones(len(x)), 0.1 + rise - 0.9 * smoothstep(0.0, 0.08, y)], 1)
        top = smoothstep(0.02, 0.06, z)[:, None]
        aside = np.stack([0.1 * np.sign(x), 0.6 + 0 * x, -0.7 + 0 * x], 1)
        return _unit(back * top + aside * (1 - top))
    front = smoothstep(-0.01, -0.07, y)
    top = smoothstep(0.025, 0.075, z)
    if comb == "whorl":  # outwards from the crown, to the front on the forehead
        outward = np.stack([x, y - 0.03, -0.35 * np.ones(len(x)) * np.hypot(x, y - 0.03) - 0.02], 1)
        return _unit(_unit(outward) * top[:, None] + _unit(down) * (1 - top)[:, None])
    across = np.stack([side, (0.25 if comb == "aside" else 0.45) + 0 * x, -0.30 + 0 * x], 1)
    if comb == "parted":  # aside over the forehead, then back beside the face
        beside = np.stack([0.55 * side, 0.9 * front, -1.0 + 0.4 * front], 1)
        top = np.maximum(top, 0.6 * front * smoothstep(-0.02, 0.03, z))
        return _unit(_unit(across) * top[:, None] + _unit(beside) * (1 - top)[:, None])
    return _unit(_unit(across) * top[:, None] + _unit(down + [0, 0.25, 0]) * (1 - top)[:, None])


def locks_patch(look: Look, shape: Shape, scalp: Patch) -> Patch:
    """Ribbons over a scalp: a patch (n vertices) whose `cut` is the height above the hairline."""
    growth, head = GROWTHS[look.hair], Head.of(shape)
    rng = np.random.default_rng([look.seed, 97])
    place, canonical, above = _roots(scalp, growth, rng)
    n = len(place)
    x, y, z = (place - head.centre).T
    top, front = smoothstep(0.02, 0.06, z), smoothstep(-0.045, -0.075, y)
    length = growth.sides + (growth.crown - growth.sides) * top
    length = length + (growth.nape - length) * smoothstep(0.03, 0.07, y) * (1 - top)
    length = length + (growth.front - length) * front
    if look.hair in FREE:
        length = length * (look.hair_length / {"bob": 0.105}.get(look.hair, 0.235))
    length = length * smoothstep(-0.004, 0.012, above) * rng.uniform(0.75, 1.12, n)
    length = length * (0.8 + 0.4 * noise_at(canonical, 55, look.seed + 2))  # in locks
    side = np.where(place[:, 0] + rng.normal(0, 0.003, n) > look.parting, 1.0, -1.0)
    clump = np.stack([noise_at(canonical, 45, look.seed + k) - 0.5 for k in (3, 4, 5)], 1)
    turn = growth.wild * (rng.normal(0, 1, (n, 3)) + 1.6 * clump)
    layer = (
        look.hair_volume * rng.uniform(0.25, 1.0, n) ** 0.7 * smoothstep(0.0, 0.02, above) * _crest(look, head, place)
    )
    phase = 2 * np.pi * noise_at(canonical, 60, look.seed + 6) * 3 + rng.normal(0, 0.5, n)
    normal = _unit(head.normals[head.tree.query(place)[1]])
    direction = _unit(
        growth.lift * normal + (1 - 0.5 * growth.lift) * _combed(look, growth.comb, place, head, side) + turn
    )
    place, skull = head.laid(place, 0.3 * layer, layer)
    lines = [place]
    step = length / growth.segments
    stand = 0.035 * front * top if look.hair == "quiff" else 0.0
    for k in range(growth.segments):
        wanted = _combed(look, growth.comb, place, head, side) + 0.6 * turn
        hanging = np.stack([-0.12 * np.sign(place[:, 0]), np.full(n, 0.05), np.full(n, -1.0)], 1) + 0.5 * turn
        wanted = wanted + (1 - skull)[:, None] * (hanging - wanted) if growth.fall >= 0.4 else wanted
        share = 0.35 + growth.fall * 0.4
        direction = _unit((1 - share) * direction + share * wanted)
        place = place + direction * step[:, None]
        if growth.curl:
            angle = phase + 2 * np.pi * growth.turns * step * (k + 1)
            across = _unit(np.cross(direction, [0.3, 0.2, 1.0]))
            grown = min(1.0, (k + (0 if look.hair in FREE else 1)) / 3) * growth.curl
            place = place + grown * (
                np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(direction, across)
            )
        risen = (k + 1) / growth.segments
        place, skull = head.laid(place, 0.6 * layer + 0.001, layer * (1 + 0.5 * risen) + stand * risen + 0.002)
        place = _out_of_face(look, place, head, side)
        lines.append(place)
    return _ribbons(look, np.stack(lines, 1), canonical, head, rng)


def _crest(look: Look, head: Head, place: np.ndarray) -> np.ndarray:
    """Factor (n,) of how high hair lies: higher on the crown of full cuts."""
    high = smoothstep(0.03, 0.09, place[:, 2] - head.centre[2])
    return 1 + 0.35 * high * (look.hair in ("full", "wavy", "curls", "long", "pixie"))


def _roots(scalp: Patch, growth: Growth, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (n, 3), canonical places and heights above the hairline of the ribbons' roots, evenly over the scalp."""
    corners = scalp.vertices[scalp.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    behind = smoothstep(0.02, 0.06, scalp.canonical[scalp.faces, 1].mean(1))
    weight = area * (scalp.cut[scalp.faces].max(1) > -0.003) * (1 - 0.65 * behind)  # nobody sees the back of the head
    face = rng.choice(len(scalp.faces), growth.count, p=weight / weight.sum())
    u, v = rng.random((2, growth.count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    share = np.stack([1 - u - v, u, v], 1)
    pick = lambda values: np.einsum("nk,nk...->n...", share, values[scalp.faces[face]])  # noqa: E731
    place, canonical, above = pick(scalp.vertices), pick(scalp.canonical), pick(scalp.cut)
    grown = above + 0.004 * (rng.random(growth.count) - 0.5) > 0.0
    return place[grown], canonical[grown], above[grown]


def _out_of_face(look: Look, place: np.ndarray, head: Head, side: np.ndarray) -> np.ndarray:
    """Hair that falls stays beside the face: points (n, 3) in front of it are moved to its sides."""
    if look.hair not in FREE:
        return place
    x, y, z = (place - head.centre).T
    wide = 0.058 + 0.012 * smoothstep(0.0, -0.10, z)
    inside = smoothstep(-0.035, -0.06, y) * smoothstep(0.045, 0.015, z)
    out = place.copy()
    out[:, 0] += inside * (np.sign(x + 1e-3 * side) * np.maximum(np.abs(x), wide) - x)
    return out


def _ribbons(look: Look, lines: np.ndarray, canonical: np.ndarray, head: Head, rng: np.random.Generator) -> Patch:
    """Ribbons along lines (n, K, 3), tapering to a point, that turn their flat side to the front."""
    count, points = lines.shape[:2]
    along = _unit(np.gradient(lines, axis=1))
    sideways = np.cross(along, FORWARD)
    length = np.linalg.norm(sideways, axis=-1, keepdims=True)
    sideways = np.where(length > 0.25, sideways / np.maximum(length, 1e-9), np.array([1.0, 0.0, 0.0]))
    taper = np.interp(np.linspace(0, 1, points), [0, 0.6, 1], [1.0, 0.85, 0.15])
    width = rng.uniform(*WIDTH, (count, 1, 1)) * taper[None, :, None]
    vertices = np.stack([lines + sideways * width, lines - sideways * width], 2).reshape(-1, 3)
    first = np.arange(points - 1) * 2
    one = np.concatenate([np.stack([first, first + 1, first + 2], 1), np.stack([first + 1, first + 3, first + 2], 1)])
    faces = (np.arange(count)[:, None, None] * 2 * points + one[None]).reshape(-1, 3)
    corners = vertices[faces]
    turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1] > 0
    faces[turned] = faces[turned][:, ::-1]
    tone = np.exp(rng.normal(0, 0.16, count) + 0.35 * (noise_at(canonical, 90, look.seed + 7) - 0.5))
    deep = np.interp(np.linspace(0, 1, points), [0, 0.5, 1], [0.62, 0.95, 1.12])
    shade = (tone[:, None] * deep[None])[..., None] * np.array(look.hair_colour)
    weights, bones = rigid_weights(len(vertices), bone_index["head"])
    each = np.repeat(np.arange(count), 2 * points)
    patch = plain_patch(
        vertices, faces, HAIR, np.clip(np.repeat(shade.reshape(-1, 3), 2, 0), 0, 0.8), canonical[each], weights, bones
    )
    outward = _unit((lines - head.centre) * [1.0, 1.0, 0.8])
    outward = _unit(outward - 0.75 * (outward * along).sum(-1, keepdims=True) * along)
    own = vertex_normals(vertices.astype(np.float32), faces)
    patch.bump = np.repeat(outward.reshape(-1, 3), 2, 0) * 1.4 - own
    return patch
