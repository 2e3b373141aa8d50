"""From the arguments of a render to files in place."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signgen import quick_start
from signgen.errors import InputError
from signgen.files import Staging
from signgen.keypoints.content import is_standard_input
from signgen.pose_image import draw_pose
from signgen.rendering.background_threads import Behind, loaded_meanwhile
from signgen.rendering.compare import CompareSheet, open_original
from signgen.rendering.compositing import Plate
from signgen.rendering.driving import frame_range, read_driving
from signgen.rendering.manifest import build_manifest, container_metadata, manifest_path, write_manifest
from signgen.rendering.sample_windows import Sampling, Sink, render_windows, stream
from signgen.rendering.scene import Scene, build_scene
from signgen.rendering.settings import Progress, RenderResult, RenderSettings
from signgen.rendering.source import Source, load_source
from signgen.rendering.windows import check_window

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints
    from signgen.model import SignGenPipeline

FEW_STEPS = 4  # a model whose default is at most this predicts directly; others only get better with more steps
VIDEO_SUFFIXES = (".mp4", ".webm")
FITTED = "the keypoints have no place in the frame: they are fitted to the source person, as --align does"


@dataclass(frozen=True)
class _Job:
    """One checked render, ready to start."""

    pipeline: SignGenPipeline
    scene: Scene
    frames: range
    fps: float
    sampling: Sampling
    source: str
    output: Path
    manifest: Path
    compare: Path | None
    compare_manifest: Path | None
    original: Path | None
    configuration: dict[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        return self.scene.framing.output


def render(
    keypoints: Keypoints | str | Path,
    source: Source | str | Path | None = None,
    model: SignGenPipeline | str | Path = "mini",
    output: str | Path | None = None,
    *,
    compare: str | Path | None = None,
    original: str | Path | None = None,
    source_keypoints: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> RenderResult:
    """Renders a clip of any length to a video file or a folder of PNG frames.

    The output, the side-by-side video and the manifest appear together and whole, or not at all. Memory does not
    grow with the clip.

    Args:
        keypoints: what the person does, or the file that says it; ``-`` is standard input.
        source: who is to be shown: an image, a video (its first frame), a built-in signer's name; None: the default.
        model: ``"mini"``, a folder in diffusers' layout, or a loaded pipeline.
        output: ``.mp4``, ``.webm`` or a folder; None: the keypoint file's stem + ``.mp4`` in the current folder.
        compare: file for a second video, source | pose | generated (| original) side by side.
        original: the true video or its folder of frames, shown in ``compare``.
        source_keypoints: file that says where the person stands in ``source``.
        progress: see `Progress`.
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
    settings = RenderSettings(**options)
    return render_with(settings, keypoints, source, model, output, compare, original, source_keypoints, progress)


def render_with(
    settings: RenderSettings,
    keypoints: Keypoints | str | Path,
    source: Source | str | Path | None = None,
    model: SignGenPipeline | str | Path = "mini",
    output: str | Path | None = None,
    compare: str | Path | None = None,
    original: str | Path | None = None,
    source_keypoints: str | Path | None = None,
    progress: Progress | None = None,
) -> RenderResult:
    """`render` with its options in one `RenderSettings`."""
    begun = time.monotonic()
    target = _output_path(keypoints, output)
    given = (keypoints, source, original, source_keypoints)
    paths = [Path(p) for p in given if isinstance(p, (str, Path)) and not is_standard_input(p)]
    sheet = None if compare is None else _video_path(Path(compare), "--compare")
    manifest = manifest_path(target, paths)
    sheet_manifest = None if sheet is None else manifest_path(sheet, [*paths, manifest])
    _check_targets([path for path in (target, manifest, sheet, sheet_manifest) if path is not None], paths)
    person = source if isinstance(source, Source) else load_source(source, source_keypoints)
    driving = read_driving(keypoints, person, settings)
    clip, warnings = driving.clip, driving.warnings
    if not driving.placed and person.keypoints is not None:
        settings = replace(settings, align=True)
        warnings.append(FITTED)
    frames = frame_range(clip, settings.frames)
    with loaded_meanwhile(partial(draw_pose, clip[:1], size=(64, 64))):  # the compiled drawing takes a while to load
        pipeline = load_model(model, settings)
    sampling = _sampling(pipeline, settings)
    scene = build_scene(person, clip, pipeline.frame_size, pipeline.config.pixel_aspect, settings.size, settings.align)
    scene.warnings[:0] = [*warnings, *_too_many_steps(pipeline, sampling)]
    configuration = _configuration(pipeline, settings, sampling, scene, frames, clip.fps)
    true_video = None if original is None else Path(original)
    job = _Job(
        pipeline, scene, frames, clip.fps, sampling, person.name, target, manifest, sheet, sheet_manifest, true_video,
        configuration,
    )  # fmt: skip
    return _run(job, begun, progress)


