"""What do several pictures of a person bring? And IMAGPose's three tasks, on drawn signers that no training saw.

    python benchmarks/several_sources.py --sheet several.png --json several.json > several.md

The --frames in the middle of each held-out clip are rendered with the same keypoints and noise. The sources are frames
of the same clip outside of them and of the --gap about them: its first frame, and those that `choose_frames` takes, as
``render --source-frames`` does. Ways to render:

    1, 2, 4 sources   the first frame alone, with the best chosen one, with the three best; whole windows
    1 chosen          the best chosen frame alone, which tells more pictures from a better picture
    T1                IMAGPose's first task: one source, the target's pose three times, one of the three outputs kept
    T2                its second one: the same source three times, one target
    T3                its third one: three sources, one target

In T1 to T3 each target stands alone, without the frames before and after it, as in that paper (Section 4.4 and Figure
7). "copy of the source" is the first frame in the place of every target. In brackets are 95 % intervals over clips;
those of a difference draw the same clips for both. With --renders the frames stay, and a stopped run goes on there.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawn_clips import CACHE, KINDS, frame_sources, generate, held_out_clips, kept_at, spread
from held_out_table import differences, summary

from signgen.dataset.phoenix import Clip
from signgen.errors import InputError, SignGenError
from signgen.files import place_file
from signgen.keypoints import Keypoints, read_keypoints
from signgen.model import SignGenPipeline
from signgen.rendering.several import choose_frames
from signgen.rendering.source import Source
from signgen.scoring.metrics import SSIM, FaceSSIM, HandSSIM, MouthSSIM
from signgen.video import read_frames

HEADS = {"hand_ssim": "Hand SSIM", "face_ssim": "Face SSIM", "mouth_ssim": "Mouth SSIM", "ssim_wang": "SSIM wang",
         "ssim_win51": "SSIM win51"}  # fmt: skip
COPY, ONE = "copy of the source", "1 source"
MOST = 4


@dataclass(frozen=True)
class Way:
    """How a target is rendered.

    Attributes:
        sources: places in `Scene.sources`.
        alone: each target without the frames before and after it.
        copies: how often its pose is given, where it stands alone; the first output is kept.
    """

    sources: tuple[int, ...]
    alone: bool = False
    copies: int = 1


WAYS = {
    ONE: Way((0,)),
    "1 chosen": Way((1,)),
    "2 sources": Way((0, 1)),
    "4 sources": Way((0, 1, 2, 3)),
    "T1: one source, pose thrice": Way((0,), True, 3),
    "T2: one source thrice": Way((0, 0, 0), True),
    "T3: three sources": Way((0, 1, 2), True),
}
AGAINST = {name: "T1: one source, pose thrice" if way.alone else ONE for name, way in WAYS.items()}


@dataclass(frozen=True)
class Scene:
    """What is rendered of a clip.

    Attributes:
        keypoints, true: of the N target frames; uint8 (N,H,W,3).
        sources: its first frame, then the `MOST` - 1 best of the others.
    """

    clip: Clip
    keypoints: Keypoints
    true: np.ndarray
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, clip: Clip, frames: int, gap: int) -> Scene:
        keypoints, true = read_keypoints(clip.keypoints).keypoints, np.stack(list(read_frames(clip.folder)))
        first = (len(true) - frames) // 2
        free = [at for at in range(1, len(true)) if not first - gap <= at < first + frames + gap]
        if first <= gap or len(free) < MOST - 1:
            got = f"{len(true)} frames are too few for {frames} and {MOST} sources"
            raise InputError(clip.name, got, "lower --frames or --gap")
        places = [0, *(free[at] for at in choose_frames(_taken(keypoints, free), MOST - 1))]
        people = frame_sources(true, keypoints, places)
        return cls(clip, keypoints[first : first + frames], true[first : first + frames], people)

    def made(self, pipeline: SignGenPipeline, way: Way, keep: Path | None, **options: Any) -> np.ndarray:
        """The targets uint8 (N,H,W,3); the frames stay in the folder ``keep``."""
        sources = [self.sources[place] for place in way.sources]
        if not way.alone:
            return np.stack(list(generate(pipeline, sources, self.keypoints, keep, **options)))
        found = []
        for n in range(len(self.keypoints)):
            target = _taken(self.keypoints, [n] * way.copies)
            found.append(next(generate(pipeline, sources, target, keep and keep / str(n), **options)))
        return np.stack(found)


def _taken(keypoints: Keypoints, frames: list[int]) -> Keypoints:
    return replace(keypoints, xy=keypoints.xy[frames], confidence=keypoints.confidence[frames])


def sums(made: np.ndarray, scene: Scene) -> np.ndarray:
    """(M, 2) numerators and denominators of `HEADS`."""
    parts, whole = (HandSSIM(), FaceSSIM(), MouthSSIM()), (SSIM("wang"), SSIM("win51"))
    for part in parts:
        part.update(made, scene.true, scene.keypoints.xy, scene.keypoints.confidence)
    for metric in whole:
        metric.update(made, scene.true)
    return np.array([metric.sums() for metric in (*parts, *whole)])


def measure(
    pipeline: SignGenPipeline, scenes: list[Scene], kind: str, renders: Path | None, **options: Any
) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Way -> sums (C, M, 2) over the clips of a kind, and each clip's targets way by way."""
    tables: dict[str, list[np.ndarray]] = {name: [] for name in (COPY, *WAYS)}
    pictures = []
    for done, scene in enumerate(scenes, 1):
        folder = kept_at(renders, scene.clip)
        made = {COPY: np.broadcast_to(scene.sources[0].image, scene.true.shape)}
        for number, (name, way) in enumerate(WAYS.items()):
            made[name] = scene.made(pipeline, way, folder and folder / f"way{number}", **options)
        for name, frames in made.items():
            tables[name].append(sums(frames, scene))
        pictures.append(made)
        print(f"{kind} signers: {done}/{len(scenes)} clips", file=sys.stderr)
    return {name: np.stack(table) for name, table in tables.items()}, pictures


