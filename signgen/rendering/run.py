"""From a plan and a model to files in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen import quick_start
from signgen.errors import Mismatch, Unsupported
from signgen.files import Staging
from signgen.keypoints import Keypoints
from signgen.pose_image import draw_pose
from signgen.rendering.backdrop import Backdrop
from signgen.rendering.background import Cutout, opaque
from signgen.rendering.background_threads import Behind, loaded_meanwhile
from signgen.rendering.compositing import CompareSheet, Compositor, resized
from signgen.rendering.manifest import build_manifest, container_metadata, write_manifest
from signgen.rendering.plan import RenderPlan, plan_render
from signgen.rendering.sample_windows import RenderedWindow, backdrop_of, render_windows
from signgen.rendering.scene import Scene, build_scene
from signgen.rendering.settings import SCHEDULERS, Progress, RenderResult, RenderSettings, check_window
from signgen.rendering.several import consent_in, personal_record
from signgen.rendering.source import Source

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline
    from signgen.model.window import Backdrop as Found

FEW_STEPS = 4  # a model whose default is at most this predicts directly; others only get better with more steps


def render(
    keypoints: Keypoints | str | Path,
    source: Source | str | Path | Sequence[Source | str | Path] | None = None,
    model: SignGenPipeline | str | Path = "mini",
    output: str | Path | None = None,
    *,
    compare: str | Path | None = None,
    original: str | Path | None = None,
    source_keypoints: str | Path | Sequence[str | Path] | None = None,
    source_frames: int = 1,
    known: Mapping[int, Source | str | Path] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> RenderResult:
    """Renders a clip of any length to a video file or a folder of PNG frames.

    The output, the side-by-side video and the manifest appear together and whole, or not at all. Memory does not
    grow with the clip.

    Args:
        keypoints: what the person does, or the file that says it; ``-`` is standard input. A video, or a folder of
            its frames: its keypoints are extracted first.
        source: who is to be shown: an image, a video (its first frame), a built-in signer's name; None: whom the model
            has learned, or else the default signer.
            Several pictures of one person show more than one does: a list of them, the most important first.
        model: ``"mini"``, a folder in diffusers' layout, or a loaded pipeline.
        output: ``.mp4``, ``.webm`` or a folder; None: the keypoint file's stem + ``.mp4`` in the current folder, for a
            video its stem + ``_rendered.mp4``.
        compare: file for a second video, source | pose | generated (| original) side by side.
        original: the true video or its folder of frames, shown in ``compare``.
        source_keypoints: file that says where the person stands in ``source``, or one for each.
        source_frames: of a source video, how many frames are taken, those that show most; ``source_keypoints`` are then
            of all its frames.
        known: frames of the clip that are given as pictures of the output, by number: the frames between go from one to
            the next.
        progress: called with the frames rendered, see `Progress`.
        **options: the fields of `RenderSettings`.

    Raises:
        InputError: bad keypoints, source, model, output or options.
        RunError: the encoder failed.

    Example:
        >>> from signgen import render
        >>> result = render("clip.pose", source="bela", output="bela.mp4", align=True)
        >>> result.frames, result.width, result.height, result.fps
        (4, 210, 260, 25.0)
    """
    plan = plan_render(
        RenderSettings(**options), keypoints, source, output,
        compare=compare, original=original, source_keypoints=source_keypoints, source_frames=source_frames, known=known,
        model=model if isinstance(model, (str, Path)) else model.folder,
    )  # fmt: skip
    return run_plan(plan, load_model(model, plan.settings), progress)


def load_model(model: SignGenPipeline | str | Path, settings: RenderSettings) -> SignGenPipeline:
    """The model on the device, in the numbers and with the engine of the settings, ready for `run_plan`."""
    if isinstance(model, (str, Path)):
        with loaded_meanwhile(_draw_once):  # the compiled drawing takes a while to load
            return _load(model, settings)
    from signgen.model.openvino.engine import choose_engine

    choice = _engine_choice(settings)
    if choice != _engine_choice(RenderSettings()):  # it keeps the engine it has, unless another one is asked for
        model.engine = choose_engine(model, **choice)
    return model


def _load(model: str | Path, settings: RenderSettings) -> SignGenPipeline:
    if not settings.compile:
        quick_start.start(model)
    from signgen.model import SignGenPipeline
    from signgen.model.openvino.engine import choose_engine

    pipeline = SignGenPipeline.from_pretrained(model, device=settings.device, dtype=settings.dtype)
    pipeline.engine = choose_engine(pipeline, **_engine_choice(settings))
    return pipeline


def _draw_once() -> None:
    draw_pose(Keypoints(np.full((1, 133, 2), 8), np.ones((1, 133)), width=64, height=64, fps=25.0))


def _engine_choice(settings: RenderSettings) -> dict[str, Any]:
    export = None if settings.export is None else Path(settings.export)
    return {"backend": settings.backend, "export": export, "compiled": settings.compile}


def run_plan(
    plan: RenderPlan,
    pipeline: SignGenPipeline,
    progress: Progress | None = None,
    show: Callable[[np.ndarray], None] = lambda frame: None,
) -> RenderResult:
    """Renders what `plan_render` has checked. All outputs appear at once when everything is done.

    Args:
        plan: what to render.
        pipeline: from `load_model`.
        progress: called with the frames rendered, see `Progress`.
        show: called with each frame of the video, uint8 (H,W,3), in the thread that encodes them.

    Raises:
        InputError: settings that this model does not take.
        RunError: the encoder or the disk failed.
    """
    settings = for_model(plan.settings, pipeline, 1 + len(plan.more) + bool(plan.known))
    aspect = pipeline.config.pixel_aspect
    scene = build_scene(
        plan.source,
        plan.clip,
        pipeline.frame_size,
        aspect,
        settings.size,
        settings.align,
        settings.fit,
        plan.more,
        plan.known,
    )
    warnings = [
        *plan.warnings,
        *_too_many_steps(pipeline, settings),
        *_new_shutter(pipeline, settings),
        *scene.warnings,
    ]
    with Staging() as staging, scheduled(pipeline, settings.scheduler):
        evaluations = _write_videos(plan, pipeline, settings, scene, staging, warnings, progress, show)
        (width, height), count = scene.framing.output, len(plan.frames)
        seconds = time.monotonic() - plan.begun
        result = RenderResult(
            output=plan.output,
            frames=count,
            width=width,
            height=height,
            fps=plan.clip.fps,
            seconds=round(seconds, 3),
            frames_per_second=round(count / seconds, 3),
            model=pipeline.name,
            source=plan.source.name,
            sources=[plan.source.name, *(one.name for one in plan.more)],
            known={number: one.name for number, one in plan.known.items()},
            seed=settings.seed,
            shutter=settings.shutter or 0.0,
            steps=settings.steps or pipeline.config.steps,
            window=settings.window or pipeline.config.window,
            unet_evaluations_per_frame=round(evaluations / count, 4),
            warnings=warnings,
            manifest=plan.manifest,
            compare=plan.compare,
            extracted=plan.extracted,
        )
        content = build_manifest(
            result.as_dict(), pipeline.weights_sha256(), _configuration(plan, pipeline, settings, scene)
        )
        content |= consent_in(personal_record(pipeline.folder))
        for path in (plan.manifest, plan.compare_manifest):
            if path is not None:
                write_manifest(staging.place(path), content)
    return result


def _write_videos(
    plan: RenderPlan,
    pipeline: SignGenPipeline,
    settings: RenderSettings,
    scene: Scene,
    staging: Staging,
    warnings: list[str],
    progress: Progress | None,
    show: Callable[[np.ndarray], None],
) -> int:
    """Streams the windows into the encoders; returns the evaluations they took. Adds the encoder's warnings."""
    from signgen.video import VideoWriter, read_frames
    from signgen.video.writing import VIDEO_SUFFIXES

    metadata = container_metadata(pipeline.name, plan.source.name, settings.seed)
    found = cutout = None
    if not plan.background.own:
        found = _found_backdrop(pipeline, scene)
        cutout = Cutout(plan.background, scene.image, pipeline.plate_of(found), found.matte, scene.framing)
    around = None if cutout is None else cutout.surroundings
    compositor, backdrop = compositor_of(plan.source, scene, pipeline.composes, around)
    with ExitStack() as stack:

        def opened(path: Path, size: tuple[int, int], alpha: bool = False) -> VideoWriter:
            place = path if path.suffix.lower() in VIDEO_SUFFIXES else f"{path}/"  # of a folder the name may have dots
            return stack.enter_context(VideoWriter(place, size, plan.clip.fps, metadata, staging, alpha))

        writer = opened(plan.output, scene.framing.output, plan.background.transparent)
        warnings += writer.warnings
        sheet = sheet_writer = None
        if plan.compare is not None:
            frames, path = plan.frames, plan.original
            original = None if path is None else read_frames(path, frames.start, frames.stop)
            panel = compositor.compose(scene.image)
            style = pipeline.config.pose_style
            sheet = CompareSheet(panel, scene.driving, scene.framing, style, original, scene.window)
            sheet_writer = opened(plan.compare, sheet.size)

        def write(window: RenderedWindow) -> None:
            for number, (index, canvas) in enumerate(zip(window.indices, window.frames, strict=True)):
                if index in plan.known:  # as it is: the canvas shows less of it, and not as sharp
                    frame = resized(plan.known[index].image, scene.framing.output)
                else:
                    frame = compositor.compose(canvas, None if backdrop is None else scene.driving[index : index + 1])
                if cutout is not None and window.mattes is not None:
                    frame = cutout.cut(frame, window.mattes[number])
                writer.write(frame)
                frame = opaque(frame)
                show(frame)
                if sheet is not None and sheet_writer is not None:
                    sheet_writer.write(sheet.frame(index, frame))

        rendered = render_windows(pipeline, scene, plan.frames, settings, backdrop=found)
        with closing(rendered) as windows, Behind(write) as behind:
            return stream(windows, behind, len(plan.frames), progress)


