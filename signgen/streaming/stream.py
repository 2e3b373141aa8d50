"""A render that goes on for as long as keypoints come: each frame is painted when its keypoints are there.

It is the render of a clip (`signgen.rendering`) with windows of one new frame. Where the model can (`slides`), what
the source and the last frames showed to the attention between views is kept, so that they are seen and cost nothing.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.errors import Mismatch, Missing
from signgen.keypoints import Keypoints
from signgen.keypoints.pieces import Pieces, joined
from signgen.rendering.run import compositor_of, for_model, load_model
from signgen.rendering.sample_windows import Drawn, SampledWindow, WindowSampler
from signgen.rendering.scene import build_scene
from signgen.rendering.settings import MOST_VIEWS, RenderSettings
from signgen.rendering.several import load_sources, source_or_own
from signgen.rendering.source import Source
from signgen.streaming.causal import MEASURED, Causal

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

AT_A_TIME = 2  # frames on their way: with a third no more come, and all of them later
SEEN = 8  # frames before a frame that it sees
REMEMBERED = 100_000  # delays, by which medians are told
PAUSE = 0.001  # seconds after each frame that came: a source that never waits must not keep who draws from the lock
_WITHOUT = ("window", "overlap", "frames", "rotate", "crop", "mirror", "swap_hands", "fill_gaps", "estimator",
            "estimator_weights", "format", "clip", "person", "scheduler", "background")  # fmt: skip


@dataclass(frozen=True)
class LiveFrame:
    """One frame of video.

    Attributes:
        image: uint8 (H,W,3).
        number: of the keypoints that it shows, from 0.
        delay: seconds from when these came until the picture was handed over.
        dropped: frames right before it that were left out, since the machine was slower.
    """

    image: np.ndarray
    number: int
    delay: float
    dropped: int


class Delays:
    """How late the frames of a stream were, of the newest `REMEMBERED`."""

    def __init__(self) -> None:
        self.frames = self.dropped = 0
        self._begun = self._last = 0.0
        self._delays: deque[float] = deque(maxlen=REMEMBERED)

    def add(self, frame: LiveFrame, now: float) -> None:
        """Counts a frame that was ready at ``now``, `time.monotonic`."""
        self._begun, self._last = (now if not self.frames else self._begun), now
        self.frames += 1
        self.dropped += frame.dropped if self.frames > 1 else 0  # what came before the first was not to be shown
        self._delays.append(frame.delay)

    def summary(self) -> dict[str, Any]:
        """frames, dropped, seconds from the first to the last, frames_per_second, and delay_ms: median, p95, most."""
        seconds = self._last - self._begun
        middle, late, most = np.quantile(self._delays, [0.5, 0.95, 1]) * 1000 if self._delays else (0.0, 0.0, 0.0)
        delays = {"median": round(float(middle), 1), "p95": round(float(late), 1), "most": round(float(most), 1)}
        rate = (self.frames - 1) / seconds if seconds > 0 else 0.0
        return {
            "frames": self.frames, "dropped": self.dropped, "seconds": round(seconds, 3),
            "frames_per_second": round(rate, 3), "delay_ms": delays,
        }  # fmt: skip


class Live:
    """Keypoints in, frames out; made by `live`.

    Args:
        sources: pictures of the person who is shown, the most important first.
        pipeline: from `signgen.rendering.load_model`.
        settings: see `live`.
        causal: takes the keypoints.

    Attributes:
        warnings: what the user should know; more come with the first frame.
    """

    def __init__(
        self, sources: Sequence[Source], pipeline: SignGenPipeline, settings: RenderSettings, causal: Causal
    ) -> None:
        self._sources, self._pipeline, self._settings, self._causal = sources, pipeline, settings, causal
        self.warnings = [note for source in sources for note in source.notes]
        self._painter: _Painter | None = None
        self._feeding = False  # while keypoints are taken as they come
        self._came: dict[int, float] = {}  # when keypoints came, by number
        self._next = 0  # number of the frame that would be next, were none left out
        self._changed = threading.Condition()

    def feed(self, points: Keypoints | np.ndarray | Iterable[np.ndarray]) -> Iterator[LiveFrame]:
        """Frames of video for more frames of keypoints.

        Args:
            points: one frame (133,3), several (T,133,3) or a clip: none of them is left out. Anything else that gives
                frames one by one is taken as it comes, in a thread: where the machine is slower, or who takes the
                frames is, frames are left out rather than queued, and after the last one the frames of the look-ahead
                follow. Such a feed goes on until its end, or until it is closed. A clip's frame size and rate are the
                stream's, unless the settings or frames before it say them.

        Raises:
            InputError: points of another shape, a clip of another frame size or rate, or another feed goes on.
                Whatever ``points`` raises is raised here.
        """
        self._check_alone()
        if isinstance(points, Keypoints):
            self._causal.expect(points)
        given = points.points if isinstance(points, Keypoints) else points
        if not isinstance(given, np.ndarray):
            yield from self._as_they_come(given)
            return
        for one in given[None] if given.ndim == 2 else given:
            self._add(one)
            if (drawn := self._begun(self._causal.count - 1 - self._causal.delay)) is not None:
                yield drawn.frame(drawn.sample()())

    def finish(self) -> Iterator[LiveFrame]:
        """The frames that still waited for later ones, at the end of a stream."""
        self._check_alone()
        while self._next < self._causal.count:
            if (drawn := self._begun(self._next)) is not None:
                yield drawn.frame(drawn.sample()())

    def _check_alone(self) -> None:
        if self._feeding:
            raise Mismatch("feed", "another one goes on", "take all of its frames, or close it")

    def _add(self, points: np.ndarray, stopped: threading.Event | None = None) -> bool:
        """Takes a frame of keypoints; False: its feed is closed, and it is left out."""
        now = time.monotonic()
        with self._changed:
            if stopped is not None and stopped.is_set():
                return False
            self._came[self._causal.count] = now
            self._causal.add(points)
            self._changed.notify_all()
        return True

    def _as_they_come(self, points: Iterable[np.ndarray]) -> Iterator[LiveFrame]:
        """One thread reads keypoints; one draws what the newest show, one samples what was drawn, and one paints what
        was sampled. Two frames are on their way at a time, each in another of the three.
        """
        self._warm()
        over, stopped = threading.Event(), threading.Event()
        drawn: SimpleQueue[_OnItsWay | None] = SimpleQueue()
        sampled: SimpleQueue[tuple[_OnItsWay, Callable[[], np.ndarray]] | None] = SimpleQueue()
        made: SimpleQueue[tuple[_OnItsWay, np.ndarray] | BaseException | None] = SimpleQueue()
        error: list[BaseException] = []
        # Elsewhere they would stand in each other's way.
        apart = self._pipeline.slides and self._pipeline.device.type == "cpu"
        free = threading.Semaphore(AT_A_TIME)  # of places for frames on their way, until they are taken

        def read() -> None:
            try:
                for one in points:
                    if not self._add(one, stopped):
                        return
                    time.sleep(PAUSE)
            except BaseException as problem:
                error.append(problem)
            finally:
                over.set()
                with self._changed:
                    self._changed.notify_all()

        def draw() -> None:
            try:
                for number in self._next_ones(over, stopped, free):
                    if (one := self._begun(number)) is None:
                        free.release()
                    elif apart:
                        drawn.put(one)
                    else:
                        made.put((one, one.sample()()))
            except BaseException as problem:
                made.put(problem)
            finally:
                drawn.put(None)

        def sample() -> None:
            try:
                while (one := drawn.get()) is not None:
                    sampled.put((one, one.sample()))
            except BaseException as problem:
                made.put(problem)
            finally:
                sampled.put(None)

        def paint() -> None:
            try:
                while (one := sampled.get()) is not None:
                    made.put((one[0], one[1]()))
                made.put(error[0] if error else None)
            except BaseException as problem:
                made.put(problem)

        def stop() -> None:
            stopped.set()
            free.release()
            with self._changed:
                self._changed.notify_all()
            for thread in computing:
                thread.join()

        computing = _computing(draw, sample, paint, alone=not apart)
        self._feeding = True
        atexit.register(stop)  # a program that ends must not take the networks away from under them
        threading.Thread(target=read, name="signgen-reading", daemon=True).start()
        try:
            while (one := made.get()) is not None:
                if isinstance(one, BaseException):
                    raise one
                free.release()
                yield one[0].frame(one[1])
        finally:
            stop()
            atexit.unregister(stop)
            self._feeding = False

    def _next_ones(
        self, over: threading.Event, stopped: threading.Event, free: threading.Semaphore
    ) -> Iterator[int | None]:
        """What is to be drawn, as `_begun` takes it, as soon as there is a place for it and it has come: the newest
        frame; when all have come, those that waited for later ones."""
        while free.acquire() and not stopped.is_set():
            with self._changed:
                self._changed.wait_for(lambda: over.is_set() or stopped.is_set() or self._newest() >= self._next)
                newest = self._newest()
            if newest >= self._next and not stopped.is_set():
                yield None
            elif self._next < self._causal.count and not stopped.is_set():
                yield self._next
            else:
                return

    def _warm(self) -> None:
        """Paints the source's own pose once, for what a first frame would wait for."""
        if self._painter is None and (person := self._sources[0].keypoints) is not None:
            settings = replace(self._settings, size=None, align=False)
            _Painter(self._sources, self._pipeline, settings, person).draw(person)()()

    def _newest(self) -> int:
        return self._causal.count - 1 - self._causal.delay

    def _begun(self, number: int | None) -> _OnItsWay | None:
        """Frame ``number``, or the newest; None where nobody was seen so far, or not for long enough."""
        with self._changed:
            number = self._newest() if number is None else number  # one that was the newest before may be gone by now
            if number < self._next:
                return None
            clip = self._causal.frame(self._causal.count - 1 - number)
            came = self._came[number]
            for old in [one for one in self._came if one <= number]:
                del self._came[old]
            seen = None if self._painter is not None or clip is None else self._causal.seen()
        dropped, self._next = number - self._next, number + 1
        if clip is None:
            return None
        if self._painter is None:
            if seen is None or len(seen) < (MEASURED if self._settings.align else 1):
                return None
            self._painter = _Painter(self._sources, self._pipeline, self._settings, seen)
            self.warnings += self._painter.scene.warnings
        return _OnItsWay(number, came, dropped, self._painter.draw(clip, number))


