"""A signer: a baked body dressed and coloured by a look, ready to be posed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from signgen.errors import NotFound
from signgen.synthetic import VERSION
from signgen.synthetic.body.mesh import CLOTH, HAIR, SKIN, STRAND, TEETH, Patch, join, plain_patch
from signgen.synthetic.body.noise import smoothstep
from signgen.synthetic.body.template import (
    BAKED,
    HM08_VERTICES,
    SKIN_END,
    Shape,
    bone_index,
    forward_kinematics,
    load_shape,
    skin,
    template,
    vertex_normals,
)
from signgen.synthetic.dress.cloth_cuts import cloth_cut, neck_cut, sleeve_left
from signgen.synthetic.dress.clothes import CHEST_Z, UNDER_DEPTH, clothes
from signgen.synthetic.dress.complexion import beard_growth, body_material, complexion, hm08_between, is_hand, is_head
from signgen.synthetic.dress.folds import Folds
from signgen.synthetic.dress.glasses import earrings_patch, glasses_patch
from signgen.synthetic.dress.hair import hair_patches
from signgen.synthetic.dress.looks import Look, draw_look, origin_of

HELD_OUT = [f"h{number:02d}" for number in range(1, 13)]  # never for training
AT_EASE = {  # facial actions that are part of everybody's rest since content version 5
    "mouthSmileLeft": 0.23, "mouthSmileRight": 0.23, "browInnerUp": 0.18, "browOuterUpLeft": 0.06,
    "browOuterUpRight": 0.06, "mouthDimpleLeft": 0.05, "mouthDimpleRight": 0.05,
}  # fmt: skip
SHOULDER_TOP, SHOULDER_SIZE = np.array([0.035, 0.0, 0.035]), 0.065  # metres from the joint, and how far it reaches
SLOPE = np.array([-0.016, 0.0, -0.012])  # metres by which shoulders are narrower and lower, since version 5
MOUTH_MOVES = {  # metres by which upper teeth, lower teeth and tongue (hm08 ids) lie elsewhere since version 5
    (15060, 15128): (0.0, 0.002, -0.003), (14992, 15060): (0.0, 0.004, -0.002), (SKIN_END, 13606): (0.0, 0.004, -0.004),
}  # fmt: skip
TRAINING_SIGNERS = 200  # with mixed bodies; those of held-out clips of known signers are among them
ORIGINS, ORIGIN_ODDS = ("caucasian", "african", "asian"), (0.5, 0.28, 0.22)


@dataclass(frozen=True)
class Signer:
    """A signer in the rest pose; arrays are not to be changed.

    `rest_body` (19158, 3) holds the naked body's rest vertices under their MakeHuman ids, nan where none is kept. The
    surface's first vertices are the template's, the hair's and the clothes' follow.
    """

    name: str
    look: Look
    heads: np.ndarray  # (J, 3) metres
    rest_body: np.ndarray
    joints: dict[str, np.ndarray]  # COCO joint name -> rest position (3,)
    surface: Patch
    folds: Folds  # of the clothes
    clothes_start: int  # the first vertex of the clothes, which come last
    casting: np.ndarray  # (C, 3) those faces of the surface that shadows are made from
    head_top: float  # z of the top of the head without hair

    def rest_with_face(self, face: Mapping[str, float]) -> np.ndarray:
        """Rest vertices (n, 3) with facial actions added (ARKit names, weights 0..1)."""
        rest, shared = self.surface.vertices, template()
        if not face:
            return rest
        weights = np.zeros(len(shared.action_names), np.float32)
        for name, weight in face.items():
            if name not in shared.action_names:
                raise NotFound("facial action", name, "use one of " + ", ".join(shared.action_names))
            weights[shared.action_names.index(name)] = weight
        active = np.flatnonzero(weights)
        rest = rest.copy()
        rest[shared.action_vertices] += np.tensordot(weights[active], shared.action_offsets[active], 1)
        return rest

    def posed(self, rotations: np.ndarray, face: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posed vertices (n, 3) float32, world rotations G (J, 3, 3) and bone heads h (J, 3)."""
        turn, place = forward_kinematics(self.heads, rotations)
        surface = self.surface
        vertices = skin(self.rest_with_face(face), surface.weights, surface.bones, self.heads, turn, place)
        return vertices, turn, place


