"""One new clip: the source clip's keypoints on another signer's body, rendered, judged and put in place."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.augmentation.gate import Gate, certain_points, looked_at
from signgen.augmentation.jobs import Job
from signgen.augmentation.origin import FPS, keypoints_digest
from signgen.augmentation.recipe import Recipe, open_model, what_computes
from signgen.augmentation.settings import Settings
from signgen.augmentation.store import DONE, LEFT_OUT, content_of
from signgen.augmentation.variation import Change
from signgen.dataset.keypoint_source import read_clip_points
from signgen.dataset.phoenix import count_frames, inner_folder
from signgen.errors import InputError, Missing, RunError
from signgen.files import Staging
from signgen.keypoints import Keypoints, write_keypoints
from signgen.keypoints.many_clips import points_in_frame
from signgen.rendering import RenderSettings, plan_render, run_plan
from signgen.rendering.driving import read_driving
from signgen.rendering.scene import build_scene
from signgen.rendering.source import Source

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline


@dataclass(frozen=True)
class Fitted:
    """A job's keypoints and picture, ready to render.

    Attributes:
        driving: the varied keypoints in the source clip's frame.
        source: the signer's picture with this copy's framing.
        drawn: what is then rendered, in pixels of the new frames.
        certain: bool (T,133), which of its points come from the clip and are not guesses for lost hands.
    """

    driving: Keypoints
    source: Source
    drawn: Keypoints
    certain: np.ndarray


class Maker:
    """A worker's model and judge, loaded once.

    Args:
        recipe: what to make.
        pipeline: the model, where it is loaded already.

    Raises:
        RunError: this worker's model is not the one that the work was planned with.
    """

    def __init__(self, recipe: Recipe, pipeline: SignGenPipeline | None = None) -> None:
        import torch

        torch.set_num_threads(recipe.settings.threads)  # before an engine is made, which asks for their number
        self.recipe = recipe
        self.pipeline = pipeline or open_model(recipe.settings)
        _check_same(self.pipeline, recipe)
        self.gate = _open_gate(recipe.settings)

    def make(self, job: Job, frames: slice | None = None) -> dict[str, Any]:
        """Makes a clip and returns its record, with ``state`` done or left_out.

        Args:
            job: which.
            frames: only these frames of it, for a trial.

        Raises:
            RunError: the disk is full, say. Nothing of the clip stays.
        """
        begun, recipe = time.monotonic(), self.recipe
        seed = job.seed(recipe.settings.seed)
        change = recipe.settings.variation.draw(seed)
        record = {"clip": job.name, "state": LEFT_OUT, **_origin(job, seed, change, recipe)}
        try:
            fitted = self.fit(job, change)
        except InputError as error:
            return {**record, "reason": str(error)}
        made = self._write(job, fitted, seed, frames)
        return {**record, "state": DONE, **made, "seconds": round(time.monotonic() - begun, 3)}

    def fit(self, job: Job, change: Change) -> Fitted:
        """The clip's keypoints on the job's signer; InputError where they show nobody who could be fitted."""
        clip = read_clip(job, self.recipe.frame)
        source = change.framed(self.recipe.sources[job.signer])
        whole = read_driving(clip, source, RenderSettings()).clip[:]
        driving = change.moved(whole)
        config = self.pipeline.config
        size = self.recipe.frame
        scene = build_scene(source, driving, self.pipeline.frame_size, config.pixel_aspect, size, align=True)
        drawn = replace(scene.framing.to_output(scene.driving[:]), name=job.name)
        return Fitted(driving, source, drawn, certain_points(clip, whole, change))

    def _write(self, job: Job, fitted: Fitted, seed: int, frames: slice | None) -> dict[str, Any]:
        """Keypoints and frames, which appear together when they are whole."""
        store = self.recipe.store
        frames = _within(frames, len(fitted.drawn))
        drawn = fitted.drawn if frames is None else fitted.drawn[frames]
        verdict: dict[str, Any] = {}
        with Staging() as staging:
            points = store.place(staging, store.keypoints(job.name))
            write_keypoints(drawn, points)
            size, digest = content_of(points)
            if store.media != "none":
                made = store.place(staging, store.clip(job.split, job.name))
                inner = made / "1" if store.frames(job.split, job.name).name == "1" else made
                self._render(fitted, seed, frames, inner)
                more, digest = content_of(inner)
                size += more
                verdict = self._judge(job, inner, fitted, frames)
                store.link_inner(made)
        return {"frames": len(drawn), "fps": drawn.fps, "bytes": size, "sha256": digest, **verdict}

    def _render(self, fitted: Fitted, seed: int, frames: slice | None, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        options = {"align": True, "fill_hands": False, "size": self.recipe.frame, "frames": frames}
        settings = self.recipe.settings.render_settings(seed=seed, **options)
        settings = replace(settings, backend="auto", export=None)  # the loaded pipeline keeps its engine
        result = run_plan(plan_render(settings, fitted.driving, fitted.source, target), self.pipeline)
        result.manifest.unlink()  # one line of ours says what it says

    def _judge(self, job: Job, clip: Path, fitted: Fitted, frames: slice | None) -> dict[str, Any]:
        """The gate's verdict; a whole clip that fails is held against its source's own frames."""
        gate, drawn = self.gate, fitted.drawn
        if gate is None:
            return {}
        sure = replace(drawn, xy=np.where(fitted.certain[..., None], drawn.xy, 0),
                       confidence=np.where(fitted.certain, drawn.confidence, 0))  # fmt: skip
        verdict = gate.judge(looked_at(clip), sure if frames is None else sure[frames])
        if not verdict["passed"] and frames is None:
            verdict = gate.reconsider(verdict, self._judge_source(gate, job))
        return {"gate": verdict}

    def _judge_source(self, gate: Gate, job: Job) -> dict[str, Any] | None:
        """The gate's verdict of the source clip's own frames; None where there are none that fit its keypoints."""
        try:
            points, true = read_clip(job, self.recipe.frame, anywhere=False), inner_folder(job.frames)
            return gate.judge(looked_at(true), points) if count_frames(job.frames) == len(points) else None
        except (InputError, ValueError):  # frames damaged, or of several sizes: nothing of the copy depends on them
            return None


def _within(frames: slice | None, count: int) -> slice | None:
    """The frames, or all that a clip has which ends before them: a few would cost what a whole clip does."""
    if frames is None or frames.stop <= count:
        return frames
    return slice(0, min(frames.stop, count))


def read_clip(job: Job, frame: tuple[int, int], anywhere: bool = True) -> Keypoints:
    """The source clip's keypoints in pixels of the data set's frames; InputError where it has none, or where they shall
    not lie ``anywhere`` and their file does not say where its person stands.
    """
    if job.keypoints is None:
        raise Missing(job.source, "has no keypoints", "give the file or folder that holds them with --keypoints")
    raw = read_clip_points(job.keypoints, job.source)
    points, _ = points_in_frame(raw, frame, job.source, anywhere)  # (T,133,3)
    width, height = frame
    return Keypoints(points[..., :2], points[..., 2], width=width, height=height, fps=raw.fps or FPS, name=job.source)


def _origin(job: Job, seed: int, change: Change, recipe: Recipe) -> dict[str, Any]:
    """Where a clip comes from: the part of its record that is known beforehand."""
    return {
        "split": job.split, "source": job.source, "copy": job.copy, "signer": Path(job.signer).name, "seed": seed,
        "keypoints_sha256": keypoints_digest(job.keypoints), "change": change.label(),
        "weights_sha256": recipe.weights, "licence": recipe.licence, "generated": True,
        **recipe.consent,
    }  # fmt: skip


def _check_same(pipeline: SignGenPipeline, recipe: Recipe) -> None:
    weights, computes = pipeline.weights_sha256(), what_computes(pipeline)
    if weights != recipe.weights:
        got = f"its weights are {weights[:12]} here, the work was planned with {recipe.weights[:12]}"
        raise RunError(recipe.settings.model, got, "give every worker the same model")
    if computes != recipe.computes:
        got = f"computes with {computes} here, the work was planned with {recipe.computes}"
        raise RunError(recipe.settings.model, got, "say --device, --dtype and --backend so that all workers agree")


def _open_gate(settings: Settings) -> Gate | None:
    if settings.gate is None or settings.media == "none":
        return None
    from signgen.scoring.metrics.hand_detectors import load_hand_detector

    return Gate(load_hand_detector(), settings.gate)