def compositor_of(
    source: Source, scene: Scene, composed: bool = False, surroundings: np.ndarray | None = None
) -> tuple[Compositor, Backdrop | None]:
    """What puts a scene's frames into the output, and the backdrop that it puts behind the person, if any.

    Args:
        composed: frames have the source's backdrop already.
        surroundings: uint8 (H,W,3) of the output's size around the canvas; None: the scene's.
    """
    backdrop = None
    # Models that do not compose know the signers' backdrops alone.
    if not composed and source.kind != "signer" and scene.person is not None:
        backdrop = Backdrop(scene.image, scene.person)
    around = scene.surroundings if surroundings is None else surroundings
    return Compositor(scene.image, scene.framing, around, source.grey, backdrop), backdrop


def _found_backdrop(pipeline: SignGenPipeline, scene: Scene) -> Found:
    """What is behind the source person; `Unsupported` where the model cannot tell."""
    if not pipeline.composes:
        got = f"{pipeline.name} cannot tell a person from what is behind"
        raise Unsupported("--background", got, "leave it out, or use a model with a composer")
    return backdrop_of(pipeline, scene.image, scene.person)


@contextmanager
def scheduled(pipeline: SignGenPipeline, name: str | None) -> Iterator[None]:
    """While it lasts, the pipeline samples by another of diffusers' schedulers, made of its own."""
    own = pipeline.scheduler
    if name is not None:
        import diffusers

        pipeline.scheduler = getattr(diffusers, SCHEDULERS[name]).from_config(own.config)
    try:
        yield
    finally:
        pipeline.scheduler = own


