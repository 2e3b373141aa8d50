"""What a model paints of a data set's clips before its composer and refiners: what these learn to mend.

Each clip is rendered as `signgen render` does it, from a frame of its own and with keypoints that are disturbed as
estimators' are. The frames lie beside the frame cache, a file a clip, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.dataset.cache import FrameCache
from signgen.dataset.disturbance import Disturbance, disturb
from signgen.dataset.files import damaged, read_json
from signgen.dataset.prepared import open_frames
from signgen.errors import Mismatch
from signgen.files import place_file, whole
from signgen.keypoints import Keypoints
from signgen.model.networks.weight_files import add_weights
from signgen.processes import in_processes
from signgen.rendering.driving import read_driving
from signgen.rendering.sample_windows import backdrop_of, draw_canvas, render_windows
from signgen.rendering.scene import build_scene
from signgen.rendering.settings import RenderSettings
from signgen.rendering.source import Source

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

RECORD = "coarse.json"
SAMPLING = ("steps", "guidance", "guidance_rule", "window", "overlap")  # settings of a pipeline that decide frames
OWN_FIRST = 0.5  # share of the clips that are painted from their first frame; the others from any
FPS = 25.0


@dataclass(frozen=True)
class CoarseClip:
    """One clip as the model paints it.

    Attributes:
        frames: uint8 (T, H, W, 3).
        driving: float32 (T, 133, 3), x, y and confidence of the keypoints on the canvas, as the model saw them.
        source: which frame of the cache the person was taken from.
    """

    frames: np.ndarray
    driving: np.ndarray
    source: int


def read_coarse(folder: Path, number: int) -> CoarseClip:
    """Clip ``number`` of the cache.

    Raises:
        InputError: the file is damaged.
    """
    path = clip_path(folder, number)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return CoarseClip(archive["frames"], archive["driving"], int(archive["source"]))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise damaged(path, error, "delete it: the next training renders the clip again") from error


def clip_path(folder: Path, number: int) -> Path:
    """Where clip ``number`` of the cache lies, rendered."""
    return folder / f"{number:06d}.npz"


def render_coarse(
    cache: FrameCache,
    cache_folder: Path,
    model: str | Path,
    seed: int,
    disturbance: Disturbance,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> Path:
    """Renders the clips that are not there yet and returns the folder of all.

    Args:
        cache, cache_folder: the data set; the folder of the result lies in ``cache_folder``.
        model: what paints; only its parts before the refiners.
        seed: with a clip's number it decides the clip's source frame and disturbance.
        disturbance: of the keypoints, see `Disturbance.share` for clips that stay as they are.
        jobs: processes. advance: called with the number of clips that were there or are done.

    Raises:
        Mismatch: the folder was made with another disturbance, of other clips, or with other settings of the model.
    """
    pipeline = _pipeline(str(model))
    folder = cache_folder / f"coarse-{_weights(pipeline)}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    _check_record(
        folder / RECORD,
        {"seed": seed, "disturbance": asdict(disturbance), "clips": _clips(cache), "sampling": _sampling(pipeline)},
    )
    work = partial(_render, cache_folder, folder, str(model), seed, disturbance)
    make_missing(work, range(len(cache.clips)), partial(clip_path, folder), jobs, advance)
    return folder


def compose_coarse(
    cache: FrameCache,
    cache_folder: Path,
    coarse: Path,
    model: str | Path,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> Path:
    """Composes the clips of `render_coarse`, for refiners of a model that composes; returns the folder.

    Args:
        cache, cache_folder: the data set. coarse: from `render_coarse`.
        model: whose matte and composer it is.
        jobs: processes. advance: called with the number of clips that were there or are done.
    """
    pipeline = _composing(str(model))
    folder = cache_folder / f"{coarse.name}-{_digest(pipeline.matte, pipeline.composer)}"
    folder.mkdir(parents=True, exist_ok=True)
    painted = [number for number in range(len(cache.clips)) if clip_path(coarse, number).is_file()]
    work = partial(_compose, cache_folder, coarse, folder, str(model))
    make_missing(work, painted, partial(clip_path, folder), jobs, advance)
    return folder


def _compose(cache_folder: Path, coarse: Path, folder: Path, model: str, number: int) -> None:
    from signgen.model.regions import SourceRegions

    pipeline, cache, painted = _composing(model), open_frames(cache_folder), read_coarse(coarse, number)
    image = cache.frames[np.array([painted.source])][0]
    person = as_keypoints(np.array(cache.keypoints[[painted.source]]), cache.size)
    backdrop = backdrop_of(pipeline, image, person)
    sources = [SourceRegions.of(image, person.points[0], matte=backdrop.matte)]
    poses = draw_canvas(pipeline, as_keypoints(painted.driving, cache.size))
    frames, _ = pipeline.compose(painted.frames, poses, painted.driving, backdrop, sources)
    _place(clip_path(folder, number), replace(painted, frames=frames))


def _place(target: Path, clip: CoarseClip) -> None:
    with whole(target) as path, open(path, "wb") as file:
        np.savez(file, frames=clip.frames, source=clip.source, driving=clip.driving)


def make_missing(
    work: Callable[[int], None],
    clips: Sequence[int],
    place: Callable[[int], Path],
    jobs: int,
    advance: Callable[[int], None],
) -> None:
    """Does ``work`` for the clips whose file is not in its ``place`` yet, in ``jobs`` processes."""
    left = [number for number in clips if not place(number).is_file()]
    advance(len(clips) - len(left))
    for _ in in_processes(work, left, jobs, ordered=False, threads=1):
        advance(1)


def _check_record(path: Path, record: dict[str, Any]) -> None:
    """Writes what a folder is made of, or holds it against what it says; older ones do not say all."""
    if not path.is_file():
        place_file(path, json.dumps(record, indent=2).encode())
        return
    known = read_json(path, "delete the folder")
    others = [name for name, value in record.items() if known.get(name, value) != value]
    if others:
        advice = f"delete it and what else has {path.parent.name} in its name, or set another seed"
        raise Mismatch(path.parent, f"was made with other {' and '.join(others)}", advice)


def _clips(cache: FrameCache) -> str:
    """Twelve hexadecimal digits that change with the clips' names, lengths and order."""
    clips = [(clip.name, clip.stop - clip.start) for clip in cache.clips]
    return hashlib.sha256(json.dumps(clips).encode()).hexdigest()[:12]


