"""A drawn signer for tests: plausible points without any file."""

from __future__ import annotations

import numpy as np

from signgen.keypoints import Keypoints

_BODY = (
    (0, -60), (8, -66), (-8, -66), (16, -62), (-16, -62), (44, 0), (-44, 0), (56, 60), (-56, 60), (40, 20), (-40, 25),
    (28, 130), (-28, 130), (28, 210), (-28, 210), (28, 290), (-28, 290), (34, 300), (38, 298), (26, 296), (-34, 300),
    (-38, 298), (-26, 296),
)  # fmt: skip


def _face() -> np.ndarray:
    """(68,2) a frontal face about the nose tip, right side (iBUG 0) at smaller x."""
    jaw = [(-20 * np.cos(a), 4 + 22 * np.sin(a)) for a in np.linspace(0, np.pi, 17)]
    brows = [(x, -14) for x in (-17, -14, -11, -8, -5, 5, 8, 11, 14, 17)]
    nose = [(0, y) for y in (-9, -6, -3, 0)] + [(x, 3) for x in (-4, -2, 0, 2, 4)]
    ring = [(np.cos(a), 0.5 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 7)[:-1]]
    eyes = [(side * 9 + 4 * x, -9 + 4 * y) for side in (-1, 1) for x, y in ring]
    outer = [(8 * np.cos(a), 14 + 4 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 13)[:-1]]
    inner = [(5 * np.cos(a), 14 + 2 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 9)[:-1]]
    return np.array(jaw + brows + nose + eyes + outer + inner, dtype=np.float64)


def _hand(wrist: tuple[float, float], side: int) -> np.ndarray:
    """(21,2) an open hand pointing up; the thumb towards the body's middle."""
    points = [(0.0, 0.0)]
    for finger, spread in enumerate((-12, -6, 0, 5, 10)):
        points += [(side * spread * (0.4 + 0.2 * k), -(8 if finger == 0 else 14) * 0.5 * (k + 1)) for k in range(4)]
    return np.array(points) + wrist


def points(frames: int = 8, *, shift: tuple[float, float] = (105.0, 120.0), scale: float = 1.0) -> np.ndarray:
    """(T,133,2) float64: a signer whose wrists and hands move up and down a little."""
    still = np.zeros((133, 2))
    still[:23] = _BODY
    still[23:91] = _face() + _BODY[0]
    still[91:112], still[112:133] = _hand(_BODY[9], 1), _hand(_BODY[10], -1)
    clip = np.repeat(still[None], frames, axis=0)
    wave = 6 * np.sin(2 * np.pi * np.arange(frames) / 16)
    for joints in (slice(9, 11), slice(91, 133)):
        clip[:, joints, 1] += wave[:, None]
    return clip * scale + shift


def signer(frames: int = 8, **place: object) -> Keypoints:
    """The same as `Keypoints` in a PHOENIX14T frame, all points sure, legs doubtful."""
    confidence = np.ones((frames, 133))
    confidence[:, 13:23] = 0.05
    return Keypoints(points(frames, **place), confidence, 210, 260, 25.0, "drawn")  # type: ignore[arg-type]
