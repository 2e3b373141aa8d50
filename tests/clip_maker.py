"""Small clips for tests of the evaluation: a bright square that moves over a fixed pattern, as folders of PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (72, 80)  # width, height


def clip(frames: int = 4, *, seed: int = 0, size: tuple[int, int] = SIZE, speed: int = 3) -> np.ndarray:
    """(N,H,W,3) uint8; the same seed has the same background."""
    width, height = size
    rng = np.random.default_rng(seed)
    still = rng.integers(40, 200, (height // 4, width // 4, 3)).repeat(4, 0).repeat(4, 1)
    still = np.resize(still, (height, width, 3)).astype(np.uint8)
    video = np.repeat(still[None], frames, 0)
    for n in range(frames):
        left = (5 + speed * n) % (width - 16)
        video[n, 20:36, left : left + 16] = 250
    return video


def noisy(video: np.ndarray, levels: float, seed: int = 0) -> np.ndarray:
    """The video under Gaussian noise, new in each frame."""
    noise = np.random.default_rng(seed).normal(0, levels, video.shape)
    return np.clip(video + noise, 0, 255).astype(np.uint8)


def save(video: np.ndarray, folder: Path) -> Path:
    """As images0001.png, ..."""
    folder.mkdir(parents=True)
    for n, frame in enumerate(video, 1):
        Image.fromarray(frame).save(folder / f"images{n:04d}.png")
    return folder


def save_keypoints(
    path: Path, centres: np.ndarray, confidence: np.ndarray, size: tuple[int, int] = SIZE, fps: float = 25.0
) -> Path:
    """Keypoints of nothing but the two middle knuckles: centres (N,2,2) left and right, confidence (N,2)."""
    points = np.zeros((len(centres), 133, 3), np.float32)
    points[:, [100, 121], :2], points[:, [100, 121], 2] = centres, confidence
    points[points[..., 2] == 0] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, keypoints=points, width=size[0], height=size[1], fps=fps)
    return path
