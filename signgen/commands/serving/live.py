"""``signgen live``: keypoints in one frame at a time, frames out at once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signgen.commands.common import common_options, emit, standard_output, warn
from signgen.commands.options import (
    RATE,
    SIZE,
    estimator_options,
    export_option,
    fit_option,
    frame_size_option,
    guidance_rule_option,
    model_options,
    shutter_option,
)
from signgen.commands.serving.app import end_process
from signgen.errors import BadValue, Mismatch

if TYPE_CHECKING:
    from signgen.app.stream import LivePage
    from signgen.streaming import LiveFrame
    from signgen.streaming.points import Camera, Lines

SPOKEN = 5.0  # seconds between two lines about how it goes
_CAMERA = re.compile(r"camera(?::(\d{1,2}))?")


@click.command(short_help="Sign along with keypoints that come one frame at a time.")
@click.argument("keypoints", default="-", metavar="[-|socket|camera[:N]|FILE]")
@click.option("-o", "--output", metavar="-", help="- writes raw frames (RGB, 8 bits) to standard output.")
@click.option("--source", multiple=True, help="Who is shown; again for more pictures of the same person.")
@click.option(
    "--source-keypoints", type=click.Path(), multiple=True,
    help="Where the person stands in the source; again for each picture.",
)  # fmt: skip
@frame_size_option
@click.option("--fps", type=RATE, help="Frames a second at which keypoints come, where they do not say it [25].")
@click.option("--size", type=SIZE, help="Size of the output [the keypoints' frame].")
@fit_option
@click.option("--align", is_flag=True, help="Fit the skeleton to the source person, measured by the first frames.")
@click.option("--delay", type=int, default=0, show_default=True, help="Frames of look-ahead, to mend lost hands by.")
@click.option("--smooth/--no-smooth", default=True, show_default=True, help="Smooth keypoints by their speed.")
@click.option(
    "--fill-hands/--no-fill-hands", default=True, show_default=True, help="Carry on hands that are lost for a moment."
)
@click.option("--every", is_flag=True, help="Render every frame, however late, instead of leaving some out.")
@click.option("--steps", type=int, help="Sampling steps [the model's].")
@guidance_rule_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise of every frame.")
@shutter_option
@model_options
@export_option
@click.option("--port", type=click.IntRange(0, 65535), help="Of the page on this machine; 0 takes any free one. [7861]")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@estimator_options("What finds keypoints for camera.")
@click.option("--delays", type=click.Path(), help="File that gets a line of JSON a frame: its number and delay.")
@common_options
def command(
    keypoints: str, output: str | None, as_json: bool, model: str, port: int | None, open_browser: bool, every: bool,
    delays: str | None, estimator: str | None, estimator_weights: str | None, **options: Any,
) -> None:  # fmt: skip
    """Render keypoints as they come, until they end or Ctrl-C: a page on this machine shows the person signing.

    Keypoints are lines of JSON on standard input (-), the same as messages to the page's WebSocket (socket), what an
    installed estimator finds in a camera's pictures (camera, camera:1), or a file played at its own rate (FILE).
    A line is a list of 133 [x, y, confidence], or a frame as OpenPose or MMPose writes it; the first line may be
    {"width": W, "height": H, "fps": F}.

    A frame depends on no later one, beyond --delay. Where the machine is slower than the keypoints are, frames are left
    out.
    """
    from signgen.app.stream import open_page
    from signgen.rendering import RenderSettings, load_model
    from signgen.streaming.stream import Delays, live

    if output not in (None, "-"):
        raise BadValue("--output", f"got {output!r}", "only - is allowed; signgen render writes files")
    if output and as_json:
        raise Mismatch("--json", "is given with -o -", "both write to standard output; leave one out")
    if (estimator or estimator_weights) and not _CAMERA.fullmatch(keypoints):
        raise Mismatch("--estimator", f"is given for {keypoints}", "it is for camera; leave it out")
    if keypoints == "socket" and output and port is None:
        port = 0
    for name in ("source", "source_keypoints"):
        options[name] = options[name] or None
    if delays is not None:  # said before a model is loaded, and before anything is lost
        _check_log(Path(delays), [keypoints, *(options["source"] or ()), *(options["source_keypoints"] or ())])
    told = {name: options.pop(name) for name in ("frame_size", "fps")}
    computing = {name: options[name] for name in ("device", "dtype", "backend", "export")}
    with ExitStack() as stack:
        page = None
        if output is None or port is not None:
            title = ", ".join(Path(one).name for one in options["source"] or ["alma"])
            page = stack.enter_context(open_page(7861 if port is None else port, title))
        pipeline = load_model(model, RenderSettings(**computing))
        if page is not None:
            click.echo(f"{page.url}  (Ctrl-C stops)", err=True)
            if open_browser:
                click.launch(page.url)
        points, said = _opened(keypoints, page, told, estimator, estimator_weights, options)
        size, fps = told["frame_size"] or points.header.size, told["fps"] or points.header.fps
        stream, found = live(model=pipeline, **options, frame_size=size, fps=fps), Delays()
        log = None if delays is None else stack.enter_context(open(delays, "w", encoding="utf-8"))
        speak, stopped = _speaker(found), False
        try:
            for frame in _frames(stream, points, every):
                now = time.monotonic()
                found.add(frame, now)
                if output:
                    with standard_output() as stream_out:
                        stream_out.buffer.write(frame.image.tobytes())
                if page is not None:
                    page.show(frame, now)
                if log is not None:
                    log.write(json.dumps({"number": frame.number, "delay_ms": round(1000 * frame.delay, 2),
                                          "dropped": frame.dropped}) + "\n")  # fmt: skip
                speak(frame, now)
        except KeyboardInterrupt:  # the usual end
            click.echo("stopped", err=True)
            stopped = True
        result = {
            **found.summary(), "model": pipeline.name, "url": None if page is None else page.url,
            "warnings": [*said, *stream.warnings],
        }  # fmt: skip
        if log is not None:
            log.flush()
        if output:
            warn(result["warnings"])
            click.echo(_words(found), err=True)
        else:
            emit(result, as_json, _words(found))
        if stopped:
            end_process()


def _check_log(place: Path, inputs: list[str]) -> None:
    from signgen.files import check_target

    check_target(place, "file")
    for one in map(Path, inputs):
        if place.exists() and one.exists() and place.samefile(one):
            raise Mismatch("--delays", f"{place} is one of the inputs", "write elsewhere")


def _opened(
    given: str, page: LivePage | None, told: dict[str, Any], estimator: str | None, weights: str | None,
    options: dict[str, Any],
) -> tuple[Lines | Camera | Any, list[str]]:  # fmt: skip
    """What gives the keypoints, with a ``header``, and what was assumed or left out of a file."""
    from signgen.streaming.points import Camera, Lines, Played

    if given == "-":
        return Lines(), []
    if given == "socket" and page is not None:
        click.echo(f"waits for keypoints at {page.url.replace('http', 'ws')}keypoints", err=True)
        return page.incoming, []
    if found := _CAMERA.fullmatch(given):
        from signgen.extraction import EstimatorSettings

        return Camera(int(found[1] or 0), EstimatorSettings(estimator or "auto", weights)), []
    from signgen.keypoints import read_keypoints
    from signgen.rendering.plan import FITTED

    read = read_keypoints(given, first=True, **told)
    if not read.placed:
        options["align"] = True
    return Played(read.keypoints), [*read.warnings, *([] if read.placed else [FITTED])]


def _frames(stream: Any, points: Any, every: bool) -> Iterator[LiveFrame]:
    """The frames of a stream: the newest ones, or every one."""
    if not every:
        yield from stream.feed(points)
        return
    for one in points:
        yield from stream.feed(one)
    yield from stream.finish()


def _speaker(found: Any) -> Callable[[LiveFrame, float], None]:
    """Says on standard error every few seconds how it goes."""
    last = time.monotonic()

    def speak(frame: LiveFrame, now: float) -> None:
        nonlocal last
        if now - last >= SPOKEN:
            last = now
            click.echo(_words(found), err=True)

    return speak


def _words(found: Any) -> str:
    told = found.summary()
    late = told["delay_ms"]
    return (
        f"live: {told['frames']} frames, {told['frames_per_second']:.1f} a second, {late['median']:.0f} ms after their"
        f" keypoints (95% within {late['p95']:.0f} ms), {told['dropped']} left out"
    )