def _run(job: _Job, begun: float, progress: Progress | None) -> RenderResult:
    """Renders into hidden files, writes the manifest and lets everything appear at once."""
    with Staging() as staging:
        temporary = staging.place(job.output)
        sheet = None if job.compare is None else staging.place(job.compare)
        manifest = staging.place(job.manifest)
        sheet_manifest = None if job.compare_manifest is None else staging.place(job.compare_manifest)
        evaluations = _write_videos(job, temporary, sheet, progress)  # adds the encoder's warnings to the scene's
        result = _result(job, evaluations, time.monotonic() - begun)
        digest = job.pipeline.weights_sha256()
        content = build_manifest(result.as_dict(), digest, job.configuration)
        write_manifest(manifest, content)
        if sheet_manifest is not None:
            write_manifest(sheet_manifest, content)
    return result


def _write_videos(job: _Job, temporary: Path, sheet_path: Path | None, progress: Progress | None) -> int:
    """Streams the windows into the encoders; returns the evaluations they took."""
    from signgen.video import VideoWriter

    words = container_metadata(job.pipeline.name, job.source, job.sampling.seed)
    scene = job.scene
    plate = Plate(scene.image, scene.framing, scene.surroundings)
    with ExitStack() as stack:
        writer = stack.enter_context(VideoWriter(temporary, job.size, job.fps, words))
        sheet = sheet_writer = None
        if sheet_path is not None:
            sheet = _compare_sheet(job, plate)
            sheet_writer = stack.enter_context(VideoWriter(sheet_path, sheet.size, job.fps, words))
        scene.warnings.extend(writer.warnings)
        sink = Sink(plate, writer, sheet, sheet_writer)
        with (
            closing(render_windows(job.pipeline, scene, job.frames, job.sampling)) as windows,
            Behind(sink.write) as write,
        ):
            return stream(windows, write, len(job.frames), progress)


def _compare_sheet(job: _Job, plate: Plate) -> CompareSheet:
    original = None
    if job.original is not None:
        original = open_original(job.original, job.frames.start, job.frames.stop)
    panel = plate.compose(job.scene.image)
    return CompareSheet(panel, job.scene.driving, job.scene.framing, job.pipeline.config.pose_style, original)


def _result(job: _Job, evaluations: int, seconds: float) -> RenderResult:
    count = len(job.frames)
    return RenderResult(
        output=job.output,
        frames=count,
        width=job.size[0],
        height=job.size[1],
        fps=job.fps,
        seconds=round(seconds, 3),
        frames_per_second=round(count / seconds, 3),
        model=job.pipeline.name,
        source=job.source,
        seed=job.sampling.seed,
        steps=job.sampling.steps,
        window=job.sampling.window,
        unet_evaluations_per_frame=round(evaluations / count, 4),
        warnings=list(job.scene.warnings),
        manifest=job.manifest,
        compare=job.compare,
    )


def load_model(model: SignGenPipeline | str | Path, settings: RenderSettings) -> SignGenPipeline:
    """The model on the device, in the numbers and with the engine of the settings, ready for `render_with`."""
    if isinstance(model, (str, Path)) and not settings.compile:
        quick_start.start(model)
    from signgen.model import SignGenPipeline
    from signgen.model.openvino.choice import choose_engine

    choice = {"backend": settings.backend, "export": _folder(settings.export), "compiled": settings.compile}
    if isinstance(model, SignGenPipeline):  # it keeps the engine it has, unless another one is asked for
        if choice != {"backend": "auto", "export": None, "compiled": False}:
            model.engine = choose_engine(model, **choice)
        return model
    pipeline = SignGenPipeline.from_pretrained(model, device=settings.device, dtype=settings.dtype)
    pipeline.engine = choose_engine(pipeline, **choice)
    return pipeline


