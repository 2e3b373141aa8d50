"""SynthPhoenix-test: the frozen test split of drawn signers that results are published on.

    python benchmarks/synth_phoenix.py OUT_DIR              # draws it, and checks what was drawn
    python benchmarks/synth_phoenix.py OUT_DIR --freeze     # after a change of the drawn content: write the new hash

It is drawn by `signgen synthesize`'s own code from the settings in ``synth_phoenix.json`` beside this file. CPUs round
differently: one with AVX2 gives all clips other bytes than the one with AVX512 that froze them, in a few pixels of a
thousand, mostly by one level. So the file holds two things of each clip: a SHA-256 over its decoded frames and its
keypoints, and a fingerprint that rounding hardly changes. Another fingerprint is an error: scores on other pictures
cannot be compared.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError, SignGenError
from signgen.keypoints import read_keypoints
from signgen.synthetic.dataset import VERSION, VERSIONS, Plan, write_dataset
from signgen.video import read_frames

FROZEN = Path(__file__).resolve().with_suffix(".json")
NAME, SPLIT = "SynthPhoenix-test", "test"
POINT_STEP = 1 / 64  # pixels to which keypoints are rounded before they are hashed
CELLS = (4, 5)  # across and down, whose mean levels stand for a frame
# Code for SSE2 and for AVX2 draws cells up to .6 levels and keypoints .0001 px apart, other content most of them more.
MOST_LEVELS, MEAN_LEVELS, MOST_STEPS = 3, 0.3, 2  # the last of POINT_STEP


def clip_sha256(clip: Clip) -> str:
    """SHA-256 over size and pixels of each decoded frame, then the keypoints rounded to ``POINT_STEP``."""
    digest = hashlib.sha256()
    for frame in read_frames(clip.folder):
        digest.update(np.array(frame.shape, "<i4").tobytes() + frame.tobytes())
    keypoints = read_keypoints(clip.keypoints).keypoints
    for values, step in ((keypoints.xy, POINT_STEP), (keypoints.confidence, 1 / 256)):
        digest.update(np.round(values / step).astype("<i4").tobytes())
    return digest.hexdigest()


def fingerprint(clip: Clip) -> dict[str, str]:
    """What a clip shows, whatever the machine that drew it, as base64: of all frames the mean levels of their cells
    (T,5,4), bytes, and of the middle one the keypoints (133,2), int16 in steps of ``POINT_STEP``."""
    frames = np.stack(list(read_frames(clip.folder))).mean(-1)
    cells = frames
    for axis, count in ((1, CELLS[1]), (2, CELLS[0])):
        parts = np.array_split(cells, count, axis)
        cells = np.concatenate([part.mean(axis, keepdims=True) for part in parts], axis)
    points = read_keypoints(clip.keypoints).keypoints.xy[len(frames) // 2] / POINT_STEP
    values = {"cells": cells.round().astype("u1"), "points": points.round().astype("<i2")}
    return {kind: base64.b64encode(one.tobytes()).decode() for kind, one in values.items()}


def shows_the_same(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two fingerprints differ by what CPUs round, and no more."""
    apart = []
    for kind, dtype in (("cells", "u1"), ("points", "<i2")):
        here, there = (np.frombuffer(base64.b64decode(found[kind]), dtype).astype(float) for found in (one, other))
        if here.shape != there.shape:
            return False
        apart.append(np.abs(here - there))
    levels, steps = apart
    return bool(levels.max() <= MOST_LEVELS and levels.mean() <= MEAN_LEVELS and steps.max() <= MOST_STEPS)


def frozen(path: Path = FROZEN) -> dict[str, Any]:
    """Settings and hashes as they lie in the repository."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest_of(hashes: dict[str, str]) -> str:
    """One SHA-256 over the clips' names and hashes: what to cite."""
    return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)).encode()).hexdigest()


def draw(folder: Path, settings: dict[str, Any], advance: Callable[[int], None] = lambda n: None) -> tuple[Clip, ...]:
    """Draws the split of these settings into a folder; clips that are there already are kept."""
    names, frames, size = (tuple(settings[key]) for key in ("signers", "frames", "size"))
    plan = Plan(settings["seed"], SPLIT, names, frames, size, settings["version"])
    write_dataset(folder, plan, settings["clips"], 1, advance)
    return PhoenixIndex(folder).clips(SPLIT)


def frozen_test(folder: Path, advance: Callable[[int], None] = lambda n: None, path: Path = FROZEN) -> Path:
    """The frozen split, drawn where it is not there yet and checked every time; returns its folder.

    Raises:
        InputError: this version draws other content, or what lies in the folder is not the frozen split.
    """
    wanted = frozen(path)
    if wanted["settings"]["version"] not in VERSIONS:
        got = f"is of content version {wanted['settings']['version']}, this signgen draws {VERSIONS}"
        raise InputError(path, got, "check out the version that it was frozen with, or freeze it anew (--freeze)")
    drawn = {clip.name: clip for clip in draw(folder, wanted["settings"], advance)}
    wrong = [name for name in sorted({*drawn, *wanted["sha256"]}) if not _is_frozen(drawn.get(name), name, wanted)]
    if wrong:
        got = f"{len(wrong)} of {len(wanted['sha256'])} clips are not the frozen ones (first: {wrong[0]})"
        raise InputError(folder, got, "delete the folder and draw again, with the signgen that the results are of")
    return folder


def _is_frozen(clip: Clip | None, name: str, wanted: dict[str, Any]) -> bool:
    if clip is None or name not in wanted["sha256"]:
        return False
    return clip_sha256(clip) == wanted["sha256"][name] or shows_the_same(fingerprint(clip), wanted["prints"][name])


def freeze(folder: Path, path: Path = FROZEN, advance: Callable[[int], None] = lambda n: None) -> dict[str, Any]:
    """Draws the split of the settings in ``path`` at today's content version and writes its hashes there."""
    settings = {**frozen(path)["settings"], "version": VERSION}
    clips = draw(folder, settings, advance)
    hashes, prints = ({clip.name: of(clip) for clip in clips} for of in (clip_sha256, fingerprint))
    digest = digest_of(hashes)
    content = {"name": NAME, "settings": settings, "digest": digest, "sha256": hashes, "prints": prints}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return content


@click.command(help=__doc__)
@click.argument("out_dir", type=click.Path(path_type=Path))
@click.option("--freeze", "anew", is_flag=True, help="write the hashes of what is drawn now")
def main(out_dir: Path, anew: bool) -> None:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        print(f"{done} clips", file=sys.stderr)

    content = freeze(out_dir, advance=advance) if anew else frozen(frozen_test(out_dir, advance) and FROZEN)
    state = "frozen" if anew else "checked"
    print(f"{out_dir}: {content['name']}, {len(content['sha256'])} clips, {state}, SHA-256 {content['digest']}")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
