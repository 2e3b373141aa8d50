"""The colours of a signer's skin, lips, lids, beard and mouth: an albedo a vertex, and what the shader paints."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from signgen.synthetic.body.mesh import EYE, MOUTH, SKIN
from signgen.synthetic.body.noise import noise_at, smoothstep
from signgen.synthetic.body.rotations import Triple, triple
from signgen.synthetic.body.template import CORNEAS, LEFT_EYE, RIGHT_EYE, SKIN_END, TEETH, TONGUE_END, template
from signgen.synthetic.dress.folds import arm_axes
from signgen.synthetic.dress.hair import hairline
from signgen.synthetic.dress.looks import Look

LIP_SHARE = np.array([0.35, 0.90, 1.0, 1.0, 1.0, 0.85, 0.5])  # how much lip colour, from the inner edge outwards
LASH_SHARE_UPPER = np.array([0.5, 0.75, 0.8, 0.65, 0.3])
LASH_SHARE_LOWER = np.array([0.2, 0.35, 0.35, 0.2, 0.05])
LASH = np.array([0.10, 0.06, 0.05])
MOUTH_DARK, TONGUE_RED, TOOTH = (0.22, 0.06, 0.06), (0.62, 0.28, 0.28), (0.80, 0.76, 0.68)
DEEP_RED, CLEAR_TOOTH = (0.50, 0.19, 0.19), (0.92, 0.88, 0.80)  # of tongue and teeth, since content version 5
BROW_LANDMARKS = (255, 206, 204, 205, 208)  # hm08 ids of the person's right brow, outer to inner
BROW_LOWERED = np.array([0.0005, 0.0015, 0.0025, 0.0030, 0.0045])
BROW_WIDTH = np.array([0.0010, 0.0019, 0.0026, 0.0031, 0.0029])
CALM_BROW = np.array([0.0030, 0.0008, 0.0004, 0.0010, 0.0012])  # the same lowering, from content version 5 on
CALM_BROW_WIDTH = np.array([0.0008, 0.0019, 0.0026, 0.0027, 0.0019])


def hm08_between(start: int, stop: int) -> np.ndarray:
    """Mask over the template's vertices with hm08 ids in [start, stop)."""
    ids = template().hm08
    return (ids >= start) & (ids < stop)


@lru_cache(maxsize=1)
def is_head() -> np.ndarray:
    """Mask of vertices that follow the neck or the head."""
    return np.char.startswith(template().dominant, "neck") | (template().dominant == "head")


@lru_cache(maxsize=1)
def is_hand() -> np.ndarray:
    """Mask of vertices that follow a wrist or a finger."""
    names = template().dominant
    return np.any([np.char.startswith(names, part) for part in ("wrist", "finger", "metacarpal")], 0)


def body_material() -> np.ndarray:
    """Material (n,) of each vertex of the naked body."""
    shared = template()
    material = np.full(len(shared.hm08), SKIN)
    material[shared.part("eye_front.L", "eye_front.R", "eye_back.L", "eye_back.R")] = EYE
    material[hm08_between(SKIN_END, TONGUE_END)] = MOUTH
    material[shared.part("mouth_cavity")] = MOUTH
    material[shared.lip_ring >= 0] = SKIN
    return material


def _bump(points: np.ndarray, centre: tuple[float, float, float], width: float) -> np.ndarray:
    """Gaussian around a point and its mirror image, (n,)."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    return np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2) / width**2)


def _redness(points: np.ndarray, dominant: np.ndarray) -> np.ndarray:
    """Where blood shows (n,): cheeks, nose, ears, knuckles and finger tips."""
    red = 0.9 * _bump(points, (0.042, -0.140, 0.945), 0.026) + 0.8 * _bump(points, (0, -0.19, 0.947), 0.018)
    red += 0.5 * ((np.abs(points[:, 0]) > 0.070) & (points[:, 2] > 0.92))
    for joint, amount in (("-3.", 0.60), ("-2.", 0.28)):
        fingers = np.char.startswith(dominant, "finger") & (np.char.find(dominant, joint) == 7)
        red += amount * fingers
    return red


def beard_growth(look: Look) -> np.ndarray:
    """Density 0..1 (n,) of the beard at the body's vertices: jaw, chin and upper lip, as far as the style has them."""
    shared = template()
    points = shared.canonical
    x, z, front = np.abs(points[:, 0]), points[:, 2], smoothstep(-0.03, -0.065, points[:, 1])
    jaw = smoothstep(0.928, 0.903, z) * front * smoothstep(0.82, 0.865, z)
    lip = np.exp(-(((z - 0.929) / 0.007) ** 2)) * (x < 0.035) * (points[:, 1] < -0.13)
    chin = jaw * smoothstep(0.032, 0.020, x) * smoothstep(0.85, 0.868, z)
    corner = np.exp(-(((x - 0.030) / 0.006) ** 2)) * (z > 0.88) * (z < 0.925) * (points[:, 1] < -0.12)
    shares = {
        "none": 0 * jaw,
        "stubble": np.maximum(jaw, lip),
        "full": np.maximum(jaw, lip),
        "goatee": np.maximum(np.maximum(chin, lip), corner),
        "moustache": lip,
    }
    inside = shared.lip_ring < 0  # never on the lips themselves
    return look.beard * shares[look.beard_style] * is_head() * inside


