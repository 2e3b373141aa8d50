"""SynthPhoenix-test: the frozen test split of drawn signers that results are published on.

    python benchmarks/synth_phoenix.py OUT_DIR              # draws it, and checks what was drawn
    python benchmarks/synth_phoenix.py OUT_DIR --freeze     # after a change of the drawn content: write the new hash

It is drawn by `signgen synthesize`'s own code from the settings in ``synth_phoenix.json`` beside this file, which also
holds a SHA-256 for each clip, over its decoded frames and its keypoints. Another hash is an error: scores on other
pictures cannot be compared.
"""

from __future__ import annotations

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
SPLIT = "test"
POINT_STEP = 1 / 64  # pixels to which keypoints are rounded before they are hashed


def clip_sha256(clip: Clip) -> str:
    """SHA-256 over size and pixels of each decoded frame, then the keypoints rounded to ``POINT_STEP``."""
    digest = hashlib.sha256()
    for frame in read_frames(clip.folder):
        digest.update(np.array(frame.shape, "<i4").tobytes() + frame.tobytes())
    keypoints = read_keypoints(clip.keypoints).keypoints
    for values, step in ((keypoints.xy, POINT_STEP), (keypoints.confidence, 1 / 256)):
        digest.update(np.round(values / step).astype("<i4").tobytes())
    return digest.hexdigest()


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
    found = {clip.name: clip_sha256(clip) for clip in draw(folder, wanted["settings"], advance)}
    wrong = sorted(name for name in {*found, *wanted["sha256"]} if found.get(name) != wanted["sha256"].get(name))
    if wrong:
        got = f"{len(wrong)} of {len(wanted['sha256'])} clips are not the frozen ones (first: {wrong[0]})"
        advice = "delete the folder and draw again; if that does not help, this machine draws other pictures"
        raise InputError(folder, got, f"{advice}: copy the split from the one that froze it")
    return folder


def freeze(folder: Path, path: Path = FROZEN, advance: Callable[[int], None] = lambda n: None) -> dict[str, Any]:
    """Draws the split of the settings in ``path`` at today's content version and writes its hashes there."""
    settings = {**frozen(path)["settings"], "version": VERSION}
    hashes = {clip.name: clip_sha256(clip) for clip in draw(folder, settings, advance)}
    content = {"name": "SynthPhoenix-test", "settings": settings, "digest": digest_of(hashes), "sha256": hashes}
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
