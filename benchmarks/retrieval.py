"""Retrieval by the fusion embedding on drawn signers that no training saw: FPDM's Table 2, its rows A1 to A3.

    python benchmarks/retrieval.py \
        "A1 source alone=runs/mini/ablation/source/model/fusion" \
        "A2 baseline InfoNCE=runs/mini/ablation/baseline/model/fusion" \
        "A3 source-enhanced=runs/mini/ablation/enhanced/model/fusion" --json retrieval.json > retrieval.md

Each argument is NAME=FOLDER, the folder of a fusion model. The three are trained by:

    signgen train mini/ablation/source
    signgen train mini/ablation/baseline
    signgen train mini/ablation/enhanced

Of each clip the first frame is the source, as in FPDM's test on PHOENIX14T, and every ``--gap``-th frame after it is a
target; the query is the embedding of source and target pose, the gallery are all sources and all targets of all clips
of a kind of signers. The gap leaves out neighbours that show nearly the same, for which a rank says nothing. Intervals
are over clips.
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
import torch
from drawn_clips import CACHE, CHUNK, KINDS, held_out_clips

from signgen.dataset.phoenix import Clip
from signgen.errors import InputError, SignGenError
from signgen.keypoints import read_keypoints
from signgen.model.networks.canvas import fit_frames, fit_points
from signgen.model.networks.fusion import FusionModel
from signgen.pose_image.strokes import draw_clip
from signgen.scoring.comparison import bootstrap_intervals, quotients
from signgen.scoring.persons.retrieval import MEASURES, chance, ranks, sums
from signgen.video import read_frames

HEADS = ("R@1", "R@3", "R@5", "mean rank")


@dataclass(frozen=True)
class Pictures:
    """What is looked at of one clip: frames uint8 (1 + N, H, W, 3), the source first, and their keypoints."""

    frames: np.ndarray
    keypoints: np.ndarray  # (1 + N, 133, 3)


def pictures(clip: Clip, gap: int) -> Pictures:
    """Every ``gap``-th frame of a clip, the first one included."""
    points = read_keypoints(clip.keypoints).keypoints.points
    frames = np.stack([frame for number, frame in enumerate(read_frames(clip.folder)) if number % gap == 0])
    if len(frames) < 2:
        raise InputError(clip.name, f"has no frame {gap} frames after its first", "lower --gap")
    return Pictures(frames, points[::gap][: len(frames)])


class Embedder:
    """A fusion model's embeddings of pictures, (N, D) float32 each."""

    def __init__(self, model: FusionModel) -> None:
        self.model, self.device = model.eval(), next(model.parameters()).device

    @torch.inference_mode()
    def images(self, frames: np.ndarray) -> np.ndarray:
        """Frames uint8 (N, H, W, 3), each by itself."""
        parts = [self.model.encode(self._pixels(frames[i : i + CHUNK])) for i in range(0, len(frames), CHUNK)]
        return torch.cat(parts).float().cpu().numpy()

    @torch.inference_mode()
    def queries(self, seen: Pictures) -> np.ndarray:
        """The source with the pose of each target."""
        height, width = seen.frames.shape[1:3]
        canvas = fit_frames(torch.zeros(1, 1, height, width)).shape[:1:-1]  # (W', H')
        points = fit_points(seen.keypoints[1:], width, height)
        source = self.model.encode(self._pixels(seen.frames[:1]))  # (1, D)
        found = []
        for start in range(0, len(points), CHUNK):
            part = points[start : start + CHUNK]
            drawn = torch.from_numpy(draw_clip(part[..., :2], part[..., 2], canvas, canvas)).to(self.device)
            found.append(self.model.fuse(source, drawn.permute(0, 3, 1, 2).float().div(127.5).sub(1)))
        return torch.cat(found).float().cpu().numpy()

    def _pixels(self, frames: np.ndarray) -> torch.Tensor:
        moved = torch.from_numpy(frames).to(self.device).permute(0, 3, 1, 2)
        return fit_frames(moved.float().div(127.5).sub(1))


