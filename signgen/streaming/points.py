"""Where the keypoints of a live render come from: lines of JSON, a file at its own rate, or a camera."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from signgen.errors import BadValue, Damaged, Empty, NotFound, TooLarge, Unsupported
from signgen.extraction.estimator import whole_frame
from signgen.keypoints.clip import check_fps, check_size
from signgen.keypoints.content import NAME, standard_input
from signgen.keypoints.formats.record import Format
from signgen.keypoints.formats.registry import FORMATS
from signgen.keypoints.keypoint_files import guarded, read_raw
from signgen.keypoints.raw import Request
from signgen.keypoints.skeleton import NUM_JOINTS

if TYPE_CHECKING:
    from signgen.extraction import EstimatorSettings
    from signgen.keypoints import Keypoints

LONGEST_LINE = 256 * 1024  # bytes; 133 points in full digits take 8 KiB
_JSON = [record for record in FORMATS.values() if "json" in record.kinds]


@dataclass(frozen=True)
class Header:
    """What a stream says about itself before its first frame; None where it does not say it."""

    size: tuple[int, int] | None = None
    fps: float | None = None


class LineReader:
    """One line of JSON after the other: a header, or a frame of keypoints.

    A frame is a list of 133 points [x, y, confidence]; an object that has such a list under ``keypoints`` (and
    ``keypoint_scores`` where the points are [x, y]); or what OpenPose, MMPose or another JSON format that
    `read_keypoints` knows writes for one frame, of which the likely signer is taken. An object with ``width`` and
    ``height``, ``fps`` or all of them, and without points, is a header. ``null`` and an empty list are a frame without
    anybody.

    Attributes:
        stated: size and rate that the newest line says, a header or a frame of a format that holds them.

    Example:
        >>> reader = LineReader()
        >>> reader.read(b'{"width": 210, "height": 260, "fps": 25}')
        Header(size=(210, 260), fps=25)
        >>> reader.read(b"null").shape
        (133, 3)
    """

    def __init__(self, subject: str = "keypoints") -> None:
        self._subject, self._count, self.stated = subject, 0, Header()
        self._format: Format | None = None

    def read(self, line: bytes | str) -> Header | np.ndarray:
        """A header, or a frame (133,3).

        Raises:
            InputError: the line is too long, no JSON, or JSON that is no frame.
        """
        self._count += 1
        subject = f"{self._subject}, line {self._count}"
        if len(line) > LONGEST_LINE:
            raise TooLarge(subject, f"more than {LONGEST_LINE >> 10} KiB", "send one frame a line")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Damaged(subject, f"no JSON ({str(error)[:80]})", "write one frame of keypoints a line") from None
        if isinstance(value, dict) and isinstance(value.get("instances"), list):
            value = value["instances"]  # MMPose's, of one frame of a video
        if value is None or value == []:
            return np.zeros((NUM_JOINTS, 3))
        if isinstance(value, dict) and value and set(value) <= {"width", "height", "fps"}:
            self.stated = _header(value, subject)
            return self.stated
        self.stated = Header()
        points = _plain(value)
        return self._known(value, subject) if points is None else points

    def _known(self, value: Any, subject: str) -> np.ndarray:
        """A frame in one of the formats of files; the one of the line before is tried first."""
        request = Request(Path(subject))
        for format in _JSON if self._format is None else [self._format, *_JSON]:
            with guarded(format.name, request):
                if format.recognises(value):
                    self._format = format
                    break
        else:
            advice = f"send {NUM_JOINTS} points [x, y, confidence]"
            raise Unsupported(subject, "JSON that is no frame of keypoints", advice)
        raw = read_raw(format, value, request)
        if len(raw) != 1:
            raise BadValue(subject, f"{len(raw)} frames", "send one frame a line")
        self.stated = Header(raw.size, raw.fps)
        xy, scores = raw.frames()
        return np.concatenate([xy[0], scores[0][:, None]], -1)


def _plain(value: Any) -> np.ndarray | None:
    """133 points of a list, or of an object's ``keypoints``; None: it is neither."""
    scores = None
    if isinstance(value, dict) and "keypoints" in value and set(value) <= {"keypoints", "keypoint_scores", "time"}:
        scores, value = value.get("keypoint_scores"), value["keypoints"]
    if not isinstance(value, list) or len(value) != NUM_JOINTS:
        return None
    try:
        points = np.array(value, np.float64)
        if scores is not None:
            points = np.concatenate([points, np.array(scores, np.float64).reshape(-1, 1)], -1)
    except (TypeError, ValueError, OverflowError):
        return None
    return points if points.shape in ((NUM_JOINTS, 2), (NUM_JOINTS, 3)) else None


