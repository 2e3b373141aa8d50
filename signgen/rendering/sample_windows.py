"""A clip of any length in windows of V views, each with known views and noise by frame.

The first views of every window are the sources (known). The next K views are the last K frames already rendered
(known), so that motion carries over; the others are new, but for frames that the user gives. The first window has no
frames behind it; it is kept short, so that the first frames are there soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from signgen.keypoints.repair.missing import with_elbows
from signgen.keypoints.skeleton import LOWER_BODY
from signgen.rendering.backdrop import silhouette
from signgen.rendering.background_threads import ahead
from signgen.rendering.scene import Scene
from signgen.rendering.settings import RenderSettings, check_window

if TYPE_CHECKING:
    from torch import Tensor

    from signgen.keypoints import Keypoints
    from signgen.model import SignGenPipeline
    from signgen.model.networks.cross_view import ViewMemory
    from signgen.model.regions import SourceRegions
    from signgen.model.window import Backdrop, WindowOutput
    from signgen.pose_image.solid import SolidHands


FIRST_VIEWS = 8  # of a clip's first window, at most
BLOCK = 256  # frames whose hands are fitted at once, where they are not rendered


@dataclass(frozen=True)
class Window:
    """Frames of one window, as indices into the clip.

    Attributes:
        known: frames already rendered, oldest first.
        new: frames to be rendered, and those of them that are given.
        ahead: the next given frame behind them, if there is one: the window goes towards it.
        sources: S, its first views.
    """

    known: range
    new: range
    ahead: tuple[int, ...] = ()
    sources: int = 1

    @property
    def views(self) -> int:
        """V: the sources, the known frames and the new ones."""
        return self.sources + len(self.known) + len(self.new) + len(self.ahead)


def plan_windows(
    frames: int, views: int, overlap: int, sources: int = 1, given: Sequence[int] = ()
) -> Iterator[Window]:
    """The windows of a clip of ``frames`` frames, in the order in which they are rendered.

    Where a window ends depends on ``views``, ``overlap``, ``sources`` and whether any frame is given, never on how long
    the clip is: a longer clip begins with the same whole windows as a shorter one, whose last one may be cut short.

    Args:
        frames: T, frames of the clip.
        views: V, at least 2.
        overlap: K, from 0 to V - 2.
        sources: S.
        given: frames that are not to be rendered, but are there.
    """
    place = 1 if given else 0
    check_window(views, overlap, sources + place)
    done = 0
    while done < frames:
        known = range(done - min(overlap, done), done)
        most = views if done else min(views, max(FIRST_VIEWS, sources + place + 1))
        new = range(done, min(frames, done + most - sources - place - len(known)))
        behind = [frame for frame in given if frame >= new.stop]
        yield Window(known, new, (min(behind),) if behind else (), sources)
        done = new.stop


@dataclass(frozen=True)
class RenderedWindow:
    """New frames of one window.

    Attributes:
        indices: which frames of the clip they are.
        frames: uint8 (N,H,W,3) of the canvas's size.
        evaluations: denoiser evaluations of one view each that the window took.
        mattes: uint8 (N,H,W), how far their pixels are the person; None: the model cannot tell.
    """

    indices: range
    frames: np.ndarray
    evaluations: int
    mattes: np.ndarray | None = None


class Seen(NamedTuple):
    """What is known of N new frames beside their latents: what the model saw of them, their keypoints (N,133,3), the
    hands fitted to these, fast ones smeared, and what the sources show."""

    poses: np.ndarray
    points: np.ndarray
    solid: np.ndarray | None
    shown: Shown | None


@dataclass(frozen=True)
class SampledWindow:
    """New frames of one window as latents.

    Attributes:
        pipeline: the model.
        indices: which frames of the clip they are.
        output: of the pipeline, for those that are not given; None: all are.
        seen: of these frames.
        places: of these frames in the window.
        given: by place, frames that are given, uint8 (H,W,3), and how far they are the person, (H,W).
        backdrop: where the model composes.
    """

    pipeline: SignGenPipeline
    indices: range
    output: WindowOutput | None
    seen: Seen
    places: list[int]
    given: dict[int, tuple[np.ndarray, np.ndarray | None]]
    backdrop: Backdrop | None

    def rendered(self) -> RenderedWindow:
        """The window's frames: decoded, composed, hands and faces refined."""
        width, height = self.pipeline.frame_size
        painted = np.empty((len(self.indices), height, width, 3), np.uint8)
        mattes = None if self.backdrop is None else np.empty(painted.shape[:3], np.uint8)
        if self.output is not None:
            (poses, points, solid, shown), found = self.seen, None
            sources = [] if shown is None else shown.sources
            made = self.pipeline.decode(self.output.latents)
            if self.backdrop is not None and mattes is not None:
                made, found = self.pipeline.compose(made, poses, points, self.backdrop, sources)
                mattes[self.places] = found
            if shown is not None and solid is not None:
                made = self.pipeline.refine(made, poses, points, solid, sources, found)
            painted[self.places] = made
        for place, (image, cut_out) in self.given.items():
            painted[place] = image
            if mattes is not None:
                mattes[place] = cut_out
        return RenderedWindow(self.indices, painted, 0 if self.output is None else self.output.evaluations, mattes)


