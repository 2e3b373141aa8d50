"""How good is a model on drawn signers that it never saw? Known signers with new sentences, and new signers.

    python benchmarks/held_out.py                          # draws its own clips once, into a cache folder
    python benchmarks/held_out.py --known DIR --new DIR    # or takes data sets of `signgen synthesize`

Each clip is rendered from its own first frame and keypoints and compared with its true frames 1, 2, ... Beside the
model stand two marks: copying the source frame, and the autoencoder's reconstruction of the truth, beyond which no
denoiser can get. The share of the gap closed is (model - copy) / (autoencoder - copy), on Hand SSIM.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from signgen.data.phoenix import Clip, PhoenixIndex
from signgen.errors import SignGenError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.keypoints.skeleton import CONFIDENT
from signgen.metrics import PSNR, SSIM, HandSSIM, MotionRatio, StillFlicker, WristDistance
from signgen.metrics.hands import CROP, KNUCKLES, hand_crop
from signgen.models.canvas import from_canvas, to_canvas
from signgen.models.wrist_finder import load_wrist_finder
from signgen.models.wrist_finder import report as wrist_finder_report
from signgen.pipeline import SignGenPipeline
from signgen.pose_image import draw_pose
from signgen.rendering import render
from signgen.sources import Source
from signgen.synthetic.dataset import Plan, pick_signers, write_dataset
from signgen.synthetic.signers import HELD_OUT, signer_names
from signgen.video import read_frames

CHUNK = 16  # frames that are scored at a time
KINDS = {"known": "dev", "new": "test"}  # which split holds them
COPY, CEILING, MODEL = "copy of the source", "autoencoder", "model"
COLUMNS = {
    "ssim_wang": "{:.4f}",
    "ssim_win51": "{:.4f}",
    "psnr": "{:.2f}",
    "hand_ssim": "{:.4f}",
    "wrist_px": "{:.2f}",
    "wrists_found": "{:.1%}",
    "motion_ratio": "{:.3f}",
    "still_flicker": "{:.2f}",
}


class Scores:
    """All measures of one method over the clips of one kind."""

    def __init__(self, finder: torch.nn.Module) -> None:
        self.frame_metrics = {"ssim_wang": SSIM("wang"), "ssim_win51": SSIM("win51"), "psnr": PSNR()}
        self.step_metrics = {"motion_ratio": MotionRatio(), "still_flicker": StillFlicker()}
        self.hands, self.wrists = HandSSIM(), WristDistance(finder)

    def update(self, pred: np.ndarray, true: np.ndarray, keypoints: Keypoints, continues: bool) -> None:
        """Add frames uint8 (N,H,W,3) with the keypoints of the true ones."""
        for metric in self.frame_metrics.values():
            metric.update(pred, true)
        for metric in self.step_metrics.values():
            metric.update(pred, true, continues=continues)
        self.hands.update(pred, true, keypoints.xy, keypoints.confidence)
        self.wrists.update(pred, keypoints.xy, keypoints.confidence)

    def summary(self) -> dict[str, float]:
        metrics = {**self.frame_metrics, **self.step_metrics, "hand_ssim": self.hands, "wrist_px": self.wrists}
        values = {name: float(metric.compute()) for name, metric in metrics.items()}
        return {**values, "wrists_found": self.wrists.share_found()}

    def signatures(self) -> dict[str, str]:
        metrics = {**self.frame_metrics, **self.step_metrics, "hand_ssim": self.hands, "wrist_px": self.wrists}
        return {name: metric.signature for name, metric in metrics.items()}


@dataclass
class Picture:
    """One row of the contact sheet: panel name -> (frame uint8 (H,W,3), middle knuckles (2,2) px, NaN: no hand)."""

    panels: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def reconstruct(pipeline: SignGenPipeline, frames: np.ndarray) -> np.ndarray:
    """The frames uint8 (N,H,W,3) through the model's autoencoder and back."""
    vae = pipeline.vae
    weight = next(vae.parameters())
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).to(weight.device, weight.dtype) / 127.5 - 1
    with torch.inference_mode():
        decoded = vae.decode(vae.encode(to_canvas(pixels)).latent_dist.mode()).sample
    back = from_canvas(decoded, frames.shape[2], frames.shape[1]).float().permute(0, 2, 3, 1)
    return ((back + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


def generate(
    pipeline: SignGenPipeline, source: np.ndarray, keypoints: Keypoints, **options: Any
) -> Iterator[np.ndarray]:
    """The clip as a user would render it: lossless frames uint8 (H,W,3), one after the other."""
    person = Source(source, keypoints[0:1], "first frame", "image")
    with tempfile.TemporaryDirectory(prefix="signgen-held-out-") as folder:
        output = Path(folder) / "frames"
        render(keypoints, source=person, model=pipeline, output=output, **options)
        yield from read_frames(output)


def pieces(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Single frames to stacks of at most ``CHUNK``."""
    while piece := list(islice(frames, CHUNK)):
        yield np.stack(piece)


def score_clip(
    clip: Clip, pipeline: SignGenPipeline | None, scores: dict[str, Scores], pictured: int | None, **options: Any
) -> tuple[int, Picture]:
    """Add a clip to the scores; how many frames it added, and the picture of frame ``pictured``."""
    keypoints, true = read_keypoints(clip.keypoints).keypoints, read_frames(clip.folder)
    source = next(true)
    generated = iter(()) if pipeline is None else generate(pipeline, source, keypoints, **options)
    next(generated, None)
    start, picture = 1, Picture()
    for stack in pieces(true):
        window = keypoints[start : start + len(stack)]
        made = {COPY: np.repeat(source[None], len(stack), 0)}
        if pipeline is not None:
            made[CEILING] = reconstruct(pipeline, stack)
            made[MODEL] = np.stack(list(islice(generated, len(stack))))
        for name, frames in made.items():
            scores[name].update(frames, stack, window, continues=start > 1)
        if pictured is not None and start <= pictured < start + len(stack):
            picture = _picture(pictured - start, source, keypoints, stack, window, made)
        start += len(stack)
    return start - 1, picture


def _picture(
    index: int,
    source: np.ndarray,
    keypoints: Keypoints,
    true: np.ndarray,
    window: Keypoints,
    made: dict[str, np.ndarray],
) -> Picture:
    here = _knuckles(window, index)
    panels = {"source": (source, _knuckles(keypoints, 0)), "pose": (draw_pose(window[index : index + 1])[0], here)}
    panels["truth"] = (true[index], here)
    panels.update({name: (made[name][index], here) for name in (CEILING, MODEL) if name in made})
    return Picture(panels)


def _knuckles(keypoints: Keypoints, frame: int) -> np.ndarray:
    """Middle knuckles (2,2) in pixels, NaN for a hand that Hand SSIM leaves out."""
    seen = keypoints.confidence[frame, KNUCKLES] >= CONFIDENT
    return np.where(seen[:, None], keypoints.xy[frame, KNUCKLES], np.nan)


def _panel(frame: np.ndarray, knuckles: np.ndarray) -> np.ndarray:
    """The frame with its two hands beside it, enlarged twice: right hand above, left hand below."""
    column = np.zeros((max(len(frame), 4 * CROP), 2 * CROP, 3), np.uint8)
    for row, centre in enumerate(knuckles[::-1]):
        if np.isnan(centre).any():
            continue
        hand = hand_crop(frame, (float(centre[0]), float(centre[1])))
        column[2 * CROP * row : 2 * CROP * (row + 1)] = hand.repeat(2, 0).repeat(2, 1)
    tall = np.zeros((len(column), frame.shape[1], 3), np.uint8)
    tall[: len(frame)] = frame
    return np.concatenate([tall, column], axis=1)


def write_sheet(pictures: list[Picture], path: Path) -> None:
    """Rows of source | pose | truth | autoencoder | generated, with enlarged hands."""
    from PIL import Image

    rows = [np.concatenate([_panel(*panel) for panel in p.panels.values()], axis=1) for p in pictures if p.panels]
    Image.fromarray(np.concatenate(rows)).save(path)


def gap_closed(methods: dict[str, dict[str, float]], measure: str = "hand_ssim") -> float | None:
    """(model - copy) / (autoencoder - copy); None without a model or without a gap."""
    if MODEL not in methods:
        return None
    low, high = methods[COPY][measure], methods[CEILING][measure]
    return (methods[MODEL][measure] - low) / (high - low) if high > low else None


def measure(
    clips: list[Clip], pipeline: SignGenPipeline | None, rows: int, label: str, **options: Any
) -> tuple[dict[str, Any], list[Picture]]:
    """The results over clips of one kind, and ``rows`` rows for the contact sheet."""
    finder, begun = load_wrist_finder(), time.monotonic()
    names = [COPY] if pipeline is None else [COPY, CEILING, MODEL]
    scores = {name: Scores(finder) for name in names}
    frames, pictures = 0, []
    shown = set(np.linspace(0, len(clips) - 1, min(rows, len(clips))).round().astype(int)) if rows else set()
    for index, clip in enumerate(clips):
        middle = len(clip.frames) // 2 if index in shown else None
        added, picture = score_clip(clip, pipeline, scores, middle, **options)
        frames += added
        pictures.append(picture)
        print(f"{label}: {index + 1}/{len(clips)} clips, {time.monotonic() - begun:.0f} s", file=sys.stderr)
    methods = {name: score.summary() for name, score in scores.items()}
    one = scores[COPY].hands
    counts = {"clips": len(clips), "frames": frames, "hands": int(one.hands), "hands_left_out": int(one.left_out)}
    counts["wrists"] = int(scores[COPY].wrists.wanted)
    result = {**counts, "methods": methods, "gap_closed": gap_closed(methods)}
    result["signatures"] = scores[COPY].signatures()
    return result, pictures


def table(results: dict[str, Any]) -> str:
    """The results as text."""
    lines = []
    for kind in KINDS:
        part = results[kind]
        lines.append(f"{kind} signers: {part['clips']} clips, {part['frames']} frames, {part['hands']} hands")
        lines.append(f"  {'':20}" + "".join(f"{name:>15}" for name in COLUMNS))
        for name, values in part["methods"].items():
            cells = (form.format(values[column]) for column, form in COLUMNS.items())
            lines.append(f"  {name:20}" + "".join(f"{cell:>15}" for cell in cells))
        if part["gap_closed"] is not None:
            lines.append(f"  share of the gap closed on Hand SSIM: {part['gap_closed']:.1%}")
    own = results["wrist_finder"]
    errors = ", ".join(f"{own[split]['true']['mean_px']} px ({split})" for split in KINDS.values())
    lines.append(f"the wrist finder's own error on true frames: {errors}")
    return "\n".join(lines)


def held_out_clips(kind: str, folder: Path | None, cache: Path, limit: int, seed: int) -> list[Clip]:
    """``limit`` clips of a kind, evenly from a folder, or drawn into the cache when they are not there yet."""
    split = KINDS[kind]
    if folder is None:
        folder = cache / f"{split}-{limit}-{seed}"
        available = len(HELD_OUT) if split == "test" else len(signer_names())
        plan = Plan(seed, split, pick_signers(str(min(limit, available)), split))
        write_dataset(folder, plan, limit)
    clips = PhoenixIndex(folder).clips(split)
    picked = np.linspace(0, len(clips) - 1, min(limit, len(clips))).round().astype(int)
    return [clips[i] for i in picked]


@click.command(help=__doc__)
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=Path("~/.cache/signgen/held_out"), type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--model", default="mini", show_default=True, help="name or folder; 'none': only copy the source")
@click.option("--steps", type=click.IntRange(1), help="sampling steps, default the model's own")
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn and of the model's noise")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the results here")
@click.option("--sheet", type=click.Path(path_type=Path), help="write a picture: source, pose, truth, made")
@click.option("--sheet-rows", default=4, show_default=True, type=click.IntRange(1), help="rows of each kind")
def main(
    known: Path | None,
    new: Path | None,
    cache: Path,
    limit: int,
    model: str,
    steps: int | None,
    seed: int,
    json_path: Path | None,
    sheet: Path | None,
    sheet_rows: int,
) -> None:
    pipeline = None if model == "none" else SignGenPipeline.from_pretrained(model)
    folders = {"known": known, "new": new}
    results: dict[str, Any] = {"model": model, "steps": steps, "seed": seed, "wrist_finder": wrist_finder_report()}
    pictures: list[Picture] = []
    for kind in KINDS:
        clips = held_out_clips(kind, folders[kind], cache.expanduser(), limit, seed)
        rows = sheet_rows if sheet else 0
        results[kind], made = measure(clips, pipeline, rows, f"{kind} signers", steps=steps, seed=seed)
        pictures += made
    print(table(results))
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if sheet:
        write_sheet(pictures, sheet)


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
