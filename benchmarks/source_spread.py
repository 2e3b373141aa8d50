"""Same picture whatever the source frame? FPDM's Figure 6 as a measure, on drawn signers that no training saw.

    python benchmarks/source_spread.py b6-cva=runs/mini/ablation/models/b6-cva b3-cva=runs/mini/ablation/models/b3-cva \
        --sheet spread.png --json spread.json > spread.md

Each argument is NAME=MODEL, a pipeline's folder or the name of a packaged model. The --frames in the middle of a clip
are rendered from --sources other frames of it, which are spread over the rest, with the same keypoints and noise. The
spread of a pixel is the standard deviation over the sources (over all of them, not their number less one), in levels of
0..255, the mean of its channels; printed is its mean over frames, over the hands of Hand SSIM and over the faces of
Face SSIM. SSIM, Hand SSIM and Face SSIM are means over the sources. A low spread beside a low SSIM is no merit: a model
that makes one blur of all sources has it, too. "copy of the source" is what showing the sources as they are gives.

In brackets are 95 % intervals over clips; those of a difference draw the same clips for both models. With --renders the
frames stay: a run that was stopped goes on there, and a sheet costs nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawn_clips import CACHE, KINDS, frame_sources, generate, held_out_clips, kept_at, spread
from held_out_table import differences
from retrieval import named

from signgen.dataset.phoenix import Clip
from signgen.errors import BadValue, InputError, SignGenError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.keypoints.skeleton import CONFIDENT, KNUCKLES
from signgen.model import SignGenPipeline
from signgen.model.loading import model_folder
from signgen.rendering.source import Source
from signgen.scoring.comparison import bootstrap_intervals, quotients
from signgen.scoring.metrics import SSIM, FaceSSIM, HandSSIM
from signgen.scoring.metrics.faces import WHOLE_FACE
from signgen.scoring.metrics.hands import hand_crop
from signgen.video import read_frames

MEASURES = ("spread", "hand_spread", "face_spread", "ssim_wang", "hand_ssim", "face_ssim")
HEADS = ("spread", "of hands", "of faces", "SSIM wang", "Hand SSIM", "Face SSIM")
COPY = "copy of the source"
GAIN = 4  # of the spread on the sheet


@dataclass(frozen=True)
class Scene:
    """What is rendered of a clip.

    Attributes:
        clip: which one.
        keypoints, true: of the N target frames; uint8 (N,H,W,3).
        sources: S other frames of the clip.
    """

    clip: Clip
    keypoints: Keypoints
    true: np.ndarray
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, clip: Clip, frames: int, sources: int) -> Scene:
        """The ``frames`` in the middle, and ``sources`` of the frames around them, the first and the last included."""
        keypoints, true = read_keypoints(clip.keypoints).keypoints, np.stack(list(read_frames(clip.folder)))
        count = min(len(keypoints), len(true))
        if count < frames + sources:
            advice = "lower --frames or --sources"
            raise InputError(clip.name, f"{count} frames are too few for {frames} and {sources} sources", advice)
        first = (count - frames) // 2
        others = [place for place in range(count) if not first <= place < first + frames]
        people = frame_sources(true, keypoints, spread(others, sources))
        return cls(clip, keypoints[first : first + frames], true[first : first + frames], people)

    def copies(self) -> np.ndarray:
        """The sources in the place of every frame, (S,N,H,W,3)."""
        return np.stack([np.broadcast_to(source.image, self.true.shape) for source in self.sources])

    def rendered(self, pipeline: SignGenPipeline, keep: Path | None, **options: Any) -> np.ndarray:
        """What a model makes of every source, (S,N,H,W,3); the frames stay in the folder ``keep``."""
        return np.stack([
            np.stack(list(generate(pipeline, source, self.keypoints, keep and keep / source.name, **options)))
            for source in self.sources
        ])  # fmt: skip


def deviation(frames: np.ndarray) -> np.ndarray:
    """Frames uint8 (S,H,W,3) of as many sources -> each pixel's spread in levels, float64 (H,W,1)."""
    return frames.std(0, dtype=np.float64).mean(-1, keepdims=True)


