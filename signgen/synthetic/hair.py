"""Hair: a shell grown from the scalp inside a hairline, its strands, and what hangs or is tied."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from signgen.synthetic.body import Shape, bone_index, template, vertex_normals
from signgen.synthetic.hair_grids import hair_bump
from signgen.synthetic.hairline import hairline
from signgen.synthetic.long_hair import loft
from signgen.synthetic.looks import Look
from signgen.synthetic.mesh import HAIR, Patch, mean_of_pairs, plain_patch, subdivide
from signgen.synthetic.noise import noise_at, smoothstep
from signgen.synthetic.strands import strands_patch
from signgen.synthetic.tied_hair import bun, tail

CROWN = 1.03  # canonical height above which the crown begins


@lru_cache(maxsize=1)
def _scalp() -> tuple[np.ndarray, np.ndarray]:
    """Subdivided faces of the head without eye and mouth cavities, and the vertex pairs they are made of."""
    shared = template()
    faces = shared.body_faces[shared.parts["head"]]
    cavities = shared.part("mouth_cavity", "eye_cavity.L", "eye_cavity.R")
    faces = faces[~np.isin(faces, cavities).any(1)]
    above = shared.canonical[:, 2] > 0.88
    return subdivide(faces[above[faces].all(1)])


def _thickness(look: Look, above: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Thickness (m,) of the hair over the scalp, metres: thin at its edge, uneven in strands that run down."""
    x, y, z = points.T
    sides = np.exp(-(((z - 1.055) / 0.032) ** 2)) * smoothstep(0.025, 0.060, np.abs(x))
    t = look.hair_volume * smoothstep(-0.006, 0.030, above) * (1 + 0.6 * sides - 0.25 * smoothstep(CROWN, 1.11, z))
    rough = 0.22 if look.hair == "afro" else 0.3
    strands = noise_at(points, (120, 120, 28), look.seed) + 0.7 * noise_at(points, (260, 260, 45), look.seed + 1) - 0.85
    if look.hair in ("curly", "afro"):
        strands = noise_at(points, 75, look.seed) + 0.4 * noise_at(points, 150, look.seed + 1) - 0.7
    t = t * (1 + 2 * rough * strands)
    if look.hair == "quiff":
        t = t * (0.75 + 1.1 * smoothstep(1.045, 1.075, z) * smoothstep(-0.02, -0.10, y))
    if look.parting:
        groove = np.exp(-(((x - look.parting) / 0.010) ** 2)) * (z > 1.04) * (y < 0)
        t = t - 0.6 * look.hair_volume * groove
    return np.maximum(t, 0.0) + 0.0012


def _shell(look: Look, rest: np.ndarray) -> Patch:
    """The hair that follows the scalp."""
    shared = template()
    faces, pairs = _scalp()
    canonical, base = mean_of_pairs(shared.canonical, pairs), mean_of_pairs(rest, pairs)
    above = hairline(look.hair, look.parting, canonical, look.seed)
    keep = (above[faces] > -0.02).any(1)
    faces = faces[keep]
    used = np.unique(faces)
    new = np.full(len(base), -1)
    new[used] = np.arange(len(used))
    normals = vertex_normals(base, _scalp()[0])[used]
    canonical, base, above = canonical[used], base[used], above[used]
    vertices = base + normals * _thickness(look, above, canonical)[:, None]
    nearest = pairs[used, 0]
    patch = plain_patch(
        vertices, new[faces], HAIR, look.hair_colour, canonical, shared.weights[nearest], shared.bones[nearest]
    )
    patch.cut, patch.bump = above, hair_bump(canonical, look.seed, 0.9 if look.hair in ("curly", "afro") else 0.5)
    return patch


def hair_patches(look: Look, shape: Shape) -> list[Patch]:
    """All hair of a signer with this body; empty for a bald one."""
    if look.hair == "bald":
        return []
    patches = [_shell(look, shape.rest)]
    if look.hair in ("bob", "long", "wavy"):
        patches.append(loft(look, shape.rest, float(shape.heads[bone_index["eye.L"], 2])))
    combed = [strands_patch(look, patch, vertex_normals(patch.vertices, patch.faces)) for patch in patches]
    if look.hair == "bun":
        patches.append(bun(look, shape.rest))
    if look.hair == "pony":
        patches.append(tail(look, shape))
    return patches + combed
