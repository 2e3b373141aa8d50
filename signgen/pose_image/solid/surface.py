"""From a pose to the hand's surface: vertices in the picture, their depths and normals."""

from __future__ import annotations

import numpy as np

from signgen.pose_image.solid.kinematics import (
    bend_fingers,
    compiled,
    copy,
    inner,
    multiply,
    rotation,
    turn,
    wrist_turn,
)


@inner
def _bones(angles, forearm, anatomy, share, turns, moves):  # type: ignore[no-untyped-def]
    """Rotations (18,3,3) and moves (18,3) of the bone groups: x becomes R x + t."""
    work, palm, wrist = np.empty((3, 3, 3)), np.empty((3, 3)), np.empty((3, 3))
    points, fingers, axes, bone = np.empty((20, 3)), np.empty((15, 3, 3)), np.empty((20, 3)), np.empty((3, 3))
    away = np.empty(3)
    wrist_turn(angles, forearm, anatomy.wrist, palm, wrist, work)
    bend_fingers(angles, anatomy.joints, anatomy.axes, points, fingers, axes, work)
    copy(forearm, turns[0])
    copy(palm, turns[2])
    for group in range(3):
        for i in range(3):
            moves[group, i] = 0.0
    along = anatomy.wrist[0]
    rotation(along[0], along[1], along[2], share * angles[0], bone)
    multiply(forearm, bone, turns[1])
    for k in range(15):
        finger, joint = k // 3, k % 3
        multiply(palm, fingers[k], bone)
        copy(bone, turns[3 + k])
        turn(bone, anatomy.joints[finger, joint], away)
        turn(palm, points[4 * finger + joint], moves[3 + k])
        for i in range(3):
            moves[3 + k, i] -= away[i]


@compiled
def vertex_normals(vertices, faces, flip, normals):  # type: ignore[no-untyped-def]
    """Unit normals (n,3) float32, weighted by the faces' areas; ``flip``: faces are clockwise from outside."""
    for v in range(normals.shape[0]):
        for i in range(3):
            normals[v, i] = 0.0
    sign = np.float32(-1.0 if flip else 1.0)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        x, y, z = sign * (uy * vz - uz * vy), sign * (uz * vx - ux * vz), sign * (ux * vy - uy * vx)
        for corner in range(3):
            v = faces[f, corner]
            normals[v, 0] += x
            normals[v, 1] += y
            normals[v, 2] += z
    for v in range(normals.shape[0]):
        square = normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2
        scale = np.float32(1.0) / np.sqrt(square + np.float32(1e-24))
        for i in range(3):
            normals[v, i] *= scale


@compiled
def surface(angles, forearm, scale, wrist, depth, bend, size, thick, anatomy, mesh, pixels, away, normals):  # type: ignore[no-untyped-def]
    """One hand as it is drawn.

    Args:
        angles, forearm, scale, wrist, depth, bend: of `tracking.Poses`.
        size: length over that of the neutral hand, for depths; thick: girth over what follows from it.
        pixels, away, normals: float32 (n,2), (n,) and (n,3) (right, down, to the camera), filled.
    """
    rotations, shifts = np.empty((18, 3, 3), np.float32), np.empty((18, 3), np.float32)
    _bones(angles, forearm, anatomy, mesh.twist_share, rotations, shifts)
    count, thickness = mesh.rest.shape[0], np.float32(thick)
    vertices = np.empty((count, 3), np.float32)
    for v in range(count):
        x = mesh.foot[v, 0] + thickness * (mesh.rest[v, 0] - mesh.foot[v, 0])
        y = mesh.foot[v, 1] + thickness * (mesh.rest[v, 1] - mesh.foot[v, 1])
        z = mesh.foot[v, 2] + thickness * (mesh.rest[v, 2] - mesh.foot[v, 2])
        a = b = c = np.float32(0.0)
        for k in range(mesh.weights.shape[1]):
            weight = mesh.weights[v, k]
            if weight <= 0.0:
                break
            g = mesh.groups[v, k]
            a += weight * (rotations[g, 0, 0] * x + rotations[g, 0, 1] * y + rotations[g, 0, 2] * z + shifts[g, 0])
            b += weight * (rotations[g, 1, 0] * x + rotations[g, 1, 1] * y + rotations[g, 1, 2] * z + shifts[g, 1])
            c += weight * (rotations[g, 2, 0] * x + rotations[g, 2, 1] * y + rotations[g, 2, 2] * z + shifts[g, 2])
        vertices[v, 0], vertices[v, 1], vertices[v, 2] = a, b, c
    vertex_normals(vertices, mesh.faces, False, normals)
    mirrored = scale[0] < 0.0
    for v in range(count):
        x, y = scale[0] * vertices[v, 0] + wrist[0], scale[1] * vertices[v, 1] + wrist[1]
        for k in range(mesh.follow.shape[1]):
            share = mesh.follow[v, k]
            if share <= 0.0:
                break
            x += share * bend[mesh.followed[v, k], 0]
            y += share * bend[mesh.followed[v, k], 1]
        pixels[v, 0], pixels[v, 1], away[v] = x, y, depth + size * vertices[v, 2]
        if mirrored:
            normals[v, 0] = -normals[v, 0]
        normals[v, 2] = -normals[v, 2]
