"""The page's first job: a clip and a signer in, a watched render and its files out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.app.clips import Clip
from signgen.app.context import Limits
from signgen.app.jobs import Job, Report, Work, Working
from signgen.app.live import LiveStream, watched
from signgen.app.model import wait_for
from signgen.keypoints.repair.missing import fill_missing
from signgen.rendering.manifest import write_manifest

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline
    from signgen.rendering import RenderResult, RenderSettings
    from signgen.rendering.source import Source

_PATHS = ("output", "manifest", "compare")  # of a result and its manifest


@dataclass(frozen=True)
class Order:
    """What a user wants rendered.

    Attributes:
        clip: what is signed.
        sources: who signs: pictures of one person, the main one first.
        settings: how; its ``frames`` are the part of the clip.
        folder: where the files go.
        original: the true video, which `Limits.check_video` has looked at, or None.
        alone: without side-by-side video and pose images.
    """

    clip: Clip
    sources: Sequence[Source]
    settings: RenderSettings
    folder: Path
    original: Path | None = None
    alone: bool = False

    def frames(self) -> range:
        """The frames asked for; `InputError` where the clip does not have them."""
        from signgen.rendering.driving import frame_range

        return frame_range(self.clip.keypoints, self.settings.frames)


Rendered = tuple["RenderResult", Path | None]
"""A finished render, whose files are in the order's folder, and a zip of its pose images."""


def render_job(order: Order, model: Future[SignGenPipeline], stream: LiveStream | None, limits: Limits) -> Work:
    """The work of a render, for `signgen.app.jobs.follow`: gives a `Rendered`.

    Args:
        model: waited for.
        stream: gets the frames as they are painted, and is closed; None: nobody looks.

    Raises:
        InputError: at once, for too many frames.
    """
    limits.check_frames(order.clip.name, len(order.frames()))

    def work(job: Job, report: Report) -> Rendered:
        try:
            return _render(order, model, stream, job, report)
        finally:
            if stream is not None:
                stream.close()

    return work


def _render(
    order: Order, model: Future[SignGenPipeline], stream: LiveStream | None, job: Job, report: Report
) -> Rendered:
    from signgen.rendering import plan_render, run_plan

    if not model.done():
        report(Working("The model is being loaded"))
    pipeline = wait_for(model, job.check)
    folder, name, keypoints = order.folder, order.clip.name, order.clip.keypoints

    def progress(done: int, total: int) -> None:
        job.check()
        report(Working("Rendering", done, total))

    suffix = "webm" if order.settings.background == "none" else "mp4"  # MP4 has no transparency
    plan = plan_render(
        order.settings, keypoints, order.sources, folder / f"{name}.{suffix}",
        compare=None if order.alone else folder / f"{name}-compare.mp4", original=order.original,
    )  # fmt: skip
    with watched(pipeline, job.check):
        result = run_plan(plan, pipeline, progress, (lambda frame: None) if stream is None else stream.add)
    if stream is not None:
        stream.close()
    if order.alone:
        return result, None
    report(Working("Writing the pose images"))
    poses = folder / f"{name}-poses.zip"
    write_pose_images(poses, order, pipeline.config.pose_style, job.check)
    for manifest in sorted(folder.glob("*.json")):
        name_only(manifest)
    return result, poses


def write_pose_images(path: Path, order: Order, style: str, check: Callable[[], None]) -> None:
    """A zip of the pose images of the order's frames, ``images0001.png`` and on, as ``signgen draw`` draws them."""
    from PIL import Image

    from signgen.pose_image import draw_frame

    driving = order.clip.keypoints
    if order.settings.fill_hands:
        driving, _ = fill_missing(driving)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, index in enumerate(order.frames(), 1):
            check()
            picture = draw_frame(driving.xy[index], driving.confidence[index], driving.size, style)
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, "PNG", compress_level=4)
            archive.writestr(f"images{number:04d}.png", stream.getvalue())


def name_only(manifest: Path) -> None:
    """Removes the server's folders from a manifest: its files travel together, under their names."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    for key in _PATHS:
        if isinstance(content.get(key), str):
            content[key] = Path(content[key]).name
    configuration = content.get("configuration", {})
    if "background" in configuration:
        configuration["background"] = Path(configuration["background"]).name
    write_manifest(manifest, content)
