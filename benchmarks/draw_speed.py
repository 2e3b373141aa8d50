"""Pose images per second on one core: ``python benchmarks/draw_speed.py [KEYPOINTS]`` (a made-up clip without it).

Prints CPU time, not wall time, so that other work on the machine does not count. Asserts nothing.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from signgen.keypoints import Keypoints, read_keypoints
from signgen.pose_image import STYLES, draw_pose

SIZES = ((210, 260), (208, 256), (256, 320), (512, 512), (1280, 720))
SECONDS = 2.0


def made_up_clip(frames: int = 100, seed: int = 0) -> Keypoints:
    """Random points in the places of body, face and two open hands: as many pixels as a real signer has."""
    rng = np.random.default_rng(seed)
    centre, spread = np.zeros((133, 2)), np.zeros((133, 1))
    for part, place, size in (
        (slice(0, 23), (105, 150), 60),
        (slice(23, 91), (105, 60), 25),
        (slice(91, 112), (150, 140), 18),
        (slice(112, 133), (60, 140), 18),
    ):
        centre[part], spread[part] = place, size
    xy = centre + spread * rng.uniform(-1, 1, (frames, 133, 2))
    return Keypoints(xy.astype(np.float32), rng.uniform(0.1, 1, (frames, 133)).astype(np.float32), 210, 260, 25.0)


def frames_per_second(clip: Keypoints, size: tuple[int, int], style: str) -> float:
    draw_pose(clip, size, style, 0, 1)  # compile
    drawn, begun = 0, time.process_time()
    while time.process_time() - begun < SECONDS:
        drawn += len(draw_pose(clip, size, style))
    return drawn / (time.process_time() - begun)


def main() -> None:
    clip = read_keypoints(sys.argv[1]).keypoints if len(sys.argv) > 1 else made_up_clip()
    print(f"{len(clip)} frames, {clip.width}x{clip.height}")
    for style in STYLES:
        for size in SIZES:
            print(f"{style:8s} {size[0]:4d}x{size[1]:<4d} {frames_per_second(clip, size, style):8.0f} frames/s")


if __name__ == "__main__":
    main()
