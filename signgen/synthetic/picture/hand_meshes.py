"""The true hands of a drawn signer, as the solid pose image draws them: what a network may learn from."""

from __future__ import annotations

import numpy as np

from signgen.pose_image.solid.drawing import Mesh
from signgen.pose_image.solid.hand import hand_mesh
from signgen.pose_image.solid.surface import vertex_normals
from signgen.synthetic.motion.posture import Pose
from signgen.synthetic.picture.camera import NATIVE, Camera
from signgen.synthetic.signer import Signer


def true_meshes(signer: Signer, camera: Camera, pose: Pose, size: tuple[int, int] = NATIVE) -> list[Mesh]:
    """Left and right hand of a posed signer in a picture of ``size``, for `pose_image.solid.draw_meshes`.

    A frame's truth is the middle of its exposure: ``poses[len(poses) // 2]`` of `Plan.exposures`, with
    ``plan.camera(index)``.

    Returns:
        For each hand float32 pixels (n,2), depth (n,) and normals (n,3): right, down, to the camera.
    """
    mesh, angle = hand_mesh(), np.radians(camera.turn)
    cos, sin = np.cos(angle), np.sin(angle)
    to_view = np.array([[cos, -sin, 0], [0, 0, -1], [sin, cos, 0]], np.float32)  # right, down, away
    vertices = signer.posed(pose.rotations, pose.face)[0]
    out = []
    for side in range(2):
        hand = vertices[mesh.ids[side]]
        seen = camera.project(hand + np.asarray(pose.root_shift, np.float32), signer.head_top, size)
        normals = np.empty_like(hand)
        vertex_normals(np.ascontiguousarray(hand @ to_view.T), mesh.faces, side == 1, normals)
        normals[:, 2] *= -1
        out.append((np.ascontiguousarray(seen[:, :2]), np.ascontiguousarray(seen[:, 2]), normals))
    return out