def stream(
    windows: Iterator[RenderedWindow], write: Callable[[RenderedWindow], None], total: int, progress: Progress | None
) -> int:
    """Hands windows to ``write`` as they come, and returns the evaluations they took."""
    done = evaluations = 0
    if progress is not None:
        progress(0, total)
    for window in windows:
        write(window)
        done += len(window.indices)
        evaluations += window.evaluations
        if progress is not None:
            progress(done, total)
    return evaluations


def for_model(settings: RenderSettings, pipeline: SignGenPipeline, sources: int = 1) -> RenderSettings:
    """The settings with the model's own steps, guidance, window and overlap where none were given."""
    config = pipeline.config
    window = config.window if settings.window is None else settings.window
    overlap = max(min(config.overlap, window - 1 - sources), 0) if settings.overlap is None else settings.overlap
    check_window(window, overlap, sources)
    if not pipeline.couples_views:
        if settings.overlap:
            raise Mismatch("--overlap", f"got {overlap}", f"views of {pipeline.name} do not see each other: give 0")
        overlap = 0
    if settings.shutter and not pipeline.refiners:
        got = f"got {settings.shutter:g}, but {pipeline.name} paints no hands again"
        raise Mismatch("--shutter", got, "leave it out, or use a model with refiners")
    guidance = settings.guidance or (float(config.guidance[0]), float(config.guidance[1]))
    return replace(
        settings,
        steps=settings.steps or config.steps,
        guidance=guidance,
        guidance_rule=settings.guidance_rule or config.guidance_rule,
        shutter=pipeline.shutter if settings.shutter is None else settings.shutter,
        window=window,
        overlap=overlap,
    )


def _new_shutter(pipeline: SignGenPipeline, settings: RenderSettings) -> list[str]:
    """A warning where refiners that know crisp hands alone are shown smeared ones."""
    if not settings.shutter or any(part.config.shutter for part in pipeline.refiners.values()):
        return []
    return [
        f"{pipeline.name} has learned from crisp hands: with --shutter {settings.shutter:g} fast ones may look worse"
    ]


def _too_many_steps(pipeline: SignGenPipeline, settings: RenderSettings) -> list[str]:
    """A warning where a few-step model is asked for more than it was made for.

    One that predicts v then adds grain that flickers; one that predicts clean latents, which do not depend on the
    noise of its input, only takes longer.
    """
    from signgen.model.diffusion.parametrisation import prediction_type

    made_for, steps = pipeline.config.steps, settings.steps
    if steps is None or steps <= made_for or made_for > FEW_STEPS:
        return []
    made = "1 step" if made_for == 1 else f"{made_for} steps"
    clean = prediction_type(pipeline.scheduler) == "sample"
    effect = "more take longer and gain nothing" if clean else "expect grain that flickers"
    return [f"{pipeline.name} is made for {made}, {steps} were asked for: {effect}"]


def _configuration(
    plan: RenderPlan, pipeline: SignGenPipeline, settings: RenderSettings, scene: Scene
) -> dict[str, Any]:
    """Everything that was decided, for the manifest."""
    framing = scene.framing
    values = {name: value for name, value in asdict(settings).items() if not name.startswith("estimator")}
    return {
        **values,
        **plan.read,
        "frame_size": list(framing.driving),
        "size": list(framing.output),
        "fps": plan.clip.fps,
        "frames": [plan.frames.start, plan.frames.stop],
        "device": str(pipeline.device),
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "background": str(settings.background),
        "export": None if settings.export is None else str(settings.export),
        "engine": pipeline.engine.name,
        "canvas": list(framing.canvas),
        "canvas_in_output": [framing.x, framing.y, framing.width, framing.height],
    }
