"""Patches of a signer's surface and the mesh arithmetic they need: subdivision, smoothing, assembling."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from signgen.synthetic.body.template import BONES, MAX_WEIGHTS, largest_weights

SKIN, CLOTH, HAIR, EYE, MOUTH, TEETH = range(6)  # materials of faces
STRAND = 0.014  # metres by which strands of hair fray an edge of it


@dataclass
class Patch:
    """A piece of a signer's surface, n vertices and F faces (counter-clockwise from outside), in the rest pose.

    `cut` (n,) metres: the surface exists where its interpolated value is above 0. `trim` (n,) metres: cloth is painted
    in the second cloth colour where it is above 0; on skin it is the density of the beard, 0..1. `bump` (n, 3) is added
    to the unit normals before shading.
    """

    vertices: np.ndarray
    faces: np.ndarray
    material: np.ndarray  # (F,)
    colour: np.ndarray  # (n, 3) albedo, linear
    canonical: np.ndarray  # (n, 3)
    weights: np.ndarray  # (n, 8)
    bones: np.ndarray  # (n, 8)
    cut: np.ndarray
    trim: np.ndarray
    bump: np.ndarray


def plain_patch(
    vertices: np.ndarray,
    faces: np.ndarray,
    material: int | np.ndarray,
    colour: ArrayLike,
    canonical: np.ndarray,
    weights: np.ndarray,
    bones: np.ndarray,
) -> Patch:
    """A patch that is whole, without trim and bumps; one colour (3,) or one a vertex."""
    n = len(vertices)
    return Patch(
        vertices,
        faces,
        np.broadcast_to(np.asarray(material, np.int64), (len(faces),)).copy(),
        np.broadcast_to(np.asarray(colour, np.float64), (n, 3)).copy(),
        canonical,
        weights,
        bones,
        np.ones(n),
        np.full(n, -1.0),
        np.zeros((n, 3)),
    )


def join(patches: list[Patch]) -> Patch:
    """One patch of many, vertices and faces in the order given."""
    stacked = {one.name: np.concatenate([getattr(patch, one.name) for patch in patches]) for one in fields(Patch)}
    starts = np.cumsum([0] + [len(patch.vertices) for patch in patches])
    faces = [patch.faces + start for patch, start in zip(patches, starts, strict=False)]
    return Patch(**{**stacked, "faces": np.concatenate(faces)})


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """Triangles (F, 3) over a grid of rows x columns vertices."""
    at = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def rigid_weights(count: int, bone: int) -> tuple[np.ndarray, np.ndarray]:
    """Skinning weights and bones, (count, 8) each, of vertices that move with one bone."""
    weights = np.zeros((count, MAX_WEIGHTS), np.float32)
    weights[:, 0] = 1
    return weights, np.full((count, MAX_WEIGHTS), bone)


def _edges(faces: np.ndarray) -> np.ndarray:
    """Edges (3F, 2) of faces (F, 3): all first ones, all second ones, all third ones."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def subdivide(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split every face (F, 3) into four at its edge middles.

    Returns the faces (4F, 3) over new vertices and the pairs (m, 2) of old vertices whose mean each new vertex is;
    vertices that stay come first, paired with themselves.
    """
    old = np.unique(faces)
    unique, where = np.unique(np.sort(_edges(faces), 1), axis=0, return_inverse=True)
    middle = len(old) + where.reshape(3, len(faces))
    a, b, c = np.searchsorted(old, faces).T
    ab, bc, ca = middle
    split = [np.stack(corner, 1) for corner in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    return np.concatenate(split), np.concatenate([np.stack([old, old], 1), unique])


def mean_of_pairs(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Values (m, ...) at subdivided vertices."""
    return 0.5 * (values[pairs[:, 0]] + values[pairs[:, 1]])


def neighbours(faces: np.ndarray, count: int) -> np.ndarray:
    """Neighbour table (count, K) of vertex indices, padded with the vertex itself."""
    edges = _edges(faces)
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    start = np.searchsorted(edges[:, 0], np.arange(count))
    place = np.arange(len(edges)) - start[edges[:, 0]]
    table = np.repeat(np.arange(count)[:, None], place.max() + 1, 1)
    table[edges[:, 0], place] = edges[:, 1]
    return table


