"""How large the signer is in the picture, and how large the hands, from the frames so far."""

from __future__ import annotations

import math

import numpy as np

from signgen.keypoints.skeleton import HANDS, SHOULDERS
from signgen.pose_image.solid.hand import SPANS, anatomy

JOINT_LEAST = 0.2  # confidence from which shoulders, elbows and wrists are used
_SURE = 0.5  # confidence from which a hand's point tells its size
_AVERAGED = 100  # frames over which the width of the shoulders is averaged
_OUTLIER = 0.15  # share by which one frame may differ
_SIZES = (0.7, 1.4)  # of a hand against the neutral one, by the width of the shoulders
_HALF_LONGER, _HALF_SHORTER = 4, 30  # hands after which a size above and below the usual is believed to a half
_LONGER, _SHORTER = 0.3, 0.0005  # how fast what is known of a length follows a longer and a shorter one
_LARGE = 0.75  # quantile of the ratios that counts
_ENDS = np.array([[chain[0], chain[-1]] for chain in SPANS]).T


class _Mean:
    """A running mean of the last frames that outliers hardly move."""

    def __init__(self) -> None:
        self.value, self.count = 0.0, 0

    def add(self, value: float) -> None:
        self.count = min(self.count + 1, _AVERAGED)
        if self.count > 1:
            value = min(max(value, (1 - _OUTLIER) * self.value), (1 + _OUTLIER) * self.value)
        self.value += (value - self.value) / self.count


class Person:
    """What is known of a signer.

    Args:
        aspect: shown width over true width.
        length: of the hands over the neutral ones, relative to the width of the shoulders; None to find it.

    Attributes:
        middle: of the shoulders, pixels, where they were last seen; None before that.
        length: of the hands.
    """

    def __init__(self, aspect: float, length: float | None) -> None:
        self._across, self._aspect = _Mean(), aspect
        self.middle: np.ndarray | None = None
        self._alone = 0.0  # pixels a metre by the hands
        self._fixed, self._longest, self._hands = length, np.zeros(len(SPANS)), 0.0
        self.length = length or 1.0

    @property
    def metre(self) -> np.ndarray | None:
        """(2,) pixels of a metre right and down, at the depth of the shoulders; None where nothing tells it."""
        across = self._across.value or self._alone
        return np.array([across, across / self._aspect]) if across else None

    def see(self, xy: np.ndarray, confidence: np.ndarray) -> None:
        """Takes the body of one frame, (133,2) and (133,), into account."""
        if confidence[list(SHOULDERS)].min() < JOINT_LEAST:
            if not self._across.count:  # the hands are the measure
                for hand in HANDS:
                    spans = self._spans(xy[hand] * (1, self._aspect), confidence[hand])
                    self._alone = max(self._alone, float((spans / anatomy().spans).max()))
            return
        shoulders = xy[list(SHOULDERS)]
        self.middle, width = shoulders.mean(0), abs(shoulders[0, 0] - shoulders[1, 0])
        if width > 1:
            self._across.add(float(width / anatomy().body[0]))

    def spans(self, points: np.ndarray, confidence: np.ndarray, larger: float) -> np.ndarray:
        """(7,) lengths that a hand (21,2), (21,) shows of `hand.SPANS`, metres; it appears ``larger`` for its depth."""
        assert self.metre is not None
        return self._spans(points / (self.metre * larger), confidence)

    def see_hands(self, spans: list[np.ndarray]) -> None:
        """Takes the spans of the hands of one frame into account.

        The longest that the parts of a hand ever look is compared with how long they are. What is never seen in full
        looks too short, so the ratios of the longest parts count.
        """
        if self._fixed or not spans:
            return
        longest = np.max(spans, axis=0)
        longer = longest - self._longest
        share = np.where(self._longest == 0, 1, np.where(longer > 0, _LONGER, _SHORTER))
        self._longest += longer * share * (longest > 0)
        ratios = (self._longest / anatomy().spans)[self._longest > 0]
        if len(ratios):
            self._hands += (longest > 0).mean() * len(spans)
            ratio = float(np.quantile(ratios, _LARGE))
            believed = self._hands / (self._hands + (_HALF_LONGER if ratio > 1 else _HALF_SHORTER))
            length = math.exp(believed * math.log(ratio))
            self.length = min(max(length, _SIZES[0]), _SIZES[1])

    @staticmethod
    def _spans(points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """(7,) lengths of `SPANS`; 0 where an end is not sure."""
        ends = points[_ENDS]
        return np.hypot(*(ends[1] - ends[0]).T) * (confidence[_ENDS] >= _SURE).all(0)
