"""The 133 COCO-WholeBody keypoints of a posed signer, as points of the body, and whether they are seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from signgen.keypoints.skeleton import LEFT_HAND, NAMES, RIGHT_HAND
from signgen.synthetic.body.template import CORNEAS, bone_index, template
from signgen.synthetic.signer import Signer

NOSE, EARS = 297, (12229, 5632)  # hm08 ids; left first
# fmt: off
FACE = (  # iBUG 68, hm08 ids
    867, 5092, 5238, 912, 894, 742, 920, 727, 732, 7449, 7622, 7462, 7596, 7614, 11847, 11707, 7572,  # jaw
    255, 206, 204, 205, 208, 6983, 6980, 6979, 6981, 7024,  # brows
    136, 131, 201, 297, 286, 313, 317, 7076, 7055,  # nose
    18, 0, 54, 66, 47, 41, 6850, 6838, 6784, 6802, 6825, 6831,  # eyes
    402, 5354, 450, 455, 7210, 11956, 7162, 7233, 7245, 496, 490, 478,  # outer lips
    428, 470, 474, 7226, 7188, 7236, 493, 481,  # inner lips
)
# fmt: on
# Keypoints 5 to 22 are regressed joints, carried by these bones; hips, legs and feet by the root.
_CARRIERS = {5: "shoulder01.L", 6: "shoulder01.R", 7: "upperarm02.L", 8: "upperarm02.R"}
_RIGID = {row: (NAMES[row], _CARRIERS.get(row, "root")) for row in (5, 6, 7, 8, *range(11, 23))}
_HANDS = ((LEFT_HAND.start, "L"), (RIGHT_HAND.start, "R"))
VISIBLE, OCCLUDED, DEEPLY_OCCLUDED = 0.92, 0.50, 0.30  # confidences


@lru_cache(maxsize=1)
def _vertex_rows() -> tuple[np.ndarray, np.ndarray]:
    """Keypoints that are vertices, and the vertices."""
    rows = [0, 1, 2, 3, 4, *range(23, 91)]
    return np.array(rows), template().new[np.array([NOSE, *CORNEAS, *EARS, *FACE])]


@lru_cache(maxsize=1)
def _bone_rows() -> tuple[np.ndarray, np.ndarray]:
    """Keypoints that are bone heads, and the bones: wrists and finger joints."""
    rows, bones = [9, 10], ["wrist.L", "wrist.R"]
    for first, side in _HANDS:
        rows += [first, *(first + 1 + 4 * finger + joint for finger in range(5) for joint in range(3))]
        bones += [
            f"wrist.{side}",
            *(f"finger{finger + 1}-{joint + 1}.{side}" for finger in range(5) for joint in range(3)),
        ]
    return np.array(rows), np.array([bone_index[bone] for bone in bones])


def keypoints_3d(signer: Signer, vertices: np.ndarray, turn: np.ndarray, place: np.ndarray) -> np.ndarray:
    """World positions (133, 3) of the keypoints of posed vertices (n, 3) with G (J, 3, 3) and h (J, 3)."""
    points = np.empty((133, 3))
    rows, which = _vertex_rows()
    points[rows] = vertices[which]
    rows, which = _bone_rows()
    points[rows] = place[which]
    for row, (joint, bone) in _RIGID.items():
        j = bone_index[bone]
        points[row] = turn[j] @ (signer.joints[joint] - signer.heads[j]) + place[j]
    for (first, _), tips in zip(_HANDS, template().tips, strict=True):
        points[first + 4 : first + 21 : 4] = vertices[tips].mean(1)
    return points


def rest_points(signer: Signer, face: Mapping[str, float] | None = None) -> np.ndarray:
    """World positions (133, 3) of a signer's keypoints in the rest pose, with facial actions if any are given."""
    return keypoints_3d(
        signer, *signer.posed(np.tile(np.eye(3, dtype=np.float32), (len(bone_index), 1, 1)), face or {})
    )


def _tolerances() -> np.ndarray:
    """How deep (133,) in metres below the drawn surface each keypoint lies when it is seen."""
    depth = np.full(133, 0.020)
    depth[[0, 1, 2]] = depth[23:91] = 0.012
    depth[5:7], depth[7:9], depth[9:11], depth[11:13], depth[13:23] = 0.10, 0.10, 0.045, 0.16, 0.10
    for first, _ in _HANDS:
        depth[first], depth[first + 1], depth[first + 2] = 0.045, 0.040, 0.028
        depth[[first + 5, first + 9, first + 13, first + 17]] = 0.030
    return depth


_DEPTH = _tolerances()


def confidences(projected: np.ndarray, depth: np.ndarray, step: int) -> np.ndarray:
    """Confidence (133,) of keypoints at (column, row, depth y), (133, 3), in the pixels of a depth buffer (H, W).

    About .9 where seen, .5 falling to .3 the deeper a point lies behind a surface, 0 outside the picture. The farthest
    of 3 x 3 depths, `step` pixels apart, is what may hide a point, which is robust at edges.
    """
    height, width = depth.shape
    x, y = np.floor(projected[:, 0]).astype(int), np.floor(projected[:, 1]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    window = [
        depth[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]
        for dy in (-step, 0, step)
        for dx in (-step, 0, step)
    ]
    surface = np.minimum(np.max(window, 0), 1.0)
    buried = projected[:, 2] - _DEPTH - surface
    hidden = np.clip(OCCLUDED - buried * 1.5, DEEPLY_OCCLUDED, OCCLUDED)
    return np.where(inside, np.where(buried <= 0, VISIBLE, hidden), 0).astype(np.float32)