def boundary(faces: np.ndarray) -> np.ndarray:
    """Vertices on edges that belong to one face only."""
    unique, counts = np.unique(np.sort(_edges(faces), 1), axis=0, return_counts=True)
    return np.unique(unique[counts == 1])


def smooth(values: np.ndarray, table: np.ndarray, fixed: np.ndarray, passes: int, strength: float = 0.5) -> np.ndarray:
    """Laplacian smoothing of values (n, d) over a neighbour table; the vertices `fixed` stay."""
    own = np.arange(len(table))[:, None]
    used = (table != own).astype(values.dtype)
    degree = np.maximum(used.sum(1, keepdims=True), 1)
    moving = np.ones((len(table), 1), values.dtype)
    moving[fixed] = 0
    for _ in range(passes):
        mean = np.zeros_like(values)
        for column in range(table.shape[1]):
            mean += values[table[:, column]] * used[:, column : column + 1]
        values = values + strength * moving * (mean / degree - values)
    return values


def dense_weights(weights: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """Skinning weights (n, J) of sparse ones (n, K)."""
    dense = np.zeros((len(weights), len(BONES)))
    np.add.at(dense, (np.arange(len(weights))[:, None], bones), weights)
    return dense


def sparse_weights(dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest weights and their bones, (n, 8) each, of dense ones (n, J)."""
    every = np.broadcast_to(np.arange(dense.shape[1]), dense.shape)
    return largest_weights(dense, every)


def refined(patch: Patch, split: np.ndarray) -> Patch:
    """The same surface with the faces of the mask `split` (F,) divided into four, for finer detail along an edge."""
    if not split.any():
        return patch
    faces, pairs = subdivide(patch.faces[split])
    old = np.unique(patch.faces[split])
    extra = pairs[len(old) :]
    count = len(patch.vertices)
    names = np.concatenate([old, count + np.arange(len(extra))])
    mean = {
        name: np.concatenate([getattr(patch, name), mean_of_pairs(getattr(patch, name), extra)])
        for name in ("vertices", "colour", "canonical", "cut", "trim", "bump")
    }
    dense = dense_weights(patch.weights, patch.bones)
    weights, bones = sparse_weights(mean_of_pairs(dense, extra))
    return Patch(
        faces=np.concatenate([patch.faces[~split], names[faces]]),
        material=np.concatenate([patch.material[~split], np.tile(patch.material[split], 4)]),
        weights=np.concatenate([patch.weights, weights]),
        bones=np.concatenate([patch.bones, bones]),
        **mean,
    )


def lined(patch: Patch, mask: np.ndarray) -> Patch:
    """The patch and, for the faces of the mask (F,), a back side with vertices (and so normals) of its own.

    The back side's vertices follow the patch's and are those of `np.unique(patch.faces[mask])`.
    """
    used, back = np.unique(patch.faces[mask][:, ::-1], return_inverse=True)
    copied = {
        name: getattr(patch, name)[used]
        for name in ("vertices", "colour", "canonical", "weights", "bones", "cut", "trim")
    }
    inside = Patch(faces=back.reshape(-1, 3), material=patch.material[mask], bump=-patch.bump[used], **copied)
    return join([patch, inside])


def hanging(patch: Patch) -> np.ndarray:
    """Rows (k, 3) of a vertex and the two whose mean it must stay for the surface to have no gaps.

    These are the middles of edges that only one of the two faces beside them was split at, in an order in which each
    comes after those it depends on.
    """
    edges = np.unique(np.sort(_edges(patch.faces), 1), axis=0)
    middles = np.ascontiguousarray(mean_of_pairs(patch.vertices, edges)).view("V24").ravel()
    places = np.ascontiguousarray(patch.vertices, np.float64).view("V24").ravel()
    order = np.argsort(places)
    found = np.minimum(np.searchsorted(places, middles, sorter=order), len(order) - 1)
    vertex = order[found]
    here = places[vertex] == middles
    rows = np.concatenate([vertex[here, None], edges[here]], 1)
    return rows[np.argsort(rows[:, 0], kind="stable")]
