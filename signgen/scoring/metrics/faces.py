"""SSIM of the face, of the mouth and of the eyes: structural similarity on the window about each, where it truly is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from signgen.keypoints.skeleton import CONFIDENT, EYELIDS, FACE, INNER_LIPS, OUTER_LIPS
from signgen.scoring.metrics.frames import check_keypoints, crop
from signgen.scoring.metrics.image import WANG, SSIMDefinition, ssim_pair
from signgen.scoring.metrics.metric import Chunk, KeypointMetric, Score


@dataclass(frozen=True)
class Window:
    """Where a part of the body is looked at.

    Attributes:
        points: its keypoints among the 133.
        least: with fewer confident ones, the part is left out.
        size: (width, height) in pixels at the frame's own size.
        centre: of its confident points: the middle of their ``box``, or their ``mean``.
        up: pixels that the window is moved up from there.
        needed: one of the 133 without which the part is left out, however many others are confident; None for none.
    """

    points: slice
    least: int
    size: tuple[int, int]
    centre: str
    up: int = 0
    needed: int | None = None

    def cut(self, images: tuple[np.ndarray, ...], xy: np.ndarray, sure: np.ndarray) -> list[np.ndarray] | None:
        """The window (h,w,3) in images (H,W,3) of one frame, moved to stay inside; None where the part is left out.

        Args:
            xy: (133,2) pixels.
            sure: (133,) which points are confident.
        """
        points = xy[self.points][sure[self.points]]
        if len(points) < self.least or (self.needed is not None and not sure[self.needed]):
            return None
        middle = (points.min(0) + points.max(0)) / 2 if self.centre == "box" else points.mean(0)
        return [crop(image, middle - [0, self.up], self.size) for image in images]

    @property
    def signature(self) -> str:
        place = f"centre:{self.centre}-of-{self.points.start}..{self.points.stop - 1},up:{self.up}"
        needed = "" if self.needed is None else f",needed:{self.needed}"
        return f"crop:{self.size[0]}x{self.size[1]},border:shift,{place},points>={self.least}{needed}"


WHOLE_FACE = Window(FACE, 20, (48, 48), "box", up=3)  # its points end at the brows: a forehead belongs to it
MOUTH = Window(slice(OUTER_LIPS.start, INNER_LIPS.stop), 6, (26, 20), "mean")
EYES = Window(EYELIDS, 6, (34, 16), "mean")


class WindowSSIM(KeypointMetric):
    """Mean SSIM of a window over all frames that show it; NaN when there is none. The classes below say of which.

    ``shown`` and ``left_out`` count the frames in the mean and those with too few confident points.

    Args:
        definition: flavour of SSIM.
        threshold: confidence from which a point counts.
    """

    higher_is_better = True
    states = ("total", "shown", "left_out")
    ratio = ("total", "shown")
    key: ClassVar[str]
    window: ClassVar[Window]

    def __init__(self, definition: SSIMDefinition = WANG, threshold: float = CONFIDENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.definition, self.threshold = definition, threshold

    @property
    def signature(self) -> str:
        where = f"{self.window.signature},confidence>={self.threshold:g}"
        return f"{self.key}|{where}|{self.definition.signature}|rgb|v1"

    def measure(self, chunk: Chunk) -> Mapping[str, np.ndarray]:
        first, second = chunk.unit
        points, scores = check_keypoints(chunk.xy, chunk.confidence, len(first))
        values = np.full(len(first), np.nan)
        for n, images in enumerate(zip(first, second, strict=True)):
            if pair := self.window.cut(images, points[n], scores[n] >= self.threshold):
                values[n] = ssim_pair(pair[0], pair[1], self.definition)
        shown = ~np.isnan(values)
        return {"total": np.nan_to_num(values), "shown": shown.astype(float), "left_out": (~shown).astype(float)}


class FaceSSIM(WindowSSIM):
    """Mean SSIM of 48x48 pixels about the face."""

    key, window = "face_ssim", WHOLE_FACE
    counts = {"shown": "faces", "left_out": "faces_left_out"}


class MouthSSIM(WindowSSIM):
    """Mean SSIM of 26x20 pixels about the lips."""

    key, window = "mouth_ssim", MOUTH
    counts = {"shown": "mouths", "left_out": "mouths_left_out"}


class EyesSSIM(WindowSSIM):
    """Mean SSIM of 34x16 pixels about both eyes."""

    key, window = "eyes_ssim", EYES
    counts = {"shown": "pairs_of_eyes", "left_out": "pairs_of_eyes_left_out"}


def _score(kind: type[WindowSSIM], label: str) -> Score:
    count = kind.counts["shown"]
    return Score(
        kind.key,
        label,
        "higher",
        lambda tools: kind(),
        over=(count, count.replace("_", " ")),
        nothing=NO_FACE,
        keypoints=True,
        smallest_side=max(kind.window.size),
    )


NO_FACE = "no true face has enough confident points to count"
FACE_SSIM = _score(FaceSSIM, "Face SSIM")
MOUTH_SSIM = _score(MouthSSIM, "Mouth SSIM")
EYES_SSIM = _score(EyesSSIM, "Eyes SSIM")
