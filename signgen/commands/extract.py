"""``signgen extract``: video in, keypoints out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from signgen.commands.common import common_options, emit, existing_path, progress_to
from signgen.commands.options import FRAME_RANGE, PERSON, RATE, TURN, Parsed, choice, device_option


def _box(text: str) -> tuple[float, ...]:
    left, top, right, bottom = map(float, text.split(","))
    return left, top, right, bottom


BOX = Parsed("X0,Y0,X1,Y1", _box, "give left, top, right and bottom in pixels, such as 0,0,320,480")


@click.command(short_help="Find the keypoints of a signer in a video.")
@click.argument("source", metavar="VIDEO|FRAMES_DIR", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="OUT.json (MMPose's), OUT.pose or OUT.npz [./VIDEO.json].")
@choice(
    "--estimator", "auto", "mmpose", "rtmlib", "mediapipe",
    help="auto: what the weights are for; mediapipe without weights.",
)  # fmt: skip
@click.option("--weights", type=click.Path(), help="Local file: mmpose's .pth checkpoint, or rtmlib's .onnx model.")
@click.option("--config", metavar="FILE|NAME", help="mmpose's configuration, where the checkpoint's name does not say.")
@click.option(
    "--person", type=PERSON, help="A number from 1 at the left, largest, left, centre or right [the likely signer]."
)
@click.option("--rotate", type=TURN, default=0, help="Turn the frames by these degrees, clockwise, before looking.")
@click.option("--box", type=BOX, help="Where that person is, in pixels.")
@click.option("--fps", type=RATE, help="Rate of a folder of frames, or a rate to take the video at.")
@click.option("--frames", type=FRAME_RANGE, help="Only frames A to B-1.")
@click.option("--batch", type=click.IntRange(1, 1024), default=8, show_default=True, help="Frames at a time.")
@device_option
@choice("--engine", "auto", "torch", "openvino", help="What computes mmpose's network: OpenVINO where it is installed.")
@choice("--dtype", "auto", "float32", "bfloat16", help="bfloat16 is for OpenVINO on CPUs with units for it.")
@common_options
def command(source: str, output: str | None, as_json: bool, **options: Any) -> None:
    """Find the keypoints of the signer in VIDEO and write them as MMPose writes its own.

    OUT.json.header beside them holds frame size and rate, so that no other command has to be told. Nothing is
    downloaded: mmpose and rtmlib take a local file of weights, MediaPipe brings its own.
    """
    from signgen.extraction import extract

    with progress_to("extract") as report:
        result = extract(existing_path(source), output, **options, progress=report)
    absent = [f"{part.replace('_', ' ')} in {share:.0%}" for part, share in result.missing.items() if share]
    text = (
        f"{result.output}: {result.frames} frames of {result.width}x{result.height} at {result.fps:g} fps"
        f" in {result.seconds:.1f} s ({result.frames_per_second:.1f} frames/s); "
        f"missing: {', '.join(absent) or 'nothing'}; {result.header}"
    )
    emit(asdict(result), as_json, text)