def sums(made: np.ndarray, true: np.ndarray, keypoints: Keypoints) -> np.ndarray:
    """(M, 2) numerators and denominators of `MEASURES`.

    Args:
        made: uint8 (S,N,H,W,3), from each source.
        true: uint8 (N,H,W,3); keypoints: theirs.
    """
    spreads, sure = np.zeros((3, 2)), keypoints.confidence >= CONFIDENT
    for n, points in enumerate(keypoints.xy):
        whole = deviation(made[:, n])
        hands = [hand_crop(whole, (points[knuckle][0], points[knuckle][1])) for knuckle in KNUCKLES if sure[n, knuckle]]
        faces = WHOLE_FACE.cut((whole,), points, sure[n]) or []
        spreads += [(sum(part.mean() for part in parts), len(parts)) for parts in ([whole], hands, faces)]
    ssim, *parts = SSIM("wang"), HandSSIM(), FaceSSIM()
    for frames in made:
        ssim.update(frames, true)
        for metric in parts:
            metric.update(frames, true, keypoints.xy, keypoints.confidence)
    return np.concatenate([spreads, [metric.sums() for metric in (ssim, *parts)]])


def rows(
    models: dict[str, str], scenes: dict[str, list[Scene]], seen: dict[Path, list[np.ndarray]], renders: Path | None,
    **options: Any,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """One row for each model and kind of signers, after that of copying the source.

    Args:
        seen: what is to be shown: a clip's folder -> its middle frame from every source (S,H,W,3), model by model.
    """
    for name in (COPY, *models):
        pipeline = None if name == COPY else SignGenPipeline.from_pretrained(models[name])
        for kind, own in scenes.items():
            table = []
            for scene in own:
                keep = kept_at(renders and renders / name.replace("/", "-"), scene.clip)
                made = scene.copies() if pipeline is None else scene.rendered(pipeline, keep, **options)
                table.append(sums(made, scene.true, scene.keypoints))
                if pipeline is not None:
                    print(f"{name}, {kind} signers: {len(table)}/{len(own)} clips", file=sys.stderr)
                    if scene.clip.folder in seen:
                        seen[scene.clip.folder].append(made[:, made.shape[1] // 2])
            yield {"kind": kind, "model": name, **summary(np.stack(table), options["seed"])}


def summary(table: np.ndarray, seed: int) -> dict[str, Any]:
    """Sums (C, M, 2) -> value, interval and sums of each measure; None where there was nothing to measure."""
    values, intervals = quotients(table.sum(0)), bootstrap_intervals(table, seed)
    return {
        name: {
            "value": None if np.isnan(values[m]) else float(values[m]),
            "interval": intervals[m],
            "sums": table[:, m].tolist(),
        }
        for m, name in enumerate(MEASURES)
    }


def document(found: list[dict[str, Any]], against: str, seed: int) -> str:
    """Tables in Markdown, one a kind of signers: every model, then how it differs from the one named ``against``."""
    parts = ["In brackets: 95 % intervals over clips. Spreads in levels of 0..255."]
    for kind in dict.fromkeys(row["kind"] for row in found):
        own = [row for row in found if row["kind"] == kind]
        other = next(row for row in own if row["model"] == against)
        clips = len(other["spread"]["sums"])
        parts.append(f"## {kind} signers, {clips} clips, {int(sum(n for _, n in other['spread']['sums']))} frames")
        lines = [["model", *HEADS], ["---"] * (1 + len(HEADS))]
        lines += [[row["model"], *(cell(row[name], name) for name in MEASURES)] for row in own]
        for row in own:
            if row is not other and row["model"] != COPY:
                parted = (cell(parted_from(row[name], other[name], seed), name, "+") for name in MEASURES)
                lines.append([f"{row['model']} less {against}", *parted])
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def parted_from(one: dict[str, Any], other: dict[str, Any], seed: int) -> dict[str, Any]:
    """A measure of one model less that of another: value and interval."""
    if one["value"] is None or other["value"] is None:
        return {"value": None, "interval": None}
    paired = one["interval"] and other["interval"] and differences(one, other, seed)
    return {"value": one["value"] - other["value"], "interval": paired}


def cell(part: dict[str, Any], name: str, sign: str = "") -> str:
    """Value and interval as text."""
    if part["value"] is None:
        return "none"
    form = f"{sign}.{2 if name.endswith('spread') else 4}f"
    interval = part["interval"]
    said = f" ({interval[0]:{form}} to {interval[1]:{form}})" if interval else ""
    return f"{part['value']:{form}}{said}"


def sheet(scenes: list[Scene], names: list[str], seen: dict[Path, list[np.ndarray]]) -> np.ndarray:
    """For each scene: its middle frame and the sources, and below them, model by model, the spread and what it made."""
    blocks = []
    for scene in scenes:
        blocks.append(np.concatenate([scene.true[len(scene.true) // 2], *(one.image for one in scene.sources)], 1))
        for name, made in zip(names, seen[scene.clip.folder], strict=True):
            blocks.append(np.concatenate([captioned(deviation(made), name), *made], 1))
    return np.concatenate(blocks)


def captioned(spreads: np.ndarray, name: str) -> np.ndarray:
    """A spread (H,W,1) as a grey picture (H,W,3), `GAIN` times as bright, with the model's name on it."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.clip(GAIN * spreads, 0, 255).astype(np.uint8).repeat(3, -1))
    ImageDraw.Draw(picture).text((4, 4), f"{name}\nspread x {GAIN}", fill=(255, 220, 90))
    return np.asarray(picture)


def checked(texts: tuple[str, ...], against: str | None) -> tuple[dict[str, str], str]:
    """The models, all of which are there, and the one that the others are compared with."""
    models = named(texts)
    if COPY in models:
        raise BadValue("MODELS", f"got {COPY!r}", "that name is taken, give another one")
    for folder in models.values():
        model_folder(folder)
    against = next(iter(models)) if against is None else against
    if against not in models:
        raise BadValue("--against", f"got {against!r}", f"choose one of the models: {', '.join(models)}")
    return models, against


@click.command(help=__doc__)
@click.argument("models", nargs=-1, required=True)
@click.option("--against", help="the model that the others are compared with  [default: the first]")
@click.option("--frames", default=8, show_default=True, type=click.IntRange(1), help="of each clip, from its middle")
@click.option("--sources", default=5, show_default=True, type=click.IntRange(2), help="of each clip")
@click.option("--steps", type=click.IntRange(1), help="sampling steps, default the model's own")
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn, the noise and the intervals")
@click.option("--renders", type=click.Path(path_type=Path), help="folder where the frames stay, for other runs")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the figures here too")
@click.option("--sheet", "sheet_path", type=click.Path(path_type=Path), help="write a picture: sources and outputs")
@click.option("--sheet-clips", default=2, show_default=True, type=click.IntRange(1), help="of each kind on the sheet")
def main(
    models: tuple[str, ...], against: str | None, frames: int, sources: int, steps: int | None, known: Path | None,
    new: Path | None, cache: Path, limit: int, seed: int, renders: Path | None, json_path: Path | None,
    sheet_path: Path | None, sheet_clips: int,
) -> None:  # fmt: skip
    folders, against = checked(models, against)
    folder_of = {"known": known, "new": new}
    scenes = {
        kind: [Scene.of(clip, frames, sources) for clip in held_out_clips(kind, folder_of[kind], cache, limit, seed)]
        for kind in KINDS
    }
    shown = [scene for own in scenes.values() for scene in spread(own, sheet_clips)] if sheet_path else []
    seen: dict[Path, list[np.ndarray]] = {scene.clip.folder: [] for scene in shown}
    found = list(rows(folders, scenes, seen, renders, steps=steps, seed=seed))
    if json_path is not None:
        content = {"frames": frames, "sources": sources, "steps": steps, "seed": seed, "rows": found}
        temporary = json_path.with_name(f".{json_path.name}.tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, json_path)
    if sheet_path is not None:
        from PIL import Image

        Image.fromarray(sheet(shown, list(folders), seen)).save(sheet_path)
    print(document(found, against, seed), end="")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