def document(results: dict[str, dict[str, Any]], seed: int) -> str:
    """Tables in Markdown: the ways of each kind of signers, and how they differ from one source, or from T1."""
    parts = []
    for kind, found in results.items():
        lines = [[f"{kind} signers", *HEADS.values()], ["---"] * (1 + len(HEADS))]
        lines += [
            [name, *(_cell(part["value"], part["interval"]) for part in row.values())] for name, row in found.items()
        ]
        for name, other in AGAINST.items():
            if name != other:
                cells = (
                    _cell(found[name][m]["value"] - found[other][m]["value"],
                          differences(found[name][m], found[other][m], seed), "+")
                    for m in HEADS
                )  # fmt: skip
                lines.append([f"{name.split(':')[0]} less {other.split(':')[0]}", *cells])
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _cell(value: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    said = "" if interval is None else f" ({interval[0]:{sign}.3f} to {interval[1]:{sign}.3f})"
    return f"{value:{sign}.3f}{said}"


def sheet(scenes: list[Scene], pictures: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Of each clip two rows: its sources and the true middle target; what each way made of it."""
    blocks = []
    for scene, made in zip(scenes, pictures, strict=True):
        middle = len(scene.true) // 2
        rows = [[*(one.image for one in scene.sources), scene.true[middle]], [made[name][middle] for name in WAYS]]
        wide = max(map(len, rows))
        blank = np.full_like(scene.true[0], 255)
        blocks += [np.concatenate([*row, *[blank] * (wide - len(row))], 1) for row in rows]
    return np.concatenate(blocks)


@click.command(help=__doc__)
@click.option("--model", default="mini", show_default=True, help="name or folder")
@click.option("--frames", default=12, show_default=True, type=click.IntRange(1), help="of each clip, from its middle")
@click.option(
    "--gap", default=3, show_default=True, type=click.IntRange(0), help="frames about them that are no source"
)
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn, the noise and the intervals")
@click.option("--renders", type=click.Path(path_type=Path), help="folder where the frames stay, for other runs")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the figures here too")
@click.option("--sheet", "sheet_path", type=click.Path(path_type=Path), help="write a picture: sources and outputs")
@click.option("--sheet-clips", default=3, show_default=True, type=click.IntRange(1), help="of each kind on the sheet")
def main(
    model: str, frames: int, gap: int, cache: Path, limit: int, seed: int, renders: Path | None,
    json_path: Path | None, sheet_path: Path | None, sheet_clips: int,
) -> None:  # fmt: skip
    pipeline = SignGenPipeline.from_pretrained(model)
    results, rows = dict[str, dict[str, Any]](), list[np.ndarray]()
    for kind in KINDS:
        scenes = [Scene.of(clip, frames, gap) for clip in held_out_clips(kind, None, cache, limit, seed)]
        tables, pictures = measure(pipeline, scenes, kind, renders, seed=seed)
        results[kind] = {
            way: summary({name: table[:, m] for m, name in enumerate(HEADS)}, seed) for way, table in tables.items()
        }
        rows.append(sheet(spread(scenes, sheet_clips), spread(pictures, sheet_clips)))
    if json_path is not None:
        content = {"model": model, "frames": frames, "gap": gap, "seed": seed, **results}
        place_file(json_path, (json.dumps(content, indent=1) + "\n").encode())
    if sheet_path is not None:
        from PIL import Image

        Image.fromarray(np.concatenate(rows)).save(sheet_path)
    print(document(results, seed), end="")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