def measure(embedder: Embedder, clips: list[Pictures]) -> tuple[np.ndarray, int]:
    """(C, M, 2) sums of each clip, and how many pictures the gallery has."""
    gallery = np.concatenate([embedder.images(seen.frames) for seen in clips])  # (G, D)
    starts = np.cumsum([0, *(len(seen.frames) for seen in clips)])
    table = []
    for start, seen in zip(starts, clips, strict=False):
        own = start + np.arange(1, len(seen.frames))
        table.append(sums(ranks(embedder.queries(seen), gallery, own)))
    return np.stack(table), len(gallery)


def rows(models: dict[str, Path], clips: dict[str, list[Pictures]], seed: int) -> Iterator[dict[str, Any]]:
    """One row for each kind of signers and model, after what chance gives."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for kind, seen in clips.items():
        gallery = sum(len(part.frames) for part in seen)
        common = {"kind": kind, "clips": len(seen), "gallery": gallery, "queries": gallery - len(seen)}
        yield {**common, "model": "random order", "values": chance(gallery), "intervals": None}
        for name, folder in models.items():
            table, _ = measure(Embedder(FusionModel.from_pretrained(folder).to(device)), seen)
            values = dict(zip(MEASURES, quotients(table.sum(0)).tolist(), strict=True))
            intervals = dict(zip(MEASURES, bootstrap_intervals(table, seed), strict=True))
            yield {**common, "model": name, "values": values, "intervals": intervals}


def document(found: list[dict[str, Any]]) -> str:
    """Tables in Markdown, one a kind of signers."""
    parts = ["In brackets: 95 % intervals over clips."]
    for kind in dict.fromkeys(row["kind"] for row in found):
        own = [row for row in found if row["kind"] == kind]
        first = own[0]
        parts.append(
            f"## {kind} signers: {first['queries']} queries of {first['clips']} clips, "
            f"a gallery of {first['gallery']} pictures"
        )
        lines = [_line(["model", *HEADS]), _line(["---"] * (1 + len(HEADS)))]
        lines += [_line([row["model"], *(_cell(row, name) for name in MEASURES)]) for row in own]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(row: dict[str, Any], name: str) -> str:
    digits = 2 if name == "mean_rank" else 3
    text = f"{row['values'][name]:.{digits}f}"
    interval = row["intervals"] and row["intervals"][name]
    return f"{text} ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})" if interval else text


def named(texts: tuple[str, ...]) -> dict[str, str]:
    """``NAME=FOLDER`` of each model, every name once."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, folder = text.rpartition("=")
        if not equals or not name or name in found:
            raise InputError("MODELS", f"got {text!r}", "write NAME=FOLDER, each name once")
        found[name] = folder
    return found


def named_folders(texts: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=FOLDER`` of each model, every folder one of a fusion model."""
    folders = {name: Path(folder) for name, folder in named(texts).items()}
    for folder in folders.values():
        if not (folder / "config.json").is_file():
            raise InputError(str(folder), "holds no fusion model", "name the folder model/fusion of a run")
    return folders


@click.command(help=__doc__)
@click.argument("models", nargs=-1, required=True)
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--gap", default=6, show_default=True, type=click.IntRange(1), help="frames from one target to the next")
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn and of the intervals")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the figures here too")
def main(
    models: tuple[str, ...], known: Path | None, new: Path | None, cache: Path, limit: int, gap: int, seed: int,
    json_path: Path | None,
) -> None:  # fmt: skip
    folders = named_folders(models)
    folder_of = {"known": known, "new": new}
    clips = {
        kind: [pictures(clip, gap) for clip in held_out_clips(kind, folder_of[kind], cache, limit, seed)]
        for kind in KINDS
    }
    found = list(rows(folders, clips, seed))
    if json_path is not None:
        temporary = json_path.with_name(f".{json_path.name}.tmp")
        temporary.write_text(json.dumps({"gap": gap, "seed": seed, "rows": found}, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, json_path)
    print(document(found), end="")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