def _covered(look: Look) -> np.ndarray:
    """Mask (n,) of body skin that lies well under cloth."""
    points = template().canonical
    cut = cloth_cut(look, points)
    collar = 0.76 if look.neckline in ("crew", "vee", "jacket") else 0.86  # below the chin
    covered = (cut > 0.012) & ~is_hand() & hm08_between(0, SKIN_END)
    return np.where(is_head(), covered & (neck_cut(look.neckline, points) > 0.006) & (points[:, 2] < collar), covered)


def _cuff_shadow(look: Look) -> np.ndarray:
    """Factor (n,) for skin colour that darkens it beside a cuff."""
    beside = -sleeve_left(look, template().canonical)
    return np.where(np.abs(beside) < 0.05, 1 - 0.40 * np.exp(-np.clip(beside, 0, None) / 0.006), 1.0)


def _body_faces(covered: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Body faces without those that cloth always hides; around the armpits and the neck the shell has gaps."""
    shared = template()
    trunk = (shared.canonical[:, 2] < CHEST_Z) & (np.abs(shared.canonical[:, 0]) < 0.25)
    sleeve = (np.abs(shared.canonical[:, 0]) > 0.30) & (cut > 0.09)
    hidden = covered & (trunk | sleeve)
    return shared.body_faces[~hidden[shared.body_faces].all(1)]


def _body_patch(look: Look, rest: np.ndarray) -> Patch:
    """Skin, eyes, mouth and teeth; skin under cloth is pushed in and takes the cloth's colour."""
    shared = template()
    covered = _covered(look)
    colour = complexion(look) * _cuff_shadow(look)[:, None]
    trunk = np.array(look.second if look.neckline in ("jacket", "suit") else look.cloth) * 0.8
    arms = np.abs(shared.canonical[:, :1]) > 0.22
    colour = np.where(covered[:, None], np.where(arms, look.sleeves, trunk), colour)
    cut = cloth_cut(look, shared.canonical)
    depth = UNDER_DEPTH * smoothstep(0.0, 0.03, cut) * covered
    vertices = rest - vertex_normals(rest, shared.body_faces) * depth[:, None]
    faces = _body_faces(covered, cut)
    kinds = body_material()
    kinds[covered] = CLOTH
    of_faces = kinds[faces]
    same = (of_faces == of_faces[:, :1]).all(1)
    material = np.concatenate(
        [np.where(same, of_faces[:, 0], of_faces.min(1)), np.full(len(shared.teeth_faces), TEETH)]
    )
    patch = plain_patch(
        vertices,
        np.concatenate([faces, shared.teeth_faces]),
        material,
        colour,
        shared.canonical,
        shared.weights,
        shared.bones,
    )
    patch.trim = beard_growth(look)
    return patch


def _final(patch: Patch) -> Patch:
    """Contiguous float32 and int64 arrays, which the compiled loops expect."""
    kinds = dict.fromkeys(("faces", "material", "bones"), np.int64)
    arrays = {one.name: getattr(patch, one.name) for one in fields(Patch)}
    return Patch(**{name: np.ascontiguousarray(array, kinds.get(name, np.float32)) for name, array in arrays.items()})


def _kept(patch: Patch) -> Patch:
    """The patch without faces that are cut away altogether; the vertices stay, so that their numbers do."""
    there = patch.cut[patch.faces].max(1) > np.where(patch.material == HAIR, -STRAND / 2, 0.0)
    return replace(patch, faces=patch.faces[there], material=patch.material[there])


def _casting(surface: Patch, folds: Folds, start: int) -> np.ndarray:
    """Faces (C, 3) that shade others: no insides of eyes and mouth, no backs of cloth, nothing that is sewn on."""
    outside = np.isin(surface.material, (SKIN, CLOTH, HAIR)) & (surface.faces < start + len(folds.height)).all(1)
    return np.ascontiguousarray(surface.faces[outside])


def _at_ease(shape: Shape) -> Shape:
    """The body with a friendly face at rest, teeth and tongue where open mouths show them, sloping shoulders."""
    shared = template()
    rest = shape.rest.copy()
    for name, weight in AT_EASE.items():
        rest[shared.action_vertices] += weight * shared.action_offsets[shared.action_names.index(name)]
    for (start, stop), move in MOUTH_MOVES.items():
        rest[hm08_between(start, stop)] += move
    side = np.sign(shared.canonical[:, :1])
    shoulder = shared.heads[bone_index["upperarm01.L"]] + SHOULDER_TOP
    away = np.linalg.norm(shared.canonical * np.concatenate([side, side**0, side**0], 1) - shoulder, axis=1)
    slope = np.exp(-((away / SHOULDER_SIZE) ** 2))[:, None] * SLOPE
    rest += slope * np.concatenate([side, side**0, side**0], 1)
    return replace(shape, rest=rest)


def dress(shape: Shape, look: Look) -> Signer:
    """Build a signer from a baked body and a look."""
    shared = template()
    shape = shape if look.version < 5 else _at_ease(shape)
    rest_body = np.full((HM08_VERTICES, 3), np.nan)
    rest_body[shared.hm08] = shape.rest
    garment = clothes(look, shape.rest)
    worn = [] if look.glasses == "none" else [glasses_patch(look, shape)]
    worn += [earrings_patch(look, shape)] if look.earrings else []
    under = join([_body_patch(look, shape.rest), *hair_patches(look, shape), *worn])
    surface = _final(_kept(join([under, garment.patch])))
    return Signer(
        shape.name,
        look,
        shape.heads,
        rest_body,
        shape.joints,
        surface,
        garment.folds,
        len(under.vertices),
        _casting(surface, garment.folds, len(under.vertices)),
        float(shape.rest[shared.part("head"), 2].max()),
    )


@lru_cache(maxsize=1)
def _baked() -> list[str]:
    return sorted(path.stem for path in BAKED.glob("s[0-9]*.npz"))


def signer_names(version: int = VERSION) -> list[str]:
    """Names of the signers for training, s01, s02, ...; the held-out ones are in `HELD_OUT`.

    Those without a baked body, from content version 5 on, have one that is mixed of such bodies (`blended_shape`).
    """
    more = [f"s{number:02d}" for number in range(len(_baked()) + 1, TRAINING_SIGNERS + 1)]
    return _baked() + (more if version >= 5 else [])


@lru_cache(maxsize=1)
def _phenotypes() -> dict[str, dict[str, float]]:
    return {name: load_shape(name).phenotype for name in _baked()}


def shape_of(name: str) -> Shape:
    """The body of a signer: a baked one, or a mixed one."""
    return load_shape(name) if (BAKED / f"{name}.npz").is_file() else blended_shape(name)


def blended_shape(name: str) -> Shape:
    """A body mixed of three baked ones for training, of one gender and mostly of one origin.

    mean + sum_k c_k (body_k - mean) with sum_k c_k^2 = 1 and the mean over all bodies of that gender, so that mixed
    bodies differ from each other as much as baked ones do.
    """
    rng = np.random.default_rng([int(name[1:]), 83])
    people = _phenotypes()
    woman, origin = int(name[1:]) % 2 == 0, str(rng.choice(ORIGINS, p=ORIGIN_ODDS))
    same = [one for one, has in people.items() if (has["gender"] > 0.5) == woman]
    close = [one for one in same if origin_of(people[one]) == origin]
    shapes = [load_shape(str(one)) for one in rng.choice(close, 3, replace=False)]
    weights = np.abs(rng.normal(0, 1, 3)) + 0.25
    weights /= np.linalg.norm(weights)
    mean = _mean_shape(tuple(close))
    mix = lambda middle, values: middle + sum(w * (v - middle) for w, v in zip(weights, values, strict=True))  # noqa: E731
    return Shape(
        name,
        mix(mean.rest, [one.rest for one in shapes]),
        mix(mean.heads, [one.heads for one in shapes]),
        {joint: mix(place, [one.joints[joint] for one in shapes]) for joint, place in mean.joints.items()},
        {
            key: float(np.clip(mix(v, [one.phenotype[key] for one in shapes]), 0, 1))
            for key, v in mean.phenotype.items()
        },
    )


@lru_cache(maxsize=8)
def _mean_shape(names: tuple[str, ...]) -> Shape:
    shapes = [load_shape(name) for name in names]
    first = shapes[0]
    return Shape(
        "mean",
        np.mean([one.rest for one in shapes], 0),
        np.mean([one.heads for one in shapes], 0),
        {joint: np.mean([one.joints[joint] for one in shapes], 0) for joint in first.joints},
        {key: float(np.mean([one.phenotype[key] for one in shapes])) for key in first.phenotype},
    )


@lru_cache(maxsize=8)
def load_signer(name: str, version: int = VERSION) -> Signer:
    """Build the signer `name` (about 0.3 s; the last few are kept), as a content version draws it.

    Raises InputError for an unknown name.
    """
    known = signer_names(version) + HELD_OUT
    if name not in known:
        raise NotFound(
            "signer", name, f"use one of {known[0]} to {known[-len(HELD_OUT) - 1]} or " + ", ".join(HELD_OUT)
        )
    shape = shape_of(name)
    return dress(shape, draw_look(name, shape.phenotype, version))
