"""`.pose` files (the pose-format library): MediaPipe Holistic, OpenPose, AlphaPose and COCO-WholeBody components."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import Empty, Unsupported, damage
from signgen.keypoints.clip import Keypoints
from signgen.keypoints.formats.openpose import BODY_135, FROM_BODY_25
from signgen.keypoints.formats.record import Format
from signgen.keypoints.layouts.holistic import FACE_MESH, HOLISTIC_BODY
from signgen.keypoints.layouts.wholebody import HALPE_136
from signgen.keypoints.people import Detections, check_crowd, follow, present
from signgen.keypoints.raw import RawClip, Request
from signgen.keypoints.rows import blocks
from signgen.keypoints.skeleton import FACE, FEET, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

_VERSIONS = (0.0, 0.1, 0.2)
_LARGEST_HEADER = 4 << 20  # bytes; usual ones have some 20,000
_AT_A_TIME = 16 << 20  # bytes of frames
_SMALLEST = 16  # pixels of a side; pose-format itself writes less in poses that belong to no frame
_IMPORTERS_DEFAULT = (1000, 1000)  # what pose-format's importers write when nobody tells them the size

_HANDS = {
    "LEFT_HAND_LANDMARKS": LEFT_HAND, "RIGHT_HAND_LANDMARKS": RIGHT_HAND,
    "hand_left_keypoints_2d": LEFT_HAND, "hand_right_keypoints_2d": RIGHT_HAND,
    **{f"{side}_HAND{of}": hand for of in ("", "_133", "_136")
       for side, hand in (("LEFT", LEFT_HAND), ("RIGHT", RIGHT_HAND))},
}  # fmt: skip


def is_pose(head: bytes) -> bool:
    """First bytes of a file: a known version, a frame size, and a plausible number of components."""
    if len(head) < 12:
        return False
    version, _width, _height, _depth, components = struct.unpack("<fHHHH", head[:12])
    return any(abs(version - known) < 1e-6 for known in _VERSIONS) and 1 <= components <= 64


def _read(stream: BinaryIO, request: Request) -> RawClip:
    """A `.pose` file of version 0.0, 0.1 or 0.2. Other dimensions than x and y are left out."""
    # The library checks nothing: a cut file can raise almost anything.
    with damage(request.subject, "a cut or damaged .pose file", "write or download the file again", Exception):
        body = _Body(stream, request)
    targets = _joints_of(body.header.components, request)
    clip = follow((_wholebody(*part, targets) for part in body.parts()), request.path.stem, request)
    clip.fps = body.fps or None
    clip.size, warnings = _size(body.header)
    clip.warnings += warnings
    clip.around_neck = True
    return clip


class _Body:
    """Header, rate and frames of a file, which are read some at a time.

    pose-format's own reader takes hours for a file that says 65,535 people, and all of a file at once.
    """

    def __init__(self, stream: BinaryIO, request: Request) -> None:
        from pose_format.pose_header import PoseHeader
        from pose_format.utils.reader import BufferReader

        self._stream = stream
        size = stream.seek(0, os.SEEK_END)
        reader = BufferReader(self._bytes(0, min(size, _LARGEST_HEADER)))
        self.header = PoseHeader.read(reader)
        components = self.header.components
        self._points = sum(len(component.points) for component in components)
        columns = {len(component.format) for component in components}
        self._columns, start = max(columns), reader.read_offset
        version = round(self.header.version, 3)
        fields = struct.Struct({0.0: "<HH", 0.1: "<HHH", 0.2: "<fIH"}[version])
        fps, declared, *people = fields.unpack(self._bytes(start, fields.size))
        self.fps, self._start, self._people = float(fps), start + fields.size, people[0] if people else 1
        if self._columns < 3 or (version == 0 and len(columns) > 1):
            raise ValueError("components without x, y and a confidence")
        if not self._people or not self._points:
            raise ValueError(f"{self._people} people with {self._points} points each")
        check_crowd(self._people, request)
        self._each = 4 * self._people * self._points * self._columns  # bytes of a frame
        self._frames = (size - self._start) // self._each if version == 0.1 else declared
        if version == 0.1 and self._frames < declared:  # 16 bits hold no more than 65535: the bytes are counted
            raise ValueError(f"{self._frames} frames of {declared}")
        self._oldest = self._places(size) if version == 0 else None
        if self._oldest is None and self._start + self._frames * self._each > size:
            raise ValueError(f"{(size - self._start) // self._each} frames of {declared}")
        if not self._frames:
            raise request.error("no frames", "the file may be cut; write or download it again", Empty)

    def _bytes(self, start: int, count: int) -> bytes:
        self._stream.seek(start)
        return self._stream.read(count)

    def _places(self, size: int) -> list[int]:
        """Where the first person of each frame begins in a file of version 0.0, -1 for none."""
        places, place = [], self._start
        person = 2 + 4 * sum(len(component.points) * len(component.format) for component in self.header.components)
        for _ in range(self._frames):
            (people,) = struct.unpack("<H", self._bytes(place, 2))
            places.append(place + 4 if people else -1)
            place += 2 + people * person
            if place > size:
                raise ValueError(f"{len(places)} frames of {self._frames}")
        return places

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """float32 (N,P,points,2) and (N,P,points)."""
        for part in blocks(self._frames, max(1, _AT_A_TIME // self._each)):
            count = part.stop - part.start
            if self._oldest is not None:
                empty = bytes(self._each)
                data = b"".join(empty if at < 0 else self._bytes(at, self._each) for at in self._oldest[part])
                values = np.frombuffer(data, "<f4").reshape(count, 1, self._points, self._columns)
                yield values[..., :2], values[..., -1]
                continue
            width = self._columns - 1  # places of all frames come first, then confidences
            one = 4 * self._people * self._points
            places = self._bytes(self._start + part.start * one * width, count * one * width)
            scores = self._bytes(self._start + one * (self._frames * width + part.start), count * one)
            shape = count, self._people, self._points
            yield (
                np.frombuffer(places, "<f4").reshape(*shape, width)[..., :2],
                np.frombuffer(scores, "<f4").reshape(shape),
            )


def _size(header: Any) -> tuple[tuple[int, int] | None, list[str]]:
    size = int(header.dimensions.width), int(header.dimensions.height)
    if min(size) < _SMALLEST:
        return None, [f"its header says {size[0]}x{size[1]}, which is no frame; not believed"] if min(size) else []
    imported = any(component.name == "pose_keypoints_2d" or "_13" in component.name for component in header.components)
    if imported and size == _IMPORTERS_DEFAULT:
        return None, ["its header says 1000x1000, the default of OpenPose and AlphaPose importers; not believed"]
    return size, []


# --- components to the 133 points -----------------------------------------------------------------------------
def _joints_of(components: list[Any], request: Request) -> dict[int, int]:
    """COCO-WholeBody joint -> point of the file."""
    found: dict[int, int] = {}
    start = 0
    for component in components:
        found |= {target: start + source for target, source in _joints(component).items()}
        start += len(component.points)
    if not found:
        names = ", ".join(component.name for component in components)[:200]
        advice = "signgen knows Holistic, OpenPose, AlphaPose and COCO-WholeBody"
        raise request.error(f"components {names}", advice, Unsupported)
    return found


def _wholebody(xy: np.ndarray, scores: np.ndarray, joints: dict[int, int]) -> Detections:
    """From (T,P,points,2) and (T,P,points)."""
    points, found = (np.zeros((*xy.shape[:2], NUM_JOINTS, *rest), np.float32) for rest in ((2,), ()))
    points[:, :, list(joints)] = xy[:, :, list(joints.values())]
    found[:, :, list(joints)] = scores[:, :, list(joints.values())]
    return present(points, found)


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
    if name in ("BODY", "BODY_133") and len(names) == 23:
        return {i: i for i in range(23)}
    if name == "BODY_136" and len(names) == 26:
        return {joint: HALPE_136[joint] for joint in range(FEET.stop)}
    if name == "BODY_135" and len(names) == 135:
        return BODY_135
    if name in ("FACE", "FACE_133", "FACE_136") and len(names) == 68:
        return {FACE.start + i: i for i in range(68)}
    if len(names) == NUM_JOINTS:  # all points in one component
        return {i: i for i in range(NUM_JOINTS)}
    if name == "pose_keypoints_2d" or name.startswith("BODY"):  # without legs, say
        return {joint: names.index(point) for joint, point in enumerate(body_names(name)) if point in names}
    return {}


def body_names(component: str) -> list[str]:
    """What pose-format calls the body's and feet's points in a component, in the order of COCO-WholeBody."""
    from pose_format.utils.cocowholebody133_header import cocowholebody_components
    from pose_format.utils.openpose import BODY_POINTS

    if component == "pose_keypoints_2d":
        return [BODY_POINTS[source] for source in FROM_BODY_25]
    return list(cocowholebody_components()[0].points)  # AlphaPose's are called the same


# --- writing --------------------------------------------------------------------------------------------------
def _write(keypoints: Keypoints) -> Iterator[bytes]:
    """COCO-WholeBody components of 23, 68, 21 and 21 points, version 0.2 (rates need not be whole numbers)."""
    from pose_format.pose_header import PoseHeader, PoseHeaderDimensions
    from pose_format.utils.cocowholebody133_header import cocowholebody_components

    header = PoseHeader(0.2, PoseHeaderDimensions(keypoints.width, keypoints.height, 0), cocowholebody_components())
    head = io.BytesIO()
    header.write(head)
    yield head.getvalue() + struct.pack("<fIH", keypoints.fps, len(keypoints), 1)
    for part in keypoints.blocks():
        yield part.xy.astype("<f4").tobytes()
    for part in keypoints.blocks():
        yield part.confidence.astype("<f4").tobytes()


FORMAT = Format(
    name="pose",
    label=".pose",
    origin="pose-format: MediaPipe Holistic (543, 576, 586 points), reduced (178), OpenPose (137, 135), AlphaPose "
    "(133, 136), COCO-WholeBody",
    content="binary header",
    kinds=("pose",),
    recognises=lambda value: True,
    read=_read,
    write=_write,
    suffix=".pose",
    size=True,
    fps=True,
)
