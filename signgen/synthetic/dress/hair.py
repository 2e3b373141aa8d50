"""Hair: a shell that grows from the scalp inside a hairline, its strands, and what hangs or is tied."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from signgen.synthetic.body.mesh import HAIR, Patch, mean_of_pairs, plain_patch, subdivide
from signgen.synthetic.body.noise import noise_at, smoothstep
from signgen.synthetic.body.template import Shape, bone_index, template, vertex_normals
from signgen.synthetic.dress.locks import FREE, locks_patch
from signgen.synthetic.dress.long_hair import bun, hair_bump, loft, tail
from signgen.synthetic.dress.looks import Look
from signgen.synthetic.dress.strands import strands_patch

# Height z of the hairline at canonical depth y, front to back, on the template man (eyes at z .988).
_DEPTH = np.array([-0.20, -0.165, -0.15, -0.125, -0.105, -0.085, -0.07, -0.05, -0.03, 0.0, 0.06])
_SHORT = np.array([1.062, 1.062, 1.058, 1.045, 1.010, 0.985, 0.985, 1.000, 0.960, 0.915, 0.905])
_FULL = np.array([1.055, 1.055, 1.048, 1.030, 0.985, 0.965, 0.985, 0.990, 0.940, 0.905, 0.900])
_BOB = np.array([1.055, 1.055, 1.045, 1.025, 0.980, 0.955, 0.940, 0.940, 0.930, 0.905, 0.900])
_FRINGE = np.array([1.022, 1.022, 1.020, 1.015, 0.995, 0.965, 0.950, 0.950, 0.935, 0.905, 0.900])
_HIGH = np.array([1.085, 1.085, 1.080, 1.062, 1.015, 0.985, 0.985, 1.002, 0.965, 0.915, 0.905])
_LINES = {
    **dict.fromkeys(("cropped", "short", "tied", "pony", "bun"), _SHORT),
    **dict.fromkeys(("side", "full", "curly", "quiff", "afro", "slick", "pixie"), _FULL),
    **dict.fromkeys(("receding", "bald"), _HIGH),
    **dict.fromkeys(("bob", "long", "wavy", "curls"), _BOB),
    "fringe": _FRINGE,
}
_STRAY = {"curly": 0.016, "afro": 0.014, "short": 0.009, "full": 0.009, "side": 0.008, "tied": 0.005, "bun": 0.005}
_USUAL_STRAY = 0.007  # unevenness of a hairline in metres, where `_STRAY` says nothing else
CROWN = 1.03  # canonical height above which the crown begins
LOWERED = 0.007  # metres by which the hairline over the forehead is lower than in the tables


def hairline(style: str, parting: float, points: np.ndarray, seed: int) -> np.ndarray:
    """Signed height (n,) in metres above the hairline at canonical points (n, 3): above 0 grows hair."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    stray = _STRAY.get(style, _USUAL_STRAY)
    above = z - np.interp(y, _DEPTH, _LINES[style]) + LOWERED * smoothstep(-0.08, -0.12, y)
    above = above + stray * (noise_at(points, 140, seed + 3) - 0.5) + stray * (noise_at(points, 60, seed + 5) - 0.5)
    if parting:
        front = smoothstep(-0.09, -0.13, y)
        swept = np.exp(-(((x - parting) / 0.022) ** 2))
        above = above - front * 0.016 * swept + front * 0.010 * smoothstep(0.0, 0.05, -x * np.sign(parting))
    ear = (np.abs(x) > 0.072) & (z < 1.0) & (y > -0.085) & (y < -0.02)
    return np.where(ear, -0.02, above)


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
    if look.version >= 5:
        return _mass(look, above, points)
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


def _mass(look: Look, above: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Thickness (m,) of the mass under the locks: smooth, thin at its edge."""
    x, _, z = points.T
    sides = np.exp(-(((z - 1.055) / 0.032) ** 2)) * smoothstep(0.025, 0.060, np.abs(x))
    full = 0.75 if look.hair in ("afro", "curly") else 0.45
    t = full * look.hair_volume * smoothstep(0.0, 0.035, above) * (1 + 0.4 * sides)
    return t * (0.9 + 0.2 * noise_at(points, 30, look.seed)) + 0.001


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


def _grown(look: Look, shape: Shape) -> list[Patch]:
    """Hair from content version 5 on: a close smooth mass, and the locks over it."""
    patches = [_shell(look, shape.rest)]
    locks = locks_patch(look, shape, patches[0])
    patches[0].colour *= 0.6  # what the locks leave open lies in their shade
    if look.hair in FREE:
        patches.append(loft(look, shape.rest, float(shape.heads[bone_index["eye.L"], 2])))
        patches[-1].colour *= 0.6
    if look.hair == "bun":
        patches.append(bun(look, shape.rest))
    if look.hair == "pony":
        patches.append(tail(look, shape))
    return [*patches, locks]


def hair_patches(look: Look, shape: Shape) -> list[Patch]:
    """All hair of a signer with this body; empty for a bald one."""
    if look.hair == "bald":
        return []
    if look.version >= 5:
        return _grown(look, shape)
    patches = [_shell(look, shape.rest)]
    if look.hair in ("bob", "long", "wavy"):
        patches.append(loft(look, shape.rest, float(shape.heads[bone_index["eye.L"], 2])))
    combed = [strands_patch(look, patch, vertex_normals(patch.vertices, patch.faces)) for patch in patches]
    if look.hair == "bun":
        patches.append(bun(look, shape.rest))
    if look.hair == "pony":
        patches.append(tail(look, shape))
    return patches + combed