def render_windows(
    pipeline: SignGenPipeline, scene: Scene, frames: range, settings: RenderSettings, backdrop: Backdrop | None = None
) -> Generator[RenderedWindow, None, None]:
    """Renders window after window; nothing but the last K latents is kept from one to the next.

    The next window's poses are drawn meanwhile.

    Args:
        pipeline: the model.
        scene: source and driving keypoints on the canvas.
        frames: which frames of the clip to render; noise is seeded with these indices.
        settings: how; None means the model's own, for the overlap none.
        backdrop: from `backdrop_of`, where it is known already.
    """
    sampler = WindowSampler(pipeline, scene, frames, settings, backdrop=backdrop)
    for window in sampler.sampled(ahead(sampler.drawings())):
        yield window.rendered()


class WindowSampler:
    """The windows of a render up to their latents, in two steps that may run side by side: to draw what the model is
    shown, and to sample. What is made of the latents, `SampledWindow.rendered`, holds up neither. It goes through the
    frames once: hands are followed from the first one on.

    Args:
        pipeline, scene, frames, settings, backdrop: see `render_windows`.
        past: for windows that slide, see `SignGenPipeline.__call__`: the source is then a view of the first one only.
        number: by which number the noise of a frame is drawn, where the clip lacks some of its frames.
    """

    def __init__(
        self,
        pipeline: SignGenPipeline,
        scene: Scene,
        frames: range,
        settings: RenderSettings,
        past: ViewMemory | None = None,
        backdrop: Backdrop | None = None,
        number: Callable[[int], int] = int,
    ) -> None:
        self._pipeline, self._scene, self._frames, self._settings, self._past = pipeline, scene, frames, settings, past
        self._number = number
        parts = [(scene.image, scene.person), *scene.more]
        own = np.concatenate(
            [pipeline.no_poses(1)[..., :3] if person is None else draw_canvas(pipeline, person) for _, person in parts]
        )
        self._source = pipeline.encode_source(np.stack([image for image, _ in parts]), own)
        self._overlap, self._source_views = settings.overlap or 0, len(parts) if pipeline.couples_views else 1
        looks = pipeline.refiners or pipeline.guided or pipeline.composes
        shutter = pipeline.shutter if settings.shutter is None else settings.shutter
        if backdrop is None and pipeline.composes:
            backdrop = backdrop_of(pipeline, scene.image, scene.person)
        self._backdrop = backdrop
        matte = None if backdrop is None or not pipeline.composer.config.arms else backdrop.matte
        self._shown = Shown(pipeline, scene, self._overlap, shutter, matte) if looks else None
        self._given = {index - frames.start: image for index, image in scene.given.items() if index in frames}
        self._fixed = {index: pipeline.encode_frame(image) for index, image in self._given.items()}
        self._cut_out = {
            index: pipeline.encode_backdrop(image).matte for index, image in self._given.items() if backdrop is not None
        }

    def drawings(self) -> Iterator[Drawn]:
        """What the model is shown of one window after the other, drawn when it is asked for."""
        views = self._settings.window or self._pipeline.config.window
        windows = plan_windows(len(self._frames), views, self._overlap, self._source_views, sorted(self._given))
        return map(self._draw, windows)

    def _draw(self, window: Window) -> Drawn:
        frames, shown, scene = self._frames, self._shown, self._scene
        first = frames[window.known.start] if window.known else frames[window.new.start]
        driving = scene.driving[first : frames[window.new.stop - 1] + 1]
        crisp, solid = (None, None) if shown is None else shown.hands(first, len(driving))
        poses = [self._poses(driving, crisp)]
        for index in window.ahead:  # its hands are not fitted yet: the tracks have not come so far
            poses.append(self._poses(scene.driving[frames[index] : frames[index] + 1], None))
        return Drawn(window, np.concatenate(poses), driving.points, solid)

    def _poses(self, driving: Keypoints, solid: np.ndarray | None) -> np.ndarray:
        """Pose images of some frames, with guides behind where the model reads them."""
        poses = draw_canvas(self._pipeline, driving)
        if self._shown is None:
            return poses
        return self._pipeline.with_guides(poses, driving.points, solid, self._shown.sources)

    def sampled(self, drawn: Iterable[Drawn]) -> Generator[SampledWindow, None, None]:
        """The windows, of what `drawings` gave."""
        kept: deque[Tensor] = deque(maxlen=max(self._overlap, 1))
        with self._pipeline.fixed_device():
            for one in drawn:
                yield self._sample(one, kept)

    def _sample(self, drawn: Drawn, kept: deque[Tensor]) -> SampledWindow:
        window, poses, points, solid = drawn
        frames, settings, fixed = self._frames, self._settings, self._fixed
        row = {index: at for at, index in enumerate((*window.known, *window.new, *window.ahead))}
        before = list(kept)[len(kept) - len(window.known) :] if window.known else []
        there = [index for index in window.new if index in fixed]
        new = [index for index in window.new if index not in fixed]
        known = [*window.known, *there, *window.ahead]
        latents = dict(zip(window.known, before, strict=True)) | {
            index: fixed[index] for index in known if index in fixed
        }
        output = None
        if new:
            output = self._pipeline(
                self._source,
                poses[[row[index] for index in (*known, *new)]],
                frame_indices=[self._number(frames[index]) for index in new],
                known_latents=[latents[index] for index in known],
                known_indices=[self._number(frames[index]) for index in known],
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                guidance_rule=settings.guidance_rule,
                seed=settings.seed,
                past=self._past,
                decode=False,
            )
            latents |= dict(zip(new, output.latents, strict=True))
        kept.extend(latents[index] for index in window.new)
        at, start = [row[index] for index in new], window.new.start
        seen = Seen(poses[at], points[at], None if solid is None else solid[at], self._shown)
        given = {index - start: (self._given[index], self._cut_out.get(index)) for index in there}
        places = [index - start for index in new]
        return SampledWindow(
            self._pipeline, frames[start : window.new.stop], output, seen, places, given, self._backdrop
        )


