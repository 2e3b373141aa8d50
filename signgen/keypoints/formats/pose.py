"""`.pose` files (the pose-format library): MediaPipe Holistic, OpenPose, AlphaPose and COCO-WholeBody components."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from signgen.errors import Empty, Unsupported, damage
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.openpose import FROM_BODY_25
from signgen.keypoints.formats.record import Format
from signgen.keypoints.raw import RawClip, Request, follow_signer, present
from signgen.keypoints.skeleton import FACE, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

_VERSIONS = (0.0, 0.1, 0.2)
_OPENPOSE_DEFAULT = (1000, 1000)  # what pose-format's OpenPose importer writes when nobody tells it the size

# Names of Holistic's body points in the order of COCO points 0-22; Holistic has no small toes.
HOLISTIC_BODY = (
    "NOSE", "LEFT_EYE", "RIGHT_EYE", "LEFT_EAR", "RIGHT_EAR", "LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_ELBOW",
    "RIGHT_ELBOW", "LEFT_WRIST", "RIGHT_WRIST", "LEFT_HIP", "RIGHT_HIP", "LEFT_KNEE", "RIGHT_KNEE", "LEFT_ANKLE",
    "RIGHT_ANKLE", "LEFT_FOOT_INDEX", None, "LEFT_HEEL", "RIGHT_FOOT_INDEX", None, "RIGHT_HEEL",
)  # fmt: skip
# Vertices of MediaPipe's face mesh at the 68 iBUG points.
FACE_MESH = (
    127, 234, 93, 132, 58, 172, 136, 149, 152, 378, 365, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 219, 237, 1, 457, 439,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip
_HANDS = {
    "LEFT_HAND_LANDMARKS": LEFT_HAND, "RIGHT_HAND_LANDMARKS": RIGHT_HAND,
    "hand_left_keypoints_2d": LEFT_HAND, "hand_right_keypoints_2d": RIGHT_HAND,
    "LEFT_HAND": LEFT_HAND, "RIGHT_HAND": RIGHT_HAND,
}  # fmt: skip


MOST_PEOPLE = 100  # a header of a few damaged bytes may say 65535, and be followed for hours


def is_pose(head: bytes) -> bool:
    """First bytes of a file: a known version, a frame size, and a plausible number of components."""
    if len(head) < 12:
        return False
    version, _width, _height, _depth, components = struct.unpack("<fHHHH", head[:12])
    return any(abs(version - known) < 1e-6 for known in _VERSIONS) and 1 <= components <= 64


def _read(data: bytes, request: Request) -> RawClip:
    """Bytes of a `.pose` file of version 0.0, 0.1 or 0.2. Other dimensions than x and y are left out."""
    pose = _parse(data, request)
    xy = np.ma.getdata(pose.body.data)[..., :2].astype(np.float64)  # (T,P,N,2)
    scores = np.asarray(pose.body.confidence, dtype=np.float64)  # (T,P,N)
    points, found = _to_wholebody(xy, scores, pose.header.components, request)
    frames = [present(*frame) for frame in zip(points, found, strict=True)]
    clip = follow_signer(frames, request.path.stem, request)
    clip.fps = float(pose.body.fps) if pose.body.fps else None
    clip.size, warnings = _size(pose.header)
    clip.warnings += warnings
    return clip


def _parse(data: bytes, request: Request) -> Any:
    import warnings

    from pose_format import Pose

    # The library checks nothing: a cut file can raise almost anything.
    with damage(request.subject, "a cut or damaged .pose file", "write or download the file again", Exception):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns about NaN, which we count ourselves
            pose = Pose.read(data)
        _check_length(data, len(pose.body.data))
        if pose.body.data.ndim != 4 or pose.body.confidence.shape != pose.body.data.shape[:3]:
            raise ValueError(f"data of shape {pose.body.data.shape}")
        if not 1 <= pose.body.data.shape[1] <= MOST_PEOPLE or not pose.body.data.shape[2]:
            raise ValueError(f"{pose.body.data.shape[1]} people with {pose.body.data.shape[2]} points each")
    if not len(pose.body.data):
        raise request.error("no frames", "the file may be cut; write or download it again", Empty)
    return pose


def _check_length(data: bytes, read: int) -> None:
    """ValueError if a file of version 0.1 says more frames than its length gives.

    Its frames are counted by the bytes there are, since 16 bits hold no more than 65535 of them; a cut file then
    gives fewer frames, with coordinates for confidences.
    """
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader, ConstStructs

    reader = BufferReader(data)
    header = PoseHeader.read(reader)
    if round(header.version, 3) != 0.1:
        return
    _fps, declared = reader.unpack(ConstStructs.double_ushort)
    if read < declared:
        raise ValueError(f"{read} frames of {declared}")


def _size(header: Any) -> tuple[tuple[int, int] | None, list[str]]:
    size = int(header.dimensions.width), int(header.dimensions.height)
    if min(size) < 1:
        return None, []
    openpose = any(component.name == "pose_keypoints_2d" for component in header.components)
    if openpose and size == _OPENPOSE_DEFAULT:
        return None, ["its header says 1000x1000, the default of OpenPose importers; not believed"]
    return size, []


# --- components to the 133 points -----------------------------------------------------------------------------
def _to_wholebody(
    xy: np.ndarray, scores: np.ndarray, components: list[Any], request: Request
) -> tuple[np.ndarray, np.ndarray]:
    points = np.zeros((*xy.shape[:2], NUM_JOINTS, 2))
    found = np.zeros((*xy.shape[:2], NUM_JOINTS))
    start, known = 0, 0
    for component in components:
        for target, source in _joints(component).items():
            points[:, :, target] = xy[:, :, start + source]
            found[:, :, target] = scores[:, :, start + source]
            known += 1
        start += len(component.points)
    if not known:
        names = ", ".join(component.name for component in components)[:200]
        advice = "signgen knows Holistic, OpenPose, AlphaPose and COCO-WholeBody"
        raise request.error(f"components {names}", advice, Unsupported)
    return points, found


def _joints(component: Any) -> dict[int, int]:
    """COCO-WholeBody joint -> point of this component. POSE_WORLD_LANDMARKS is in metres: it gives none."""
    name, names = component.name, list(component.points)
    if name == "POSE_LANDMARKS":
        return {joint: names.index(point) for joint, point in enumerate(HOLISTIC_BODY) if point in names}
    if name == "FACE_LANDMARKS":
        where = {point: i for i, point in enumerate(names)}
        return {FACE.start + i: where[str(v)] for i, v in enumerate(FACE_MESH) if str(v) in where}
    if name == "pose_keypoints_2d" and len(names) == 25:
        return dict(enumerate(FROM_BODY_25))
    if name == "face_keypoints_2d" and len(names) in (68, 70):
        return {FACE.start + i: i for i in range(68)}
    if name in _HANDS and len(names) == 21:
        return {_HANDS[name].start + i: i for i in range(21)}
    if name == "BODY" and len(names) == 23:
        return {i: i for i in range(23)}
    if name == "FACE" and len(names) == 68:
        return {FACE.start + i: i for i in range(68)}
    if len(names) == NUM_JOINTS:  # all points in one component
        return {i: i for i in range(NUM_JOINTS)}
    return {}


# --- writing --------------------------------------------------------------------------------------------------
def _write(keypoints: Keypoints) -> bytes:
    """COCO-WholeBody components of 23, 68, 21 and 21 points, version 0.2 (rates need not be whole numbers)."""
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderDimensions
    from pose_format.utils.cocowholebody133_header import cocowholebody_components

    header = PoseHeader(0.2, PoseHeaderDimensions(keypoints.width, keypoints.height, 0), cocowholebody_components())
    body = NumPyPoseBody(keypoints.fps, keypoints.xy[:, None].copy(), keypoints.confidence[:, None].copy())
    buffer = io.BytesIO()
    Pose(header, body).write(buffer)
    return buffer.getvalue()


FORMAT = Format(
    name="pose",
    label=".pose",
    kinds=("pose",),
    recognises=lambda value: True,
    read=_read,
    write=_write,
    suffix=".pose",
    size=True,
    fps=True,
)
