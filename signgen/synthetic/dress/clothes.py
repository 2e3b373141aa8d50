"""Clothes: the shell draped over a body, cut at neck and cuffs, with folds, a second colour and a straight waist."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from signgen.synthetic.body import mesh
from signgen.synthetic.body.mesh import CLOTH, Patch
from signgen.synthetic.body.noise import noise_at, smoothstep
from signgen.synthetic.body.template import bone_index, template, vertex_normals
from signgen.synthetic.dress.cloth_cuts import cloth_cut, neck_cut, past_wrist, sleeve_left, trim_cut
from signgen.synthetic.dress.folds import Folds, fold_height, folds_of
from signgen.synthetic.dress.looks import Look
from signgen.synthetic.dress.trimmings import chest_seat, neck_seat, opening_half, trimmings

CHEST_Z, WAIST_Z = 0.52, 0.30  # canonical heights between which the trunk is made straight, and below
HEM = 0.60  # metres by which the trunk's lower end is drawn out, so that it leaves the frame
INSIDE = 0.050  # metres from a neckline or a cuff within which the inside of the cloth can be seen
SLEEVE_X = 0.28  # canonical |x| from which cloth is the lower half of a sleeve
UNDER_DEPTH = 0.007  # metres by which skin under cloth is pushed in
CUFF_LENGTH = 0.09  # metres before the wrist over which a sleeve comes to lie on the skin
ARM_BONES = [
    bone_index[f"{bone}.{side}"]
    for side in "LR"
    for bone in ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
]
NECK_BONES = [bone_index[bone] for bone in ("neck01", "neck02", "neck03", "head")]


@dataclass(frozen=True)
class Shell:
    """The subdivided clothing shell of the template: m vertices, each the mean of a pair of template vertices."""

    faces: np.ndarray
    pairs: np.ndarray
    table: np.ndarray  # neighbours
    rim: np.ndarray  # vertices on its open edges
    canonical: np.ndarray
    weights: np.ndarray
    bones: np.ndarray
    arm: np.ndarray  # share 0..1 of a vertex that follows the arms
    neck: np.ndarray  # share 0..1 that follows neck and head
    skin: np.ndarray  # nearest skin vertex close to a wrist, -1 elsewhere
    cling: np.ndarray  # share 0..1 by which a cuff lies on and moves with that skin


def _nearest_skin(points: np.ndarray) -> np.ndarray:
    """Index (n,) of the arm's skin vertex nearest to each canonical point near a wrist, -1 away from the wrists."""
    shared = template()
    arms = np.flatnonzero(
        (past_wrist(shared.canonical[: shared.skin]) > -0.12) & (np.abs(shared.canonical[: shared.skin, 0]) > 0.3)
    )
    near = np.flatnonzero(past_wrist(points) > -CUFF_LENGTH)
    distance = ((points[near, None] - shared.canonical[None, arms]) ** 2).sum(2)
    out = np.full(len(points), -1)
    out[near] = arms[distance.argmin(1)]
    return out


@lru_cache(maxsize=1)
def shell() -> Shell:
    """Built once a process; its skinning is smoother than the body's, which lets cloth bend over joints."""
    shared = template()
    faces, pairs = mesh.subdivide(shared.cloth_faces)
    table, rim = mesh.neighbours(faces, len(pairs)), mesh.boundary(faces)
    canonical = mesh.mean_of_pairs(shared.canonical, pairs)
    body_weights = mesh.dense_weights(shared.weights, shared.bones)
    dense = mesh.smooth(mesh.mean_of_pairs(body_weights, pairs), table, rim, 3)
    skin = _nearest_skin(canonical)
    cling = np.where(skin >= 0, smoothstep(-CUFF_LENGTH, -0.5 * CUFF_LENGTH, past_wrist(canonical)), 0)
    dense += cling[:, None] * (body_weights[skin] - dense)
    weights, bones = mesh.sparse_weights(dense)
    arm, neck = dense[:, ARM_BONES].sum(1), dense[:, NECK_BONES].sum(1)
    return Shell(faces, pairs, table, rim, canonical, weights, bones, arm, neck, skin, cling)


def _thickness(look: Look, suit: Shell) -> np.ndarray:
    """Distance (m,) of the cloth from the smoothed body, metres."""
    points = suit.canonical
    x, z = np.abs(points[:, 0]), points[:, 2]
    thick = np.full(len(points), look.bulk)
    thick *= 1 - 0.55 * smoothstep(0.2, 0.8, suit.neck)
    shoulder = np.exp(-(((x - 0.17) / 0.06) ** 2 + ((z - 0.72) / 0.07) ** 2))
    thick *= 1 - 0.5 * shoulder
    edge = smoothstep(0.0, 0.05, neck_cut(look.neckline, points))  # cloth lies close along the neckline
    thick = 0.0025 + (thick - 0.0025) * edge
    cuff = sleeve_left(look, points)
    hem = 0.011 if look.short else 0.0045
    thick = np.where(cuff < 0.06, hem + (thick - hem) * smoothstep(0.0, 0.06, cuff), thick)
    if look.neckline in ("jacket", "suit", "vest"):
        thick += 0.006 * smoothstep(0.015, -0.015, trim_cut(look, points)) * (1 - suit.arm)
    wide = 0.014 * (noise_at(points, 12, look.seed) - 0.5) + 0.006 * (noise_at(points, 26, look.seed + 1) - 0.5)
    calm = (1 - 0.75 * smoothstep(0.1, 0.5, suit.neck)) * smoothstep(0.0, 0.05, cuff) * (1 - 0.6 * shoulder) * edge
    return thick + (wide if look.version < 5 else 0.55 * wide) * calm


