"""The clothing shell of the template: a finer surface around the body that every garment is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from signgen.synthetic.body.mesh import (
    boundary,
    dense_weights,
    mean_of_pairs,
    neighbours,
    smooth,
    sparse_weights,
    subdivide,
)
from signgen.synthetic.body.noise import smoothstep
from signgen.synthetic.body.template import bone_index, template
from signgen.synthetic.dress.cloth_cuts import past_wrist

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
    faces, pairs = subdivide(shared.cloth_faces)
    table, rim = neighbours(faces, len(pairs)), boundary(faces)
    canonical, body_weights = mean_of_pairs(shared.canonical, pairs), dense_weights(shared.weights, shared.bones)
    dense = smooth(mean_of_pairs(body_weights, pairs), table, rim, 3)
    skin = _nearest_skin(canonical)
    cling = np.where(skin >= 0, smoothstep(-CUFF_LENGTH, -0.5 * CUFF_LENGTH, past_wrist(canonical)), 0)
    dense += cling[:, None] * (body_weights[skin] - dense)
    weights, bones = sparse_weights(dense)
    arm, neck = dense[:, ARM_BONES].sum(1), dense[:, NECK_BONES].sum(1)
    return Shell(faces, pairs, table, rim, canonical, weights, bones, arm, neck, skin, cling)
