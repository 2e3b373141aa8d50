"""`signgen inspect`: what a keypoint file holds and what it lacks."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import Rate, Size, common_options, emit


@click.command()
@click.argument("keypoints", metavar="KEYPOINTS")
@click.option("--from", "from_format", metavar="FMT", help="Read as this format; found from the content otherwise.")
@click.option("--clip", metavar="NAME", help="The clip to take from a file of several.")
@click.option("--frame-size", type=Size(), help="Frame size in pixels, where the file does not say it.")
@click.option("--fps", type=Rate(), help="Frames per second, where the file does not say it.")
@common_options
def command(
    keypoints: str, from_format: str | None, clip: str | None, frame_size: tuple[int, int] | None, fps: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say what KEYPOINTS holds: format, frames, size, rate, missing parts, points outside of the frame."""
    from signgen.keypoints import read_keypoints
    from signgen.keypoints._summary import summary

    result = summary(read_keypoints(keypoints, format=from_format, clip=clip, frame_size=frame_size, fps=fps))
    emit(result, as_json, _text(result))


def _text(result: dict[str, Any]) -> str:
    missing = ", ".join(f"{part.replace('_', ' ')} {share:.0%}" for part, share in result["missing"].items())
    return "\n".join(
        [
            f"{result['name']}: {result['format']}, {result['skeleton']}",
            f"  {result['frames']} frames, {result['width']}x{result['height']}, {result['fps']:g} fps, "
            f"{result['people']} {'person' if result['people'] == 1 else 'people'} at most",
            f"  missing in frames: {missing}",
            f"  confident points outside of the frame: {result['out_of_frame']}",
        ]
    )
