"""Footage and estimators for tests of `signgen.extraction`: people are squares of light, found by a small fake."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import keypoint_maker
import numpy as np

from signgen.extraction.estimator import PADDING
from signgen.keypoints.skeleton import LEFT_SHOULDER, RIGHT_SHOULDER

LIGHT = 12  # pixels along the side of the square that is a person
_DRAWN = keypoint_maker.points(1)[0]
STILL = _DRAWN - _DRAWN[0]  # (133,2) about the nose


def frame(width: int, height: int, *people: tuple[float, float]) -> np.ndarray:
    """(H,W,3) uint8, black, with a red square around each person's nose."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in people:
        image[round(y - LIGHT / 2) : round(y + LIGHT / 2), round(x - LIGHT / 2) : round(x + LIGHT / 2), 0] = 255
    return image


class Lights:
    """An estimator that sees red squares in its region and takes the one nearest to the middle.

    Args:
        score: of every point of a person that it found.

    Attributes:
        calls: (number of frames, box, follows) of each look.
    """

    signature = "lights"

    def __init__(self, score: float = 0.8) -> None:
        self.score = score
        self.calls: list[tuple[int, np.ndarray, bool]] = []

    def look(self, frames: np.ndarray, box: np.ndarray, *, follows: bool) -> np.ndarray:
        self.calls.append((len(frames), np.array(box), follows))
        return np.stack([self._find(image, box) for image in frames])

    def _find(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * PADDING / 2
        lit = np.argwhere(image[..., 0] > 128)[:, ::-1].astype(float)
        lit = lit[(np.abs(lit - centre) <= half).all(-1)]
        if not len(lit):
            return np.zeros((133, 3), np.float32)
        nearest = lit[np.linalg.norm(lit - centre, axis=1).argmin()]
        nose = lit[(np.abs(lit - nearest) < LIGHT).all(-1)].mean(0)
        return np.concatenate([STILL + nose, np.full((133, 1), self.score)], -1).astype(np.float32)


SHOULDERS = float(np.linalg.norm(np.subtract(*STILL[[LEFT_SHOULDER, RIGHT_SHOULDER]])))


def numbered(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Frames whose brightness is their number times 4."""
    return [np.full((height, width, 3), 4 * number, np.uint8) for number in range(count)]


def number_of(image: np.ndarray) -> int:
    """The number that a frame of `numbered` carries, through any codec."""
    return round(float(image.mean()) / 4)


def encode(
    path: Path,
    frames: list[np.ndarray],
    codec: str = "libx264",
    stamps: list[int] | None = None,
    aspect: Fraction = Fraction(1),
    **options: str,
) -> Path:
    """A video at 25 fps, or with frames at ``stamps`` (in 1/1000 s); ``aspect``: of its pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        if codec == "mjpeg":
            stream.pix_fmt = "yuvj420p"
        unit = Fraction(1, 25) if stamps is None else Fraction(1, 1000)
        stream.codec_context.time_base = unit
        stream.codec_context.sample_aspect_ratio = aspect
        for number, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = number if stamps is None else stamps[number], unit
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def damage(path: Path, number: int) -> Path:
    """Zeroes in the packet of one frame of a video; of motion JPEG no other frame needs it."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(container.streams.video[0]) if packet.size]
    at, size = packets[number]
    content = bytearray(path.read_bytes())
    content[at + 10 : at + size] = bytes(size - 10)
    path.write_bytes(content)
    return path
