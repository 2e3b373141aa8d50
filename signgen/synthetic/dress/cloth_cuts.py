"""Where clothes begin and end: neckline, cuffs and what an open front shows, as signed distances on the template."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from signgen.synthetic.body.template import bone_index, template
from signgen.synthetic.dress.looks import Look
from signgen.synthetic.dress.trimmings import opening_half


@lru_cache(maxsize=1)
def _forearms() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Canonical wrist position and forearm direction, left and right."""
    heads = template().heads
    out = []
    for side in "LR":
        wrist = heads[bone_index[f"wrist.{side}"]]
        along = wrist - heads[bone_index[f"lowerarm01.{side}"]]
        out.append((wrist, along / np.linalg.norm(along)))
    return tuple(out)


def past_wrist(points: np.ndarray) -> np.ndarray:
    """How far (n,) canonical points lie past the wrist joint along the forearm, metres; far negative off the arms."""
    out = np.full(len(points), -1.0)
    for (wrist, along), mine in zip(_forearms(), (points[:, 0] > 0.30, points[:, 0] < -0.30), strict=True):
        out = np.where(mine, (points - wrist) @ along, out)
    return out


def sleeve_left(look: Look, points: np.ndarray) -> np.ndarray:
    """How much sleeve is left at canonical points (n,), metres: 0 at its end, at the wrist or on the upper arm."""
    if not look.short:
        return look.cuff - past_wrist(points)
    heads = template().heads
    shoulder = heads[bone_index["upperarm01.L"]]
    along = heads[bone_index["lowerarm01.L"]] - shoulder
    mirrored = np.concatenate([np.abs(points[:, :1]), points[:, 1:]], 1)
    down = (mirrored - shoulder) @ (along / np.linalg.norm(along))
    return np.where(mirrored[:, 0] > 0.21, look.short - down, 1.0)


def neck_cut(neckline: str, points: np.ndarray) -> np.ndarray:
    """Signed distance (n,) in metres at canonical points: cloth above 0, the neck's opening below."""
    x, y, z = points.T
    if neckline == "turtle":
        return (0.838 + 0.22 * (y + 0.10)) - z
    if neckline in ("shirt", "vest", "suit", "blouse"):
        collar = (0.800 + 0.42 * (y + 0.10)) - z
        deep = {"shirt": 0.725, "blouse": 0.665}.get(neckline, 0.760)
        opening = np.abs(x) - np.clip(0.36 * (z - deep), 0, 0.05)
        return np.where(y < -0.03, np.minimum(collar, opening), collar)
    wide, deep = (0.082, 0.082) if neckline in ("crew", "jacket") else (0.088, 0.086)
    ring = (np.sqrt((x / wide) ** 2 + ((y + 0.030) / deep) ** 2) - 1) * 0.08
    ring = np.where(z < 0.70, 1.0, ring)
    if neckline == "vee":
        ring = np.minimum(ring, np.where(y < -0.01, (np.abs(x) - 0.080 * (z - 0.64) / 0.16) * 0.9, 1.0))
    return np.where((np.abs(x) < 0.16) & (z > 0.60), ring, 1.0)


def cloth_cut(look: Look, points: np.ndarray) -> np.ndarray:
    """Signed distance (n,): where the cloth is, between the neckline and the cuffs."""
    return np.minimum(neck_cut(look.neckline, points), sleeve_left(look, points))


def trim_cut(look: Look, points: np.ndarray) -> np.ndarray:
    """Signed distance (n,) of the second colour: what the opening of a jacket or a waistcoat shows."""
    x, y, z = points.T
    if look.neckline not in ("jacket", "suit", "vest"):
        return np.full(len(points), -1.0)
    front = np.where(y < -0.02, 0.0, -1.0)
    opening = np.minimum(opening_half(z, look.closed) - np.abs(x), 0.02) + front
    if look.neckline != "vest":
        return opening
    round_neck = np.where(z > 0.72, 0.105 - np.hypot(x, y + 0.03), -1.0)  # which a waistcoat leaves free
    return np.maximum(opening, round_neck)