def _mix(colour: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    return colour + (other - colour) * share[:, None]


def _paint_lips_and_lids(colour: np.ndarray, look: Look) -> np.ndarray:
    shared = template()
    lip, lid = shared.lip_ring, shared.lid_ring
    lips = np.where(lip[:, None] < 2, 0.75, 1.0) * np.array(look.lips)
    colour = _mix(colour, lips, np.where(lip >= 0, LIP_SHARE[np.maximum(lip, 0)], 0))
    lashes = np.where(shared.lid_upper, LASH_SHARE_UPPER[np.maximum(lid, 0)], LASH_SHARE_LOWER[np.maximum(lid, 0)])
    return _mix(colour, LASH, np.where(lid >= 0, lashes, 0))


def _paint_skin(look: Look) -> np.ndarray:
    """Skin tone with slow variation, redness, sockets and the scalp showing hair colour."""
    shared = template()
    points, seed = shared.canonical, look.seed
    tone = 1 + 0.10 * (noise_at(points, 35, seed + 9) - 0.5) + 0.08 * (noise_at(points, 150, seed + 8) - 0.5)
    colour = np.array(look.skin) * tone[:, None]
    colour = colour * (1 + _redness(points, shared.dominant)[:, None] * np.array([0.02, -0.13, -0.13]))
    socket = np.exp(-(((np.abs(points[:, 0]) - 0.033) / 0.022) ** 2 + ((points[:, 2] - 0.990) / 0.013) ** 2))
    socket = np.where(points[:, 1] < -0.1, socket, 0)
    colour = colour * (1 - 0.20 * socket)[:, None]
    edge = (-0.010, 0.004) if look.version < 5 else (-0.001, 0.012)
    scalp = smoothstep(*edge, hairline(look.hair, look.parting, points, seed)) * is_head()
    return _mix(colour, np.array(look.hair_colour), scalp * (0.22 if look.hair == "bald" else 0.85))


def complexion(look: Look) -> np.ndarray:
    """Albedo (n, 3) of the naked body's vertices."""
    shared = template()
    colour = _paint_lips_and_lids(_paint_skin(look), look)
    cavity = shared.part("mouth_cavity")
    colour[cavity[shared.lip_ring[cavity] < 0]] = MOUTH_DARK
    colour[hm08_between(SKIN_END, TONGUE_END)] = TONGUE_RED if look.version < 5 else DEEP_RED
    colour[hm08_between(TEETH.start, TEETH.stop)] = TOOTH if look.version < 5 else CLEAR_TOOTH
    for eye in (LEFT_EYE, RIGHT_EYE):
        colour[hm08_between(eye.start, eye.stop)] = 0.6
    return colour


class Paint(NamedTuple):
    """Linear colours of one signer that the shader needs beside those of the vertices."""

    brows: Triple
    brow_line: np.ndarray  # (5, 3): |x|, z, half-width in canonical metres
    iris: Triple
    eyes: tuple[Triple, Triple]  # canonical cornea poles, left and right
    second: Triple  # trim colour of cloth
    beard: Triple
    wrinkles: float
    seed: float
    pattern: int  # of cloth, see `picture.shade`
    pattern_size: float
    pattern_colour: Triple
    arm: tuple[float, float, float, float, float, float]  # canonical shoulder joint and direction down the arm


def paint_of(look: Look) -> Paint:
    """The shader's colours for a `Look`."""
    shared = template()
    brow = shared.canonical[shared.new[list(BROW_LANDMARKS)]]
    lowered, width = (BROW_LOWERED, BROW_WIDTH) if look.version < 5 else (CALM_BROW, CALM_BROW_WIDTH * look.brow_width)
    line = np.stack([np.abs(brow[:, 0]), brow[:, 2] - lowered, width], 1)
    left, right = shared.canonical[shared.new[list(CORNEAS)]]
    shoulder, along = arm_axes()
    return Paint(
        triple(look.brows),
        line,
        triple(look.iris),
        (triple(left), triple(right)),
        triple(look.second),
        triple(0.8 * channel for channel in look.hair_colour),
        float(look.wrinkles),
        float(look.seed),
        look.pattern,
        look.pattern_size,
        triple(look.pattern_colour),
        (*triple(shoulder), *triple(along)),
    )
