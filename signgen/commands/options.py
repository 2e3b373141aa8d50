"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from signgen.errors import BadValue

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Parsed(click.ParamType):
    """A value that a function reads from text.

    Args:
        name: how the value is written, for the help.
        parse: the function; its `ValueError` means that the text is not allowed.
        advice: what is allowed.
    """

    def __init__(self, name: str, parse: Callable[[str], Any], advice: str) -> None:
        self.name, self._parse, self._advice = name, parse, advice

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError:
            option = param.opts[0] if param is not None and param.opts else "option"
            raise BadValue(option, f"got {value!r}", self._advice) from None


def whole(text: str) -> int:
    """A number of at most 18 of the digits 0 to 9; `int` takes signs, blanks and the digits of other scripts, too."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(text)
    return int(text)


def _within(text: str, low: int, high: int) -> int:
    if not low <= whole(text) <= high:
        raise ValueError(text)
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    return _within(width, 16, 8192), _within(height, 16, 8192)


def _frame_range(text: str) -> slice:
    start, stop = text.split(":")
    return slice(whole(start) if start else None, whole(stop) if stop else None)


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    return _within(number, 1, whole(count)), int(count)


def _rate(text: str) -> float:
    top, slash, bottom = text.partition("/")
    below = float(bottom) if slash else 1.0
    rate = float(top) / below if below > 0 else 0.0
    if not 0 < rate <= 1000:  # false for NaN, too
        raise ValueError(text)
    return rate


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86_400:  # false for NaN, too
        raise ValueError(text)
    return value


def _trim(text: str) -> str | tuple[float | None, float | None]:
    if text == "rests":
        return text
    start, stop = text.split(":")
    return _seconds(start) if start else None, _seconds(stop) if stop else None


def _hold(text: str) -> tuple[float | None, float]:
    at, colon, length = text.rpartition(":")
    return _seconds(at) if colon else None, _seconds(length)


def _person(text: str) -> int | str:
    from signgen.keypoints.people import check_person

    return check_person(whole(text) if text.isdigit() else text)


def _turn(text: str) -> int:
    if text not in ("90", "180", "270"):
        raise ValueError(text)
    return int(text)


def _crop(text: str) -> tuple[int, int, int, int] | str:
    if text == "signer":
        return text
    x, y, width, height = map(whole, text.split(","))
    return x, y, width, height


def _smooth(text: str) -> float | str:
    return text if text == "auto" else float(text)


def _known(text: str) -> tuple[int, str]:
    number, _, path = text.partition("=")
    if not path:
        raise ValueError(text)
    return whole(number), path


def _guidance(text: str) -> tuple[float, float]:
    weights = [float(part) for part in text.split(",", 1)]
    return weights[0], weights[-1]


SIZE = Parsed("WxH", _size, "give width and height from 16 to 8192 pixels, such as 210x260")
FRAME_RANGE = Parsed("A:B", _frame_range, "give frames as A:B, such as 0:50, 25: or :100")
KNOWN = Parsed("N=FILE", _known, "give a frame's number and its picture, such as 0=first.png")
RATE = Parsed("F", _rate, "give frames per second above 0 and at most 1000, such as 25 or 30000/1001")
SMOOTH = Parsed("HZ|auto", _smooth, "give a cut-off in Hz, such as 8, or the word auto")
SECONDS = Parsed("SECONDS", _seconds, "give seconds, such as 0.3, at most 86400")
TRIM = Parsed("A:B|rests", _trim, "give seconds as A:B, such as 0.2:1.5, 0.2: or :1.5, or the word rests")
HOLD = Parsed("[AT:]SECONDS", _hold, "give seconds, such as 0.5, or the second at which before them, such as 1.2:0.5")
SHARE = Parsed("I/N", _share, "give it as I/N with I from 1 to N, such as 2/4")
PERSON = Parsed("N|NAME", _person, "give a number from 1 at the left, or largest, left, centre, right")
TURN = Parsed("90|180|270", _turn, "a picture is turned by 90, 180 or 270 degrees, clockwise")
CROP = Parsed("X,Y,W,H|signer", _crop, "give left, top, width and height in whole pixels, or signer")
GUIDANCE = Parsed("W|W1,W2", _guidance, "give one weight, or two as W1,W2")


def choice(option: str, *values: str, default: str | None = None, **more: Any) -> Decorator:
    """An option with one of some values; without ``default`` the first of them is it."""
    return click.option(option, type=click.Choice(values), default=default or values[0], show_default=True, **more)


def grouped(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


frame_size_option = click.option("--frame-size", type=SIZE, help="Frame size in pixels; wins over what the file says.")
person_option = click.option(
    "--person", type=PERSON,
    help="Of several people: a number from 1 at the left, largest, left, centre or right [the likely signer].",
)  # fmt: skip
rotate_option = click.option("--rotate", type=TURN, default=0, help="Turn the picture by these degrees, clockwise.")
mirror_option = click.option(
    "--mirror", is_flag=True,
    help="Flip left and right, the points' names with them; places only where the names lie crossed already.",
)  # fmt: skip
swap_and_crop_options = grouped(
    click.option("--swap-hands", is_flag=True, help="Exchange the hands in frames where each lies at the other arm."),
    click.option("--crop", type=CROP, help="Keep this part of the frame, or the space that the signer signs in."),
)
# What says how keypoints are read: arguments of `signgen.keypoints.read_keypoints`.
reading_options = grouped(
    click.option("--from", "format", metavar="FMT", help="Read as this format; found from the content otherwise."),
    click.option("--clip", metavar="NAME", help="The clip to take from a file of several [the first]."),
    frame_size_option,
    click.option("--fps", type=RATE, help="Frames per second; wins over what the file says."),
    person_option,
    rotate_option,
    mirror_option,
    swap_and_crop_options,
)
fit_option = choice(
    "--fit", "keep", "stretch", help="For a --size of another shape: more backdrop and less empty margin, or squeezed."
)
refit_option = click.option(
    "--refit", is_flag=True, help="Put the points of hands where a fitted hand with an anatomy has them."
)
device_option = choice("--device", "auto", "cpu", "cuda")
# With what a model renders: fields of `signgen.rendering.RenderSettings`.
model_options = grouped(
    click.option("--model", default="mini", show_default=True, help="mini, or a model's folder."),
    device_option,
    choice("--dtype", "auto", "float32", "bfloat16", "float16"),
    choice("--backend", "auto", "torch", "openvino", help="What computes: OpenVINO where `signgen export` was run."),
)
export_option = click.option("--export", type=click.Path(), help="Folder that `signgen export -o` wrote.")
sampling_options = grouped(
    click.option("--steps", type=int, help="Sampling steps [the model's]."),
    click.option("--guidance", type=GUIDANCE, help="Guidance weights [the model's]."),
    click.option("--window", type=int, help="Views of one window, the source among them [the model's]."),
    click.option("--overlap", type=int, help="Rendered frames that the next window sees [the model's]."),
)
guidance_rule_option = click.option(
    "--guidance-rule", type=click.Choice(["fpdm", "imagpose"]),
    help="What guidance strengthens: all conditions, or the source alone [the model's].",
)  # fmt: skip


def estimator_options(use: str) -> Decorator:
    """Which estimator finds keypoints, with which weights; ``use`` says for what."""
    return grouped(
        click.option("--estimator", type=click.Choice(["auto", "mmpose", "rtmlib", "mediapipe"]), help=use),
        click.option("--estimator-weights", type=click.Path(), help="The estimator's local file of weights."),
    )


keypoint_files_option = click.option(
    "--keypoints", multiple=True, metavar="FILE|FOLDER",
    help="DATASET's keypoints: pickles of many clips, or folders of one file a clip; may be repeated. [keypoints/]",
)  # fmt: skip
split_option = click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["train", "dev", "test"]),
    help="Only this split of DATASET; may be repeated.",
)
layout_option = click.option(
    "--layout", type=click.Choice(["cfld", "nted", "fpdm", "market"]),
    help="How a data set of person synthesis lies on the disk [found].",
)  # fmt: skip
scheduler_option = click.option(
    "--scheduler", type=click.Choice(["ddim", "ddpm", "deis", "dpm++", "euler", "heun", "unipc"]),
    help="The sampler [the model's].",
)  # fmt: skip
shutter_option = click.option(
    "--shutter", type=float, metavar="S",
    help="Share of a frame's time over which fast hands are smeared, 0 (crisp) to 1 [the model's].",
)  # fmt: skip
frame_check_option = choice(
    "--check", "names", "ends", "pixels", default="ends",
    help="How closely DATASET's frames are looked at; pixels decodes every one.",
)  # fmt: skip


def _cores() -> int:
    from signgen.processes import cores

    return cores()


jobs_option = click.option("--jobs", type=click.IntRange(1), default=_cores, help="Processes; all cores by default.")