def straight_waist(vertices: np.ndarray, canonical: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    """Factor (n,) for x that lets cloth hang straight from the chest: no flare over hips, no wasp waist.

    `trunk` (n,) is the share 0..1 that is not arm; the factor is 1 above the chest.
    """
    body = trunk > 0.9
    heights = np.linspace(-0.12, CHEST_Z, 33)
    widths = np.array(
        [np.abs(vertices[body & (np.abs(canonical[:, 2] - h) < 0.02), 0]).max(initial=0.05) for h in heights]
    )
    wanted = widths[-1] * np.interp(heights, [0.0, WAIST_Z, CHEST_Z], [1.0, 0.965, 1.0])
    factor = np.interp(canonical[:, 2], heights, 0.15 + 0.85 * wanted / widths)
    factor = np.where(canonical[:, 2] < CHEST_Z, factor, 1.0)
    return 1 + (factor - 1) * smoothstep(0.5, 0.95, trunk)


def _draped(look: Look, suit: Shell, rest: np.ndarray) -> np.ndarray:
    """Vertices (m, 3) of the cloth over a body: smooth except along the neckline, straight at the waist, thickened."""
    close = mesh.mean_of_pairs(rest, suit.pairs)
    loose = mesh.smooth(close, suit.table, suit.rim, 4)
    base = close + (loose - close) * smoothstep(0.0, 0.06, neck_cut(look.neckline, suit.canonical))[:, None]
    base[:, 0] *= straight_waist(base, suit.canonical, 1 - suit.arm)
    normals = vertex_normals(base, suit.faces)
    gap = ((rest[suit.skin] - base) * normals).sum(1)
    base += normals * (gap * suit.cling)[:, None]
    out = base + vertex_normals(base, suit.faces) * _thickness(look, suit)[:, None]
    out[:, 2] -= HEM * smoothstep(0.30, 0.04, suit.canonical[:, 2]) * (1 - smoothstep(0.3, 0.7, suit.arm))
    return out


def _crossed(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Mask of the faces through which the zero of a field (n,) may pass."""
    corners = values[faces]
    return (corners.min(1) < 0.004) & (corners.max(1) > -0.004)


@dataclass(frozen=True)
class Garment:
    """A signer's clothes: the surface and how its folds answer to the pose."""

    patch: Patch
    folds: Folds


def _weight_on(patch: Patch, bones: list[int]) -> np.ndarray:
    """Share (n,) 0..1 by which vertices of a patch follow some bones."""
    return np.where(np.isin(patch.bones, bones), patch.weights, 0).sum(1)


def _lift(look: Look, patch: Patch) -> np.ndarray:
    """Height (n,) of full folds, metres: none along neckline and cuffs and beneath what is sewn onto the front."""
    points = patch.canonical
    height = fold_height(points, _weight_on(patch, ARM_BONES), _weight_on(patch, NECK_BONES), look.folds, look.seed)
    edge = np.minimum(neck_cut(look.neckline, points), 2 * sleeve_left(look, points))
    calm = smoothstep(0.0, 0.04, edge)
    if look.neckline in ("shirt", "blouse", "vest", "jacket", "suit"):
        lapel = 0.055 if look.neckline in ("jacket", "suit") else 0.0
        sewn = np.maximum(0.035, opening_half(points[:, 2], look.closed) + lapel)
        calm = calm * smoothstep(-0.01, 0.04, np.where(points[:, 1] < 0, np.abs(points[:, 0]) - sewn, 1.0))
    return height * calm


def _tone(look: Look, points: np.ndarray) -> np.ndarray:
    """Factor (n, 1) of the cloth's colour: no dye is quite even."""
    fine, broad = noise_at(points, 45, look.seed + 31), noise_at(points, 14, look.seed + 32)
    even = 1.0 if look.version < 5 else 0.35
    return (1 + even * (0.16 * (fine - 0.5) + 0.14 * (broad - 0.5)))[:, None]


def clothes(look: Look, rest: np.ndarray) -> Garment:
    """The clothes of a signer with rest vertices (n, 3)."""
    suit = shell()
    vertices = _draped(look, suit, rest)
    on_arm = smoothstep(0.52, 0.62, suit.arm)[:, None]
    colour = np.array(look.cloth) + (np.array(look.sleeves) - look.cloth) * on_arm
    patch = mesh.plain_patch(
        vertices, suit.faces, CLOTH, colour * _tone(look, suit.canonical), suit.canonical, suit.weights, suit.bones
    )
    patch = mesh.refined(patch, (suit.arm[suit.faces] > 0.25).any(1))  # fine enough for the folds of sleeves
    for _ in range(2):
        patch = mesh.refined(
            patch,
            _crossed(cloth_cut(look, patch.canonical), patch.faces)
            | _crossed(trim_cut(look, patch.canonical), patch.faces),
        )
    patch.cut, patch.trim = cloth_cut(look, patch.canonical), trim_cut(look, patch.canonical)
    inside = patch.cut < INSIDE
    if look.version >= 5:  # a forearm that points at the camera lets one look far into its sleeve
        inside |= np.abs(patch.canonical[:, 0]) > SLEEVE_X
    edge = inside[patch.faces].all(1)
    tied = mesh.hanging(patch)
    fronts = np.unique(patch.faces[edge])
    backs = np.stack([len(patch.vertices) + np.arange(len(fronts)), fronts, fronts], 1)
    folds = folds_of(patch, _weight_on(patch, ARM_BONES), _lift(look, patch), np.concatenate([tied, backs]))
    weights = mesh.dense_weights(suit.weights, suit.bones)
    sewn = trimmings(
        look, neck_seat(suit.canonical, vertices, weights), chest_seat(suit.canonical, vertices, weights, suit.arm)
    )
    return Garment(mesh.join([mesh.lined(patch, edge), *sewn]), folds)  # a gap at the neck or a cuff shows cloth
