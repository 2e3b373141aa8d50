"""What a render is asked to do, and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from signgen.errors import BadValue
from signgen.keypoints.orientation import View
from signgen.keypoints.people import check_person
from signgen.pose_image.shapes import FITS

MOST_VIEWS = 64  # of a window
GUIDANCE_RULES = ("fpdm", "imagpose")  # of `signgen.model.diffusion.guidance`, which needs torch
SCHEDULERS = {  # by short names, those of diffusers that work for all parametrisations and draw no noise of their own
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "deis": "DEISMultistepScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "unipc": "UniPCMultistepScheduler",
}

Progress = Callable[[int, int], None]
"""Called as ``progress(frames done, frames in all)`` after every window or batch, and once with 0 before the first."""


@dataclass(frozen=True)
class RenderSettings:
    """The options of a render; None: the model's or the input's own.

    Attributes:
        frame_size: (W,H) of the frames the keypoints are given in; wins over what the file says.
        size: (W,H) of the output.
        fit: where ``size`` has another shape than the frame, ``keep`` adds backdrop or cuts empty margin, and
            ``stretch`` squeezes the picture.
        fps: frames per second; wins over what the file says.
        format: read the keypoints as this format; None: found from the content.
        clip: which clip of a file that holds several.
        person: which of several people, see `signgen.read_keypoints`.
        rotate, mirror, swap_hands, crop: how the driving picture is turned and cut, see `View`.
        source_rotate: the source's picture and keypoints are turned clockwise by 0, 90, 180 or 270 degrees.
        frames: which frames of the clip to render.
        steps: sampling steps.
        guidance: w1 and w2 of FPDM's eq. 12.
        guidance_rule: ``fpdm``, or ``imagpose``: poses stay in all branches.
        scheduler: one of `SCHEDULERS`, made of the model's own, which it replaces.
        window: V, views of one window, the source among them.
        overlap: K, rendered frames that the next window sees.
        background: ``source``: the source's own; ``none``: transparent, in ``.webm`` or PNG frames; ``#rrggbb``; or an
            image's path. Others than the source's need a model with a composer.
        seed: with the frame's index it decides the frame's noise.
        shutter: share of a frame's time over which fast hands are smeared, 0 (crisp) to 1; None: as the model's
            refiners learned it.
        align: fit the driving skeleton to the source person's proportions and place.
        smooth: cut-off of the smoothing of the keypoints, Hz; or ``auto``, which keeps fast hands, see
            `signgen.keypoints.filters.OneEuro`.
        fill_gaps: longest gap in a point's track to be filled, frames.
        fill_hands: complete hands, and faces, that are missing in some frames.
        device, dtype: where and in which numbers to compute, or "auto".
        backend: ``auto``, ``torch`` or ``openvino``, see `signgen.model.openvino.engine.choose_engine`.
        export: folder that ``signgen export`` wrote.
        compile: run torch's networks through torch.compile.
        estimator, estimator_weights: what finds the keypoints of footage, see `signgen.extraction.EstimatorSettings`.
    """

    frame_size: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    fit: str = "keep"
    fps: float | None = None
    format: str | None = None
    clip: str | None = None
    person: int | str | None = None
    rotate: int = 0
    mirror: bool = False
    swap_hands: bool = False
    crop: tuple[int, int, int, int] | str | None = None
    source_rotate: int = 0
    frames: slice | None = None
    steps: int | None = None
    guidance: tuple[float, float] | None = None
    guidance_rule: str | None = None
    scheduler: str | None = None
    window: int | None = None
    overlap: int | None = None
    background: str | Path = "source"
    seed: int = 0
    shutter: float | None = None
    align: bool = False
    smooth: float | str | None = None
    fill_gaps: int | None = None
    fill_hands: bool = True
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    export: str | Path | None = None
    compile: bool = False
    estimator: str | None = None
    estimator_weights: str | Path | None = None

    def __post_init__(self) -> None:
        _in_range("--steps", self.steps, 1, 1000)
        _in_range("--seed", self.seed, 0, 2**63 - 1)
        _in_range("--shutter", self.shutter, 0, 1)
        if isinstance(self.smooth, str) and self.smooth != "auto":
            raise BadValue("--smooth", f"got {self.smooth!r}", "give a cut-off in Hz, or auto")
        _in_range("--smooth", None if isinstance(self.smooth, str) else self.smooth, 0.01, 1000)
        _in_range("--fill-gaps", self.fill_gaps, 0, 10_000)
        for weight in self.guidance or ():
            _in_range("--guidance", weight, 0, 100)
        for option, size in (("--frame-size", self.frame_size), ("--size", self.size)):
            for side in size or ():
                _in_range(option, side, 16, 8192)
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise BadValue("--fps", f"got {self.fps}", "frames per second must be above 0 and at most 1000")
        _one_of("--fit", self.fit, *FITS)
        _one_of("--guidance-rule", self.guidance_rule, None, *GUIDANCE_RULES)
        _one_of("--scheduler", self.scheduler, None, *SCHEDULERS)
        if self.person is not None:
            check_person(self.person)
        View(**self.view)  # checks it
        check_window(self.window if self.window is not None else MOST_VIEWS, self.overlap or 0)

    @property
    def view(self) -> dict[str, Any]:
        """How the driving picture is turned and cut, by the names of `View`'s fields."""
        return {field.name: getattr(self, field.name) for field in fields(View)}


def _in_range(option: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise BadValue(option, f"got {value}", f"allowed are {low} to {high}")


def _one_of(option: str, value: str | None, *allowed: str | None) -> None:
    if value not in allowed:
        raise BadValue(option, f"got {value!r}", f"choose one of {', '.join(filter(None, allowed))}")


def check_window(views: int, overlap: int, sources: int = 1) -> None:
    """Raises `BadValue` unless a window can hold the sources, the overlap and one new frame."""
    if not 2 <= views <= MOST_VIEWS:
        raise BadValue("--window", f"got {views}", f"a window holds 2 to {MOST_VIEWS} views, the source among them")
    most = views - 1 - sources
    if most < 0:
        got = f"{views} views, of which {sources} are sources or given frames"
        raise BadValue("--window", got, f"it needs one more for a new frame: give {sources + 1} or more")
    if not 0 <= overlap <= most:
        raise BadValue("--overlap", f"got {overlap} with a window of {views}", f"allowed are 0 to {most}")


@dataclass(frozen=True)
class RenderResult:
    """A finished render.

    Attributes:
        output: the video, or the folder of frames.
        frames: frames written.
        width, height, fps: of the output.
        seconds: wall time from reading the keypoints to the files being in place.
        frames_per_second: frames / seconds.
        model, source: their names; sources: of all pictures of the person, the first one again.
        known: names of the frames that were given, by number.
        seed, shutter, steps, window: what was used.
        unet_evaluations_per_frame: denoiser evaluations of one view each, over frames written; the source's and the
            already rendered views of every window and all guidance branches are counted.
        warnings: one line each, for the user.
        manifest: the JSON file beside the output.
        compare: the side-by-side video, if one was asked for.
        extracted: how the keypoints of footage were found.
    """

    output: Path
    frames: int
    width: int
    height: int
    fps: float
    seconds: float
    frames_per_second: float
    model: str
    source: str
    sources: list[str]
    known: dict[int, str]
    seed: int
    shutter: float
    steps: int
    window: int
    unet_evaluations_per_frame: float
    warnings: list[str]
    manifest: Path
    compare: Path | None = None
    extracted: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as printed by ``signgen render --json``; ``extracted`` only where footage was given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.extracted is None:
            del values["extracted"]
        return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