def _sampling(pipeline: SignGenPipeline) -> dict[str, Any]:
    """How a model paints besides its weights, as JSON gives it back."""
    settings = {name: pipeline.config[name] for name in SAMPLING}
    schedule = {name: value for name, value in pipeline.scheduler.config.items() if not name.startswith("_")}
    kind = type(pipeline.scheduler).__name__
    return json.loads(json.dumps(settings | {"scheduler": {"kind": kind, **schedule}}, default=str))


@lru_cache(maxsize=1)
def _pipeline(model: str) -> SignGenPipeline:
    """The model without its refiners and composer."""
    from signgen.model import SignGenPipeline

    return SignGenPipeline.from_pretrained(model, hand_refiner=None, face_refiner=None, matte=None, composer=None)


@lru_cache(maxsize=1)
def _composing(model: str) -> SignGenPipeline:
    """The model with its composer, without its refiners."""
    from signgen.model import SignGenPipeline

    return SignGenPipeline.from_pretrained(model, hand_refiner=None, face_refiner=None)


def forget_models() -> None:
    """Opens models anew where they are asked for next: other ones may lie in their place now."""
    for opened in (_pipeline, _composing):
        opened.cache_clear()


def composes(model: str | Path) -> bool:
    """Whether a model has a composer."""
    return _composing(str(model)).composes


def _weights(pipeline: SignGenPipeline) -> str:
    """Twelve hexadecimal digits that change with the weights that paint."""
    return _digest(pipeline.vae, pipeline.denoiser, pipeline.fusion, pipeline.image_encoder)


def _digest(*modules: Any) -> str:
    digest = hashlib.sha256()
    for module in modules:
        if module is not None:
            add_weights(digest, module)
    return digest.hexdigest()[:12]


def _render(cache_folder: Path, folder: Path, model: str, seed: int, disturbance: Disturbance, number: int) -> None:
    """Renders one clip and puts it in its place."""
    pipeline = _pipeline(model)
    cache = open_frames(cache_folder)
    clip = cache.clips[number]
    rng = np.random.default_rng((seed, number))
    first = rng.random() < OWN_FIRST
    source = clip.start if first else int(rng.integers(clip.start, clip.stop))
    truth = np.array(cache.keypoints[clip.start : clip.stop])
    points = disturb(truth[None], rng, disturbance)[0]
    image, stance = cache.frames[np.array([source])][0], as_keypoints(truth[[source - clip.start]], cache.size)
    person = Source(image, stance, clip.name, "image")
    settings = RenderSettings(seed=int(rng.integers(2**31)))
    driving = read_driving(as_keypoints(points, cache.size), person, settings).clip
    config = pipeline.config
    scene = build_scene(person, driving, pipeline.frame_size, config.pixel_aspect, None, False)
    settings = replace(
        settings, steps=config.steps, guidance=tuple(config.guidance), window=config.window, overlap=config.overlap
    )
    frames = np.concatenate([w.frames for w in render_windows(pipeline, scene, range(len(driving)), settings)])
    _place(clip_path(folder, number), CoarseClip(frames, scene.driving[: len(driving)].points, source))


def as_keypoints(points: np.ndarray, size: tuple[int, int]) -> Keypoints:
    """(T, 133, 3) x, y, confidence in frames of ``size`` as `Keypoints`."""
    return Keypoints(points[..., :2], np.clip(points[..., 2], 0, 1), *size, FPS)
