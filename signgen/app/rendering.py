"""The page's first job: a clip and a signer in, a watched render and its files out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.app.context import Limits
from signgen.app.feed import Feed, Preview, watched
from signgen.app.job import Tell, Ticket, Working
from signgen.app.model import Model
from signgen.app.opening import Clip
from signgen.keypoints.repair.missing import fill_missing

if TYPE_CHECKING:
    import numpy as np

    from signgen.rendering import RenderResult, RenderSettings
    from signgen.rendering.source import Source

_PATHS = ("output", "manifest", "compare")  # of a result and its manifest


@dataclass(frozen=True)
class Order:
    """What a user wants rendered.

    Attributes:
        clip: what is signed.
        source: who signs.
        settings: how; its ``frames`` are the part of the clip.
        folder: where the files go.
        original: the true video, or None.
    """

    clip: Clip
    source: Source
    settings: RenderSettings
    folder: Path
    original: Path | None = None

    def frames(self) -> range:
        """The frames asked for; `InputError` where the clip has them not."""
        from signgen.rendering.driving import frame_range

        return frame_range(self.clip.keypoints, self.settings.frames)


@dataclass(frozen=True)
class Rendered:
    """Files of a finished render.

    Attributes:
        video, compare, manifest, poses: in the order's folder; ``poses`` is a zip of PNG files.
        result: figures of the render.
    """

    video: Path
    compare: Path
    manifest: Path
    poses: Path
    result: RenderResult


def render_job(order: Order, model: Model, feed: Feed, limits: Limits) -> Callable[[Ticket, Tell], Rendered]:
    """The work of a render, for `signgen.app.job.follow`; its frames go to ``feed`` as they are painted.

    Raises:
        InputError: at once, for too many frames or an original that does not fit.
    """
    frames = order.frames()
    limits.check_frames(order.clip.name, len(frames))
    if order.original is not None:
        limits.check_video(order.original, order.original.name)

    def work(ticket: Ticket, tell: Tell) -> Rendered:
        try:
            return _render(order, model, feed, ticket, tell)
        finally:
            feed.close()

    return work


def _render(order: Order, model: Model, feed: Feed, ticket: Ticket, tell: Tell) -> Rendered:
    from signgen.rendering import plan_render, run_plan

    if not model.ready:
        tell(Working("The model is being loaded"))
    pipeline = model.get(ticket.check)
    folder, name = order.folder, order.clip.name

    def progress(done: int, total: int) -> None:
        ticket.check()
        tell(Working("Rendering", done, total))

    preview = Preview(order.clip.keypoints, order.source, order.settings, pipeline)

    def show(frames: np.ndarray) -> None:
        feed.add(preview.frames(frames))

    with watched(pipeline, show, ticket.check):
        plan = plan_render(
            order.settings,
            order.clip.keypoints,
            order.source,
            folder / f"{name}.mp4",
            compare=folder / f"{name}-compare.mp4",
            original=order.original,
        )
        result = run_plan(plan, pipeline, progress)
    feed.close()
    tell(Working("Writing the pose images"))
    poses = folder / f"{name}-poses.zip"
    write_pose_images(poses, order, pipeline.config.pose_style, ticket.check)
    assert result.compare is not None, "it was asked for"
    for manifest in sorted(folder.glob("*.json")):
        name_only(manifest)
    return Rendered(result.output, result.compare, result.manifest, poses, result)


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
    """Takes the server's folders out of a manifest: its files travel together, under their names."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    for key in _PATHS:
        if isinstance(content.get(key), str):
            content[key] = Path(content[key]).name
    manifest.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