def _folder(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _sampling(pipeline: SignGenPipeline, settings: RenderSettings) -> Sampling:
    """The settings of sampling, with the model's own where none were given."""
    config = pipeline.config
    window = config.window if settings.window is None else settings.window
    overlap = max(min(config.overlap, window - 2), 0) if settings.overlap is None else settings.overlap
    check_window(window, overlap)
    if not pipeline.couples_views:
        if settings.overlap:
            raise InputError("--overlap", f"got {overlap}", f"views of {pipeline.name} do not see each other: give 0")
        overlap = 0
    guidance = settings.guidance or (float(config.guidance[0]), float(config.guidance[1]))
    return Sampling(settings.steps or config.steps, guidance, window, overlap, settings.seed)


def _too_many_steps(pipeline: SignGenPipeline, sampling: Sampling) -> list[str]:
    """A warning where a few-step model is asked for more than it was made for.

    One of v then adds grain that flickers; one of clean latents, which does not stand on its input's noise, only takes
    its time.
    """
    from signgen.model.diffusion.parametrisation import prediction_type

    made_for = pipeline.config.steps
    if sampling.steps <= made_for or made_for > FEW_STEPS:
        return []
    steps = "1 step" if made_for == 1 else f"{made_for} steps"
    clean = prediction_type(pipeline.scheduler) == "sample"
    effect = "more take their time and gain nothing" if clean else "expect grain that flickers"
    return [f"{pipeline.name} is made for {steps}, {sampling.steps} were asked for: {effect}"]


def _configuration(
    pipeline: SignGenPipeline, settings: RenderSettings, sampling: Sampling, scene: Scene, frames: range, fps: float
) -> dict[str, Any]:
    """Everything that was decided, for the manifest."""
    framing = scene.framing
    resolved = settings.resolved(
        frame_size=list(framing.driving),
        size=list(framing.output),
        fps=fps,
        frames=[frames.start, frames.stop],
        steps=sampling.steps,
        guidance=list(sampling.guidance),
        window=sampling.window,
        overlap=sampling.overlap,
        device=str(pipeline.device),
        dtype=str(pipeline.dtype).removeprefix("torch."),
        engine=pipeline.engine.name,
    )
    rectangle = [framing.x, framing.y, framing.width, framing.height]
    return {**resolved, "canvas": list(framing.canvas), "canvas_in_output": rectangle}


def _output_path(keypoints: Keypoints | str | Path, output: str | Path | None) -> Path:
    """The output's path: given, or the keypoints' stem + .mp4 in the current folder."""
    if output is None:
        if is_standard_input(keypoints):
            raise InputError("--output", "got none for keypoints from standard input", "add -o OUT.mp4")
        name = Path(keypoints).stem if isinstance(keypoints, (str, Path)) else keypoints.name
        return Path(f"{Path(name).name or 'signgen'}.mp4")
    from signgen.video.writing import is_folder

    if Path(output).name in ("", ".."):
        raise InputError("--output", f"got {str(output)!r}", "give the name of a video file or of a folder of its own")
    return Path(output) if is_folder(output) else _video_path(Path(output), "--output")


def _video_path(path: Path, option: str) -> Path:
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(option, f"got {path}", "give a file that ends in .mp4 or .webm, or (--output) a folder")
    return path


def _check_targets(targets: list[Path], inputs: list[Path]) -> None:
    """Nothing may overwrite what is being read, nor another output; everything must be writable."""
    from signgen.video import check_writable

    places = [_place(target) for target in targets]
    taken = {_place(path) for path in inputs}
    for target, place in zip(targets, places, strict=True):
        if places.count(place) > 1 or place in taken:
            raise InputError(target, "is an input or another output of this render", "write elsewhere")
        check_writable(target)


def _place(path: Path) -> Path:
    """Where the name lies: other ways to write its folder make no difference, a link in its last part stays one."""
    return path.absolute().parent.resolve() / path.name
