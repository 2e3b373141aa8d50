"""`signgen convert`: keypoints from one file format to another."""

from __future__ import annotations

from typing import Any

import click

from signgen.commands.common import Rate, Size, common_options, emit


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.option("--from", "from_format", metavar="FMT", help="Read as this format; found from the content otherwise.")
@click.option("--to", "to_format", metavar="FMT", help="mmpose, pose or npz; follows from OUT's suffix otherwise.")
@click.option("--clip", metavar="NAME", help="The clip to take from a file of several.")
@click.option("--frame-size", type=Size(), help="Frame size in pixels, where the file does not say it.")
@click.option("--fps", type=Rate(), help="Frames per second, where the file does not say it.")
@common_options
def command(
    source: str, target: str, from_format: str | None, to_format: str | None, clip: str | None,
    frame_size: tuple[int, int] | None, fps: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Write the keypoints IN to OUT (.json MMPose, .pose, or .npz).

    Reads mmpose, mmpose-topdown, mmpose-0.x, openpose, rtmlib, coco-wholebody, pose, uni-sign, dwpose, mska, slrt,
    nla-slr, skels, fpdm, npz and npy.
    """
    from pathlib import Path

    from signgen.errors import InputError
    from signgen.keypoints import read_keypoints, write_keypoints

    if Path(target).exists() and Path(source).exists() and Path(target).samefile(source):
        raise InputError(target, "is the input", "write elsewhere: formats differ in what they have room for")
    read = read_keypoints(source, format=from_format, clip=clip, frame_size=frame_size, fps=fps)
    losses = write_keypoints(read.keypoints, target, to_format)
    clip_read = read.keypoints
    result: dict[str, Any] = {
        "input": source, "output": target, "format": read.format, "name": clip_read.name,
        "frames": len(clip_read), "width": clip_read.width, "height": clip_read.height, "fps": clip_read.fps,
        "losses": losses, "warnings": [*read.warnings, *losses],
    }  # fmt: skip
    size = f"{clip_read.width}x{clip_read.height}"
    emit(result, as_json, f"{target}: {len(clip_read)} frames, {size}, {clip_read.fps:g} fps")