def _header(value: dict[str, Any], subject: str) -> Header:
    size = None
    if "width" in value or "height" in value:
        size = check_size((value.get("width"), value.get("height")), subject)
    return Header(size, None if "fps" not in value else check_fps(value["fps"], subject))


class Lines:
    """The frames of a stream of lines, such as standard input.

    Args:
        stream: of bytes; None: standard input.
        subject: what messages call it.

    Attributes:
        header: what its first line says; reading it waits for that line.

    Raises:
        InputError: standard input is a terminal or closed, or the first line is no header and no frame.
    """

    def __init__(self, stream: BinaryIO | None = None, subject: str = NAME) -> None:
        self._stream = stream or standard_input(
            "pipe lines of JSON into signgen live", "pipe lines of JSON into it, or give a file, camera or socket"
        )
        self._reader = LineReader(subject)
        self._first: np.ndarray | None = None
        line = self._line()
        if line is None:
            raise Empty(subject, "no line", "write one frame of keypoints a line")
        first = self._reader.read(line)
        self.header = self._reader.stated
        if isinstance(first, np.ndarray):
            self._first = first

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._first is not None:
            yield self._first
        while (line := self._line()) is not None:
            found = self._reader.read(line)
            if isinstance(found, np.ndarray):
                yield found

    def _line(self) -> bytes | None:
        """The next line that is not blank; None at the end."""
        while line := self._stream.readline(LONGEST_LINE + 2):
            if line.strip():
                return line
        return None


class Played:
    """The frames of a clip, each at its time, counted from the first one: no delay adds up.

    Attributes:
        header: size and rate of the clip.
    """

    def __init__(self, clip: Keypoints) -> None:
        self._clip, self.header = clip, Header(clip.size, clip.fps)

    def __iter__(self) -> Iterator[np.ndarray]:
        begun = time.monotonic()
        for number in range(len(self._clip)):
            time.sleep(max(begun + number / self._clip.fps - time.monotonic(), 0))
            yield self._clip[number : number + 1].points[0]


class Camera:
    """Keypoints of what a camera shows, found by an estimator frame after frame.

    Args:
        number: of the camera, as OpenCV counts them.
        settings: which estimator looks.

    Attributes:
        header: size and rate of its pictures.

    Raises:
        InputError: there is no such camera, or the estimator is not installed.
    """

    def __init__(self, number: int, settings: EstimatorSettings) -> None:
        import cv2

        from signgen.extraction.loading import load_estimator

        self._estimator = load_estimator(settings)
        self._camera = cv2.VideoCapture(number)
        there, picture = self._camera.read()
        if not there:
            self._camera.release()
            advice = "give the number of a camera that no other program uses"
            raise NotFound(f"camera:{number}", "no picture comes from it", advice)
        rate = self._camera.get(cv2.CAP_PROP_FPS)
        self.header = Header((picture.shape[1], picture.shape[0]), rate if 1 <= rate <= 1000 else None)

    def __iter__(self) -> Iterator[np.ndarray]:
        box, seen = whole_frame(*(self.header.size or (1, 1))), False
        try:
            while True:
                there, picture = self._camera.read()
                if not there:
                    return
                yield self._estimator.look(np.ascontiguousarray(picture[None, ..., ::-1]), box, follows=seen)[0]
                seen = True
        finally:
            self._camera.release()
