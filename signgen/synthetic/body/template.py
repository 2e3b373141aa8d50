"""The body that all signers share: its skeleton, mesh and skinning, and the baked shapes that differ.

Units are metres. Axes: +x the person's left, -y the front (towards the camera), +z up. The rest pose has the arms about
45 degrees down. A pose is one rotation a bone in these rest axes; the identity for all bones is the rest mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numba as nb
import numpy as np

BAKED = Path(__file__).resolve().parents[1] / "baked"
HM08_VERTICES = 19158  # vertices of the MakeHuman base mesh, whose numbering the tables of landmarks use
SKIN_END, TONGUE_END = 13380, 13606  # hm08 ids below: body skin with eye and mouth cavities; tongue
LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)  # hm08 ids of the eyeballs
CORNEAS = (14607, 14679)  # hm08 ids of their front poles, left first
TEETH = slice(14992, 15128)
MAX_WEIGHTS = 8  # bones that may move one vertex


def _bone_table() -> tuple[list[str], np.ndarray]:
    with np.load(BAKED / "template.npz") as data:
        return [str(name) for name in data["bone_names"]], data["parents"].astype(np.int64)


BONES, PARENTS = _bone_table()
bone_index: dict[str, int] = {name: index for index, name in enumerate(BONES)}


def _parents_first(parents: np.ndarray) -> np.ndarray:
    """Bone indices (J,) in an order in which every parent comes before its children."""

    def depth(bone: int) -> int:
        return 0 if parents[bone] < 0 else 1 + depth(parents[bone])

    return np.array(sorted(range(len(parents)), key=depth), np.int64)


_ORDER = _parents_first(PARENTS)


@dataclass(frozen=True)
class Template:
    """Mesh data shared by all signers; n vertices of which the first `skin` ones are body skin.

    `hm08` (n,) numbers the vertices as in MakeHuman and `new` (19158,) goes back (-1 where a vertex is not kept).
    `canonical` (n, 3) are the rest coordinates of the template man: they name a place on
    the body or its clothes for everybody.
    """

    hm08: np.ndarray
    new: np.ndarray
    canonical: np.ndarray
    heads: np.ndarray  # (J, 3) bone heads of the template man
    weights: np.ndarray  # (n, 8) float32, rows sum to 1
    bones: np.ndarray  # (n, 8) int64
    dominant: np.ndarray  # (n,) str, name of the bone with the largest weight
    body_faces: np.ndarray
    cloth_faces: np.ndarray
    teeth_faces: np.ndarray
    parts: dict[str, np.ndarray]  # masks over body_faces
    lip_ring: np.ndarray  # (n,) 0..6 from the inner edge outwards, -1 elsewhere
    lid_ring: np.ndarray  # (n,) 0..4 from the rim outwards, -1 elsewhere
    lid_upper: np.ndarray  # (n,) bool
    tips: np.ndarray  # (2, 5, 8) vertices around the finger tips, left hand first, thumb first
    action_names: list[str]
    action_vertices: np.ndarray  # (m,) vertices that facial actions move
    action_offsets: np.ndarray  # (52, m, 3) float32

    @property
    def skin(self) -> int:
        return int(np.searchsorted(self.hm08, SKIN_END))

    def part(self, *names: str) -> np.ndarray:
        """Vertices (k,) of the named face parts."""
        mask = np.any([self.parts[name] for name in names], 0)
        return np.unique(self.body_faces[mask])


def largest_weights(weights: np.ndarray, bones: np.ndarray, count: int = MAX_WEIGHTS) -> tuple[np.ndarray, np.ndarray]:
    """Keep the `count` largest skinning weights of each vertex, (n, count), normalised to sum 1."""
    order = np.argsort(-weights, 1, kind="stable")[:, :count]
    kept = np.take_along_axis(weights, order, 1)
    kept = kept / kept.sum(1, keepdims=True)
    return kept.astype(np.float32), np.take_along_axis(bones, order, 1).astype(np.int64)


@lru_cache(maxsize=1)
def template() -> Template:
    """The shared mesh data, read once a process."""
    with np.load(BAKED / "template.npz") as data:
        raw = {key: data[key] for key in data.files}
    hm08 = raw["hm08"].astype(np.int64)
    new = np.full(HM08_VERTICES, -1, np.int64)
    new[hm08] = np.arange(len(hm08))
    weights, bones = largest_weights(raw["weights"].astype(np.float32), raw["bones"])
    return Template(
        hm08=hm08,
        new=new,
        canonical=raw["rest"].astype(np.float64),
        heads=raw["heads"].astype(np.float64),
        weights=weights,
        bones=bones,
        dominant=np.array(BONES)[bones[:, 0]],
        body_faces=raw["body_faces"].astype(np.int64),
        cloth_faces=raw["cloth_faces"].astype(np.int64),
        teeth_faces=raw["teeth_faces"].astype(np.int64),
        parts={key[5:]: mask for key, mask in raw.items() if key.startswith("part_")},
        lip_ring=raw["lip_ring"],
        lid_ring=raw["lid_ring"],
        lid_upper=raw["lid_upper"].astype(bool),
        tips=raw["tips"].astype(np.int64),
        action_names=[str(name) for name in raw["action_names"]],
        action_vertices=raw["action_vertices"].astype(np.int64),
        action_offsets=raw["action_offsets"].astype(np.float32),
    )


@dataclass(frozen=True)
class Shape:
    """One baked body: rest vertices (n, 3) of the template's kept vertices, bone heads (J, 3), regressed joints."""

    name: str
    rest: np.ndarray
    heads: np.ndarray
    joints: dict[str, np.ndarray]  # COCO joint name -> rest position (3,)
    phenotype: dict[str, float]