def backdrop_of(pipeline: SignGenPipeline, image: np.ndarray, person: Keypoints | None) -> Backdrop:
    """What is behind the person in a picture, for a pipeline that composes.

    Args:
        image: uint8 (H,W,3), of the pipeline's frame size. person: where they stand in it, one frame; None: not known.
    """
    if person is None:
        return pipeline.encode_backdrop(image)
    person = with_elbows(person)  # the arm beyond a lost one would stay in the backdrop
    shape = silhouette(person.xy[0], person.confidence[0], pipeline.frame_size)
    around = None if shape is None else shape.around
    return pipeline.encode_backdrop(image, draw_canvas(pipeline, person)[0], person.points[0], around)


class Drawn(NamedTuple):
    """A window, what the model sees of its known, new and later frames, and of the known and the new ones the keypoints
    (N,133,3) and the hands fitted to them, fast ones smeared."""

    window: Window
    poses: np.ndarray
    points: np.ndarray
    solid: np.ndarray | None


class Shown:
    """What a model may be shown beside the skeleton: the source's parts, and the hands fitted frame after frame, from
    the clip's first on, so that a part of a clip comes out as in the whole.

    Args:
        matte: uint8 (H,W), how far the first source's picture is the person, where that can be told.

    Attributes:
        sources: of the source pictures, those of which it is known where the person stands.
    """

    def __init__(
        self, pipeline: SignGenPipeline, scene: Scene, overlap: int, shutter: float, matte: np.ndarray | None = None
    ) -> None:
        from signgen.model.regions import SourceRegions
        from signgen.pose_image.solid import HandFitter

        self.sources: list[SourceRegions] = []
        for number, (image, person) in enumerate([(scene.image, scene.person), *scene.more]):
            if person is not None:
                if number and matte is not None:
                    matte = backdrop_of(pipeline, image, person).matte
                self.sources.append(SourceRegions.of(image, person.points[0], pipeline.device, matte))
        self._size = pipeline.frame_size
        self._fitter = HandFitter(self._size, pipeline.config.pixel_aspect)
        self._driving, self._done, self._shutter = scene.driving, 0, shutter
        self._last: deque[np.ndarray] = deque(maxlen=overlap)

    def hands(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (N, H, W, 6) of ``count`` frames from ``first`` on, of which those that were asked for before come
        first, as many as windows overlap; and the same with fast hands of the others smeared, for the refiners."""
        known = list(self._last)[len(self._last) - (self._done - first) :] if first < self._done else []
        while self._done < first:  # block after block, so that memory does not grow with the clip
            self._fit(min(self._done + BLOCK, first))
        hands = self._fit(first + count)
        new = hands.pictures(self._size)
        self._last.extend(new)
        smeared = hands.smeared(new, self._shutter)
        if not known:
            return new, smeared
        crisp = np.concatenate([np.stack(known), new])
        return crisp, crisp if smeared is new else np.concatenate([np.stack(known), smeared])

    def _fit(self, stop: int) -> SolidHands:
        part = self._driving[self._done : stop]
        self._done = stop
        return self._fitter.fit(part.xy, part.confidence)


def draw_canvas(pipeline: SignGenPipeline, keypoints: Keypoints) -> np.ndarray:
    """Pose images uint8 (N,H',W',3) of keypoints in frame pixels, on the pipeline's padded canvas."""
    from signgen.pose_image import draw_pose

    left, _, top, _ = pipeline.canvas_padding
    if not pipeline.config.lower_body:
        confidence = keypoints.confidence.copy()
        confidence[:, LOWER_BODY] = 0
        keypoints = replace(keypoints, confidence=confidence)
    on_canvas = keypoints.shifted(left, top).with_size(*pipeline.canvas_size)
    return draw_pose(on_canvas, style=pipeline.config.pose_style)
