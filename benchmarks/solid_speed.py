"""Milliseconds a frame and core of solid hands: ``python benchmarks/solid_speed.py [KEYPOINTS]`` (else an example).

Fit of both hands, their surfaces, and two crops with both hands in each, as a render with refiners needs them. Prints
CPU time, not wall time, so that other work on the machine does not count. Asserts nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from signgen.keypoints import read_keypoints
from signgen.keypoints.repair.missing import fill_missing
from signgen.keypoints.skeleton import KNUCKLES
from signgen.package import EXAMPLES
from signgen.pose_image.solid import HandFitter, SolidHands

SIDE = 72  # pixels of a crop
REPEATS = 5


def crops(hands: SolidHands) -> None:
    for frame in range(len(hands)):
        for knuckle in KNUCKLES:
            left, top = np.rint(hands.xy[frame, knuckle]).astype(int) - SIDE // 2
            hands.crop(frame, int(left), int(top), SIDE)


def milliseconds(work: Callable[[], object], frames: int) -> float:
    """The least of some repeats."""
    spent = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - begun) / frames)
    return min(spent)


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else EXAMPLES / "house.npz"
    clip = fill_missing(read_keypoints(path).keypoints)[0].resized(210, 260)
    fit = lambda: HandFitter(clip.size).fit(clip.xy, clip.confidence)  # noqa: E731
    begun = time.process_time()
    hands = fit()
    crops(hands)  # compile, or load what was compiled
    first = time.process_time() - begun
    fitting = milliseconds(fit, len(clip))
    surfaces = milliseconds(lambda: [hands.meshes(frame) for frame in range(len(hands))], len(clip))
    whole = milliseconds(lambda: crops(fit()), len(clip))
    shown = (hands.strength > 0).sum() / len(clip)
    print(f"{len(clip)} frames, {shown:.2f} hands a frame; first use {first:.1f} s")
    print(f"fit {fitting:.2f}, surfaces {surfaces:.2f}, all with two crops of {SIDE} {whole:.2f} ms a frame and core")


if __name__ == "__main__":
    main()