def load_shape(name: str) -> Shape:
    """Read one baked body by its signer's name (the caller checks that it exists)."""
    with np.load(BAKED / "template.npz") as shared:
        joint_names = [str(joint) for joint in shared["joint_names"]]
    with np.load(BAKED / f"{name}.npz") as data:
        rest = template().canonical + data["offsets"] * float(data["step"])
        joints = dict(zip(joint_names, data["joints"].astype(np.float64), strict=True))
        phenotype = {
            str(key): float(value) for key, value in zip(data["phenotype_names"], data["phenotype"], strict=True)
        }
        return Shape(name, rest, data["heads"].astype(np.float64), joints, phenotype)


# G_j = G_p R_j,  h_j = G_p (heads_j - heads_p) + h_p  with p the parent of j; for the root G = R, h = head.
@nb.njit(cache=True)
def _chain(heads, rotations, parents, order, turn, place):
    for index in range(order.shape[0]):
        j = order[index]
        p = parents[j]
        for a in range(3):
            if p < 0:
                place[j, a] = heads[j, a]
                for b in range(3):
                    turn[j, a, b] = rotations[j, a, b]
                continue
            moved = place[p, a]
            for b in range(3):
                moved += turn[p, a, b] * (heads[j, b] - heads[p, b])
                total = 0.0
                for c in range(3):
                    total += turn[p, a, c] * rotations[j, c, b]
                turn[j, a, b] = total
            place[j, a] = moved


def forward_kinematics(heads: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotations G (J, 3, 3) and bone heads h (J, 3), both float64, of rotations (J, 3, 3) in rest axes."""
    turn, place = np.empty((len(heads), 3, 3)), np.empty((len(heads), 3))
    _chain(np.asarray(heads, np.float64), np.asarray(rotations, np.float64), PARENTS, _ORDER, turn, place)
    return turn, place


# v' = sum_k w_k (G_k (v - heads_k) + h_k), with T_k = h_k - G_k heads_k taken out of the loop.
@nb.njit(fastmath=True, cache=True)
def _blend(rest, weights, bones, turn, shift, out):
    for v in range(rest.shape[0]):
        x, y, z = rest[v, 0], rest[v, 1], rest[v, 2]
        a = b = c = np.float32(0.0)
        for k in range(weights.shape[1]):
            w = weights[v, k]
            if w <= 0:
                break
            j = bones[v, k]
            a += w * (turn[j, 0, 0] * x + turn[j, 0, 1] * y + turn[j, 0, 2] * z + shift[j, 0])
            b += w * (turn[j, 1, 0] * x + turn[j, 1, 1] * y + turn[j, 1, 2] * z + shift[j, 1])
            c += w * (turn[j, 2, 0] * x + turn[j, 2, 1] * y + turn[j, 2, 2] * z + shift[j, 2])
        out[v, 0], out[v, 1], out[v, 2] = a, b, c


def skin(
    rest: np.ndarray, weights: np.ndarray, bones: np.ndarray, heads: np.ndarray, turn: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """Linear blend skinning: posed vertices (n, 3) float32 of rest vertices (n, 3), with G, h of the kinematics."""
    shift = (place - np.einsum("jab,jb->ja", turn, heads)).astype(np.float32)
    out = np.empty(rest.shape, np.float32)
    _blend(rest.astype(np.float32), weights, bones, turn.astype(np.float32), shift, out)
    return out


@nb.njit(fastmath=True, cache=True)
def vertex_normals(vertices, faces):
    """Unit normals (n, 3) of vertices (n, 3), faces (F, 3) counter-clockwise from outside, weighted by area."""
    normals = np.zeros_like(vertices)
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        ux, uy, uz = (vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2])
        vx, vy, vz = (vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2])
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            v = faces[i, corner]
            normals[v, 0] += x
            normals[v, 1] += y
            normals[v, 2] += z
    for i in range(normals.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-12
        for axis in range(3):
            normals[i, axis] /= length
    return normals
