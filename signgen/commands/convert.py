"""`signgen convert`: keypoints from one file format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit, standard_output, warn
from signgen.commands.options import reading_options, refit_option
from signgen.errors import Mismatch, Missing

PIPE = "-"


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@reading_options
@refit_option
@click.option("--to", "to_format", metavar="FMT", help="Write this format; follows from OUT's suffix otherwise.")
@common_options
def command(source: str, target: str, to_format: str | None, refit: bool, as_json: bool, **reading: Any) -> None:
    """Write the keypoints IN to OUT, and say what is lost.

    Frame size and rate go into a header beside OUT (clip.json.header) where its format does not hold them and IN, or
    an option, says both; signgen reads them from there.

    Reads and writes mmpose (.json), mmpose-topdown, mmpose-0.x, alphapose, openpose (a folder), comfyui, rtmlib,
    coco-wholebody, mediapipe, pose (.pose), uni-sign, dwpose, mska, npz (.npz), slrt, nla-slr, npy (.npy), skels
    (.skels) and fpdm (a folder).
    IN or OUT may be -, for standard input and output.
    """
    from signgen.keypoints import read_keypoints
    from signgen.keypoints.header import header_path
    from signgen.keypoints.keypoint_files import keypoint_pieces, leaves_open, write_format, write_keypoints
    from signgen.pose_image.solid import refit_hands

    to_format = _checked(source, target, to_format, as_json)
    written = write_format(target, to_format)
    read = read_keypoints(source, **reading, first=True)
    keypoints = refit_hands(read.keypoints) if refit else read.keypoints
    invented = [] if read.placed else ["where the person stands was invented: render what is written with --align"]
    header = None
    if target == PIPE:
        pieces, losses = keypoint_pieces(keypoints, written)
        with standard_output() as output:
            output.buffer.writelines(pieces)
    else:
        known = read.size_known and read.fps_known  # what was assumed is not written down as if it were known
        losses = write_keypoints(keypoints, target, written, header=known)
        header = str(header_path(target)) if known and leaves_open(written) else None
    result: dict[str, Any] = {
        "input": source, "output": target, "format": read.format, "written": written, "name": keypoints.name,
        "frames": len(keypoints), "width": keypoints.width, "height": keypoints.height, "fps": keypoints.fps,
        "header": header, "losses": losses, "warnings": [*read.warnings, *invented, *losses],
    }  # fmt: skip
    text = f"{target}: {written}, {len(keypoints)} frames, {keypoints.width}x{keypoints.height}, {keypoints.fps:g} fps"
    if target == PIPE:
        warn(result["warnings"])
    else:
        emit(result, as_json, text)


def _checked(source: str, target: str, to_format: str | None, as_json: bool) -> str | None:
    """The format wanted, once input and output are known to fit together."""
    if target == PIPE and as_json:
        raise Mismatch("--json", "got with OUT -", "standard output carries the keypoints: leave out one of the two")
    if target == PIPE and to_format is None:
        raise Missing("--to", "got none with OUT -", "say which format to write, such as --to pose")
    if target != PIPE and Path(target).exists() and Path(source).exists() and Path(target).samefile(source):
        raise Mismatch(target, "is the input", "write elsewhere: formats differ in what they hold")
    if target != PIPE and Path(target).is_dir() and Path(target).resolve() in Path(source).resolve().parents:
        raise Mismatch(target, "is the folder of the input, which would be replaced", "write elsewhere")
    return to_format