@dataclass(frozen=True)
class _OnItsWay:
    """A frame on its way.

    Attributes:
        number, dropped: see `LiveFrame`.
        came: `time.monotonic` when its keypoints came.
        sample: samples it, once and in turn, and gives what paints it.
    """

    number: int
    came: float
    dropped: int
    sample: Callable[[], Callable[[], np.ndarray]]

    def frame(self, image: np.ndarray) -> LiveFrame:
        """The frame with its picture, when it is handed over."""
        return LiveFrame(image, self.number, time.monotonic() - self.came, self.dropped)


def _computing(*works: Callable[[], None], alone: bool) -> list[threading.Thread]:
    """Threads that do these works. Unless the first computes ``alone``, each takes its part of torch's threads, for as
    many as compute at a time: those that compute side by side lose less than those that share each sum."""
    import torch

    before, ready = torch.get_num_threads(), threading.Barrier(len(works) + 1)

    def begin(work: Callable[[], None]) -> None:
        torch.get_num_threads()  # from now on the thread has a number of its own
        torch.set_num_threads(before if alone else max(before // AT_A_TIME, 1))
        ready.wait()
        work()

    threads = [threading.Thread(target=begin, args=(work,), name="signgen-live", daemon=True) for work in works]
    for thread in threads:
        thread.start()
    ready.wait()
    torch.set_num_threads(before)  # of threads that are still to come
    return threads


class _Rendered(Pieces):
    """The frames that are or will be rendered, in the place of a long clip's: the newest are there, there is no end."""

    def __init__(self) -> None:
        self.newest: deque[Keypoints] = deque(maxlen=MOST_VIEWS)
        self._numbers: dict[int, int] = {}  # not a deque: one thread adds while another looks up
        self.count = 0

    def add(self, frame: Keypoints, number: int) -> None:
        self.newest.append(frame)
        self._numbers[self.count] = number
        self._numbers.pop(self.count - MOST_VIEWS, None)
        self.count += 1

    def number(self, index: int) -> int:
        """Of the keypoints that a frame shows: those that were left out count. It decides the frame's noise."""
        return self._numbers[index]

    def __getitem__(self, frames: slice) -> Keypoints:
        first = self.count - len(self.newest)
        return joined([self.newest[number - first] for number in range(frames.start, frames.stop)])


class _Painter:
    """The scene of a stream, and its windows of one new frame each."""

    def __init__(
        self, sources: Sequence[Source], pipeline: SignGenPipeline, settings: RenderSettings, seen: Keypoints
    ) -> None:
        source, *more = sources
        shape = pipeline.frame_size, pipeline.config.pixel_aspect
        scene = build_scene(source, seen, *shape, settings.size, settings.align, settings.fit, more)
        self._frames = _Rendered()
        self.scene = replace(scene, driving=self._frames)
        self._compositor, self._backdrop = compositor_of(source, scene, pipeline.composes)
        first, past = len(sources) if pipeline.couples_views else 1, None
        if pipeline.slides:
            from signgen.model.networks.cross_view import ViewMemory

            past = ViewMemory(first, SEEN)
        settings = for_model(replace(settings, window=first + 1, overlap=0), pipeline, first)
        sampler = WindowSampler(pipeline, self.scene, range(sys.maxsize), settings, past, number=self._frames.number)
        self._drawings, self._waiting = sampler.drawings(), deque[Drawn]()
        # A generator expression would hold this painter, and with it `fixed_device`, until garbage is collected.
        self._windows = sampler.sampled(iter(self._waiting.popleft, None))

    def draw(self, clip: Keypoints, number: int = 0) -> Callable[[], Callable[[], np.ndarray]]:
        """Draws what the model is shown of one frame of keypoints, and returns what samples it, in turn. That gives
        what paints its picture, uint8 (H,W,3). The three may go on side by side, each with another frame."""
        assert self.scene.onto_canvas is not None
        pose = self.scene.onto_canvas(clip)
        self._frames.add(pose, number)
        drawn = next(self._drawings)

        def sample() -> Callable[[], np.ndarray]:
            self._waiting.append(drawn)
            return partial(self._paint, next(self._windows), pose)

        return sample

    def _paint(self, window: SampledWindow, pose: Keypoints) -> np.ndarray:
        return self._compositor.compose(window.rendered().frames[0], None if self._backdrop is None else pose)


def live(
    source: Source | str | Path | Sequence[Source | str | Path] | None = None,
    model: SignGenPipeline | str | Path = "mini",
    *,
    delay: int = 0,
    smooth: bool = True,
    source_keypoints: str | Path | Sequence[str | Path] | None = None,
    **options: Any,
) -> Live:
    """A render of keypoints that come frame after frame.

    Args:
        source: who is shown: an image, a video (its first frame), a built-in signer's name; None: whom the model has
            learned, or else the default. Several pictures of one person: a list of them.
        model: ``"mini"``, a folder in diffusers' layout, or a loaded pipeline.
        delay: frames that a frame may wait for, so that what is lost for a moment goes on to where it is seen again.
        smooth: whether keypoints are smoothed by speed, see `signgen.keypoints.filters.OneEuro`.
        source_keypoints: file that says where the person stands in ``source``, or one for each.
        **options: fields of `RenderSettings`: ``frame_size``, ``size``, ``fit``, ``fps``, ``align``, ``steps``,
            ``guidance``, ``seed``, ``fill_hands``, ``device``, ``dtype``, ``backend`` and the like.

    Raises:
        InputError: bad source, model or options.

    Example:
        >>> import signgen
        >>> points = signgen.read_keypoints("clip.pose").keypoints.points  # (4, 133, 3)
        >>> for frame in signgen.live("bela", frame_size=(210, 260)).feed(points):
        ...     print(frame.number, frame.image.shape)
        0 (260, 210, 3)
        1 (260, 210, 3)
        2 (260, 210, 3)
        3 (260, 210, 3)
    """
    given = [name for name in _WITHOUT if name in options]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise Mismatch(option, "is given for a live render", "it is for signgen render; leave it out")
    settings = RenderSettings(**options)
    folder = model if isinstance(model, (str, Path)) else model.folder
    source, source_keypoints = source_or_own(source, source_keypoints, folder)
    causal = Causal(settings.fps, settings.frame_size, delay, smooth, settings.fill_hands)
    sources = load_sources(source, source_keypoints, rotate=settings.source_rotate, estimate=True)
    if settings.align and sources[0].keypoints is None:
        raise Missing("--align", f"it is not known where {sources[0].name} shows the person", "add --source-keypoints")
    return Live(sources, load_model(model, settings), settings, causal)
