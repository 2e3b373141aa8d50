"""Before and after on the part of the video that was held out: figures, a video side by side, a sheet that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import CONFIDENT
from signgen.personal.footage import Footage
from signgen.rendering.manifest import KIND, NOTICE, write_manifest
from signgen.rendering.run import render
from signgen.rendering.sample_windows import render_windows
from signgen.rendering.scene import build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import Source
from signgen.scoring.metrics import SSIM, FaceSSIM, HandSSIM, MouthSSIM, StillFlicker
from signgen.scoring.metrics.hand_detectors import HandDetector, found, load_hand_detector, search_boxes
from signgen.scoring.metrics.hand_detectors.interface import HANDS
from signgen.video import VideoWriter, read_frames

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

NEAR = 3.0  # pixels, mean over a hand's joints
CHUNK = 16
SHOWN = 6  # frames of a row of the sheet


@dataclass(frozen=True)
class Figure:
    """One score: its name for people, whether more is better, what counts as no change, digits."""

    words: str
    higher: bool
    slack: float
    digits: int

    def text(self, value: float | None) -> str:
        """A value of it, for people."""
        return "none seen" if value is None else f"{value:.{self.digits}f}"


FIGURES = {
    "ssim": Figure("SSIM", True, 0.002, 3),
    "hand_ssim": Figure("Hand SSIM", True, 0.003, 3),
    "face_ssim": Figure("face SSIM", True, 0.003, 3),
    "mouth_ssim": Figure("mouth SSIM", True, 0.003, 3),
    "hands_within_3_px": Figure("hands within 3 px", True, 0.03, 3),
    "still_flicker": Figure("still flicker", False, 0.05, 2),
}
Scores = dict[str, float | None]  # None: nothing of it was seen


def hands_near(frames: np.ndarray, clip: Keypoints, detector: HandDetector) -> np.ndarray:
    """(N, 2): hands that the detector finds within `NEAR` of the driving joints, and visible hands."""
    boxes = search_boxes(clip.xy, clip.confidence, clip.width, clip.height)
    visible = ~np.isnan(boxes[..., 0])
    joints = detector.detect(frames, boxes)  # (N,2,21,3)
    wanted = np.stack([clip.xy[:, hand] for hand, _ in HANDS], 1)
    sure = np.stack([clip.confidence[:, hand] for hand, _ in HANDS], 1) >= CONFIDENT
    apart = np.linalg.norm(joints[..., :2].astype(np.float64) - wanted, axis=-1)
    mean = np.where(sure, apart, 0).sum(-1) / np.maximum(sure.sum(-1), 1)
    near = visible & found(joints, detector) & (mean <= NEAR)
    return np.stack([near.sum(1), visible.sum(1)], 1)


def score(made: Iterator[np.ndarray], footage: Footage, frames: range) -> Scores:
    """The scores of generated frames uint8 (H,W,3) against those of the video."""
    whole, parts = SSIM("wang"), {"hand_ssim": HandSSIM(), "face_ssim": FaceSSIM(), "mouth_ssim": MouthSSIM()}
    still, detector, hands = StillFlicker(), load_hand_detector(), np.zeros(2)
    for start in range(frames.start, frames.stop, CHUNK):
        piece = range(start, min(start + CHUNK, frames.stop))
        pred, true = np.stack([next(made) for _ in piece]), np.array(footage.frames[piece.start : piece.stop])
        clip = footage.clip[piece.start : piece.stop]
        whole.update(pred, true)
        still.update(pred, true, continues=start > frames.start)
        for metric in parts.values():
            metric.update(pred, true, clip.xy, clip.confidence)
        hands += hands_near(pred, clip, detector).sum(0)
    near = hands[0] / hands[1] if hands[1] else np.nan
    values: dict[str, Any] = {"ssim": whole.compute(), **{name: metric.compute() for name, metric in parts.items()}}
    values |= {"hands_within_3_px": near, "still_flicker": still.compute()}
    return {name: None if np.isnan(value := float(values[name])) else round(value, 4) for name in FIGURES}


def worse(before: Scores, after: Scores) -> list[str]:
    """A warning for each score that fell, or that nothing in the held-out part gives."""
    lines = []
    for name, figure in FIGURES.items():
        was, now = before[name], after[name]
        if was is None or now is None:
            lines.append(f"{figure.words}: nothing in the held-out part tells it, so nobody knows whether it got worse")
            continue
        fell = was - now if figure.higher else now - was
        if fell > figure.slack:
            lines.append(f"{figure.words} got worse: {figure.text(was)} before, {figure.text(now)} after")
    return lines


def scored_frames(footage: Footage, most: int) -> range:
    """What is scored of the held-out part: its first frames, at most so many."""
    held = footage.held_out
    return range(held.start, min(held.stop, held.start + most))


def render_held_out(
    pipeline: SignGenPipeline, sources: Sequence[Source], footage: Footage, frames: range, folder: Path, seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:  # fmt: skip
    """These frames as the model makes them, as PNG in ``folder``, which is whole or not there."""
    clip = footage.clip[frames.start : frames.stop]
    render(clip, list(sources), pipeline, folder, seed=seed, progress=progress)


def write_side_by_side(
    path: Path, footage: Footage, before: Path, after: Path, about: Mapping[str, str], most: int
) -> None:
    """A video, the person | before | after, and the manifest beside it.

    Args:
        about: further things that both say, such as the consent.
        most: frames that it has at most.
    """
    frames = scored_frames(footage, most)
    width, height = footage.clip.size
    shown = "left: a recording; middle and right: generated video, before and after learning the person"
    note = {"comment": "; ".join([shown, *(f"{name}: {text}" for name, text in about.items())])}
    content = {"kind": KIND, "notice": NOTICE, "generated": True, "shown": shown, "frames": len(frames), **about}
    write_manifest(path.with_suffix(".json"), content)
    with VideoWriter(path, (3 * width, height), footage.clip.fps, note) as writer:
        for index, *made in zip(frames, read_frames(before), read_frames(after), strict=False):  # these may be more
            writer.write(np.concatenate([np.array(footage.frames[index]), *made], 1))


def sheet_row(pipeline: SignGenPipeline, sources: Sequence[Source], footage: Footage, seed: int) -> np.ndarray:
    """uint8 (H, SHOWN * W, 3): some held-out frames, each as a window of its own."""
    held = footage.clip[footage.learned :]
    config = pipeline.config
    scene = build_scene(sources[0], held, pipeline.frame_size, config.pixel_aspect, None, False, more=sources[1:])
    window = len(sources) + 1 if pipeline.couples_views else 2
    settings = RenderSettings(steps=config.steps, guidance=tuple(config.guidance), window=window, overlap=0, seed=seed)
    made = []
    for index in shown_frames(footage):
        part = range(index - footage.learned, index - footage.learned + 1)
        made.append(next(iter(render_windows(pipeline, scene, part, settings))).frames[0])
    return np.concatenate(made, 1)


def shown_frames(footage: Footage) -> list[int]:
    """The frames of the sheet, evenly over the held-out part."""
    held = footage.held_out
    return np.unique(np.linspace(held.start, held.stop - 1, SHOWN).round().astype(int)).tolist()


def truth_row(footage: Footage) -> np.ndarray:
    """uint8 (H, SHOWN * W, 3): the video itself."""
    return np.concatenate([np.array(footage.frames[index]) for index in shown_frames(footage)], 1)


def sheet(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows of pictures below each other, each with its name."""
    from PIL import Image, ImageDraw

    stacked = []
    for name, row in rows.items():
        picture = Image.fromarray(row)
        draw = ImageDraw.Draw(picture)
        draw.rectangle(draw.textbbox((4, 4), name), fill="black")
        draw.text((4, 4), name, fill="white")
        stacked.append(np.asarray(picture))
    return np.concatenate(stacked, 0)


def table(before: Scores, after: Scores, frames: int) -> str:
    """Both in Markdown; ``frames``: how many were scored."""
    lines = [f"| on {frames} frames of the held-out part | before | after |", "|---|---|---|"]
    for name, figure in FIGURES.items():
        name_of = f"{figure.words}{'' if figure.higher else ' (less is better)'}"
        lines.append(f"| {name_of} | {figure.text(before[name])} | {figure.text(after[name])} |")
    return "\n".join(lines)
