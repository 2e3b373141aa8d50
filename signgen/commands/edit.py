"""``signgen edit``: clips trimmed, joined, retimed and mixed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit
from signgen.commands.options import (
    HOLD,
    RATE,
    SECONDS,
    TRIM,
    frame_size_option,
    mirror_option,
    person_option,
    rotate_option,
    swap_and_crop_options,
)


@click.command(short_help="Trim, join, retime and mix clips of keypoints.")
@click.argument("clips", metavar="CLIP...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT", help="File to write; its suffix says the format.")
@click.option("--trim", type=TRIM, help="Of each clip: seconds A to B, or rests: cut hands at rest off both ends.")
@click.option("--gap", type=SECONDS, help="Seconds between two clips [as long as hands take for the way].")
@mirror_option
@click.option("--face", metavar="CLIP", help="Take the face from this clip.")
@click.option("--left-hand", metavar="CLIP", help="Take the left hand from this clip.")
@click.option("--right-hand", metavar="CLIP", help="Take the right hand from this clip.")
@click.option("--speed", type=float, metavar="FACTOR", help="2 is twice as fast.")
@click.option("--duration", type=SECONDS, help="Seconds that the result lasts.")
@click.option("--hold", type=HOLD, help="Hold the last pose for so many seconds, or the one at second AT.")
@click.option("--fps", type=RATE, help="Frames per second of the result [the first clip's], and of files without.")
@frame_size_option
@person_option
@rotate_option
@swap_and_crop_options
@click.option("--to", "to_format", metavar="FMT", help="Write this format; follows from OUT's suffix otherwise.")
@common_options
def command(clips: tuple[str, ...], output: str, to_format: str | None, as_json: bool, **options: Any) -> None:
    """Join CLIPs to one, with natural movements between them, and write it to OUT.

    A CLIP is a file or folder in any format that `signgen convert` reads. The first one gives frame size, rate and
    person. --trim, --gap and how files are read hold for each clip, all else is done to
    the whole, in the order of this help. A single JSON file with "clips" is
    a list of edits, see docs/edit.md.
    """
    from signgen.editing.run import planned, run_edit
    from signgen.keypoints.keypoint_files import write_format, write_keypoints

    written = write_format(output, to_format)
    options["gap"] = "auto" if options["gap"] is None else options["gap"]
    result = run_edit(planned(list(clips), options, output), Path(output).stem)
    keypoints = result.keypoints
    losses = write_keypoints(keypoints, output, written, header=result.known)
    spans = [asdict(span) for span in result.clips]
    values: dict[str, Any] = {
        "output": output, "written": written, "frames": len(keypoints), "width": keypoints.width,
        "height": keypoints.height, "fps": keypoints.fps, "seconds": keypoints.seconds, "clips": spans,
        "losses": losses, "warnings": [*result.warnings, *losses],
    }  # fmt: skip
    lines = [f"{output}: {written}, {len(keypoints)} frames, {keypoints.seconds:.3g} s, "
             f"{keypoints.width}x{keypoints.height}, {keypoints.fps:g} fps"]  # fmt: skip
    for before, span in zip([None, *result.clips], result.clips, strict=False):
        gap = f", {span.start - before.end:.2f} s after the one before" if before and span.gap else ""
        cut = f", {span.trimmed[0]:.2f} and {span.trimmed[1]:.2f} s cut off" if any(span.trimmed) else ""
        lines.append(f"  {span.start:.2f} to {span.end:.2f} s: {span.name}{gap}{cut}")
    emit(values, as_json, "\n".join(lines))
