"""The contact sheet of held-out clips: source, pose, truth, autoencoder and generated frame with enlarged hands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from held_out_scores import CEILING, MODEL

from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import CONFIDENT
from signgen.pose_image import draw_pose
from signgen.scoring.metrics.hands import CROP, KNUCKLES, hand_crop


@dataclass
class Picture:
    """One row of the contact sheet: panel name -> (frame uint8 (H,W,3), middle knuckles (2,2) px, NaN: no hand)."""

    panels: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def make_picture(
    index: int,
    source: np.ndarray,
    keypoints: Keypoints,
    true: np.ndarray,
    window: Keypoints,
    made: dict[str, np.ndarray],
) -> Picture:
    """The row of frame ``index`` of a window.

    Args:
        source: uint8 (H,W,3), the clip's first frame.
        keypoints: of the whole clip.
        true: frames of the window uint8 (N,H,W,3).
        window: their keypoints.
        made: method -> its frames of the window.
    """
    here = _knuckles(window, index)
    panels = {"source": (source, _knuckles(keypoints, 0)), "pose": (draw_pose(window[index : index + 1])[0], here)}
    panels["truth"] = (true[index], here)
    panels.update({name: (made[name][index], here) for name in (CEILING, MODEL) if name in made})
    return Picture(panels)


def _knuckles(keypoints: Keypoints, frame: int) -> np.ndarray:
    """Middle knuckles (2,2) in pixels, NaN for a hand that Hand SSIM leaves out."""
    seen = keypoints.confidence[frame, KNUCKLES] >= CONFIDENT
    return np.where(seen[:, None], keypoints.xy[frame, KNUCKLES], np.nan)


def panel(frame: np.ndarray, knuckles: np.ndarray) -> np.ndarray:
    """The frame with its two hands beside it, enlarged twice: right hand above, left hand below."""
    column = np.zeros((max(len(frame), 4 * CROP), 2 * CROP, 3), np.uint8)
    for row, centre in enumerate(knuckles[::-1]):
        if np.isnan(centre).any():
            continue
        hand = hand_crop(frame, (float(centre[0]), float(centre[1])))
        column[2 * CROP * row : 2 * CROP * (row + 1)] = hand.repeat(2, 0).repeat(2, 1)
    tall = np.zeros((len(column), frame.shape[1], 3), np.uint8)
    tall[: len(frame)] = frame
    return np.concatenate([tall, column], axis=1)


def write_sheet(pictures: list[Picture], path: Path) -> None:
    """Rows of source | pose | truth | autoencoder | generated, with enlarged hands."""
    from PIL import Image

    rows = [np.concatenate([panel(*one) for one in p.panels.values()], axis=1) for p in pictures if p.panels]
    Image.fromarray(np.concatenate(rows)).save(path)
