"""`signgen draw`: the pose images of a clip, as the model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from signgen.commands.common import common_options, emit
from signgen.commands.options import FRAME_RANGE, SIZE, choice, fit_option, reading_options, refit_option
from signgen.keypoints.repair.missing import fill_missing

if TYPE_CHECKING:
    from signgen.keypoints import Keypoints
    from signgen.keypoints.pieces import Pieces
    from signgen.pose_image.solid import SolidHands
    from signgen.video import VideoWriter

CHUNK_BYTES = 32_000_000  # pictures held in memory at a time


@click.command()
@click.argument("keypoints", metavar="KEYPOINTS")
@click.option("-o", "--output", required=True, metavar="OUT", help="A .mp4 or .webm file, or a folder for PNG frames.")
@choice("--style", "signgen", "fpdm", "solid", "fpdm18", "cfld18", "imagpose18")
@click.option("--size", type=SIZE, help="Size of the pictures; the keypoints' own frame otherwise.")
@fit_option
@click.option(
    "--shutter", type=float, default=0.0, show_default=True,
    help="Share of a frame's time over which fast hands are smeared, 0 to 1; style solid only.",
)  # fmt: skip
@click.option("--stick", type=click.IntRange(1, 64), help="Half width of a limb in pixels, style fpdm only.")
@click.option("--frames", type=FRAME_RANGE, help="Frames A to B-1 only.")
@click.option(
    "--fill-hands/--no-fill-hands",
    default=None,
    help="Complete hands that the estimator lost, as render does [yes for signgen and solid].",
)
@refit_option
@reading_options
@common_options
def command(
    keypoints: str, output: str, style: str, size: tuple[int, int] | None, fit: str, stick: int | None,
    shutter: float, frames: slice | None, fill_hands: bool | None, refit: bool, as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Draw the poses of KEYPOINTS (a file, a folder, or - for standard input) as a video or as PNG frames."""
    from signgen.errors import BadValue, Mismatch
    from signgen.keypoints import Keypoints, read_keypoints
    from signgen.pose_image.shapes import window_for
    from signgen.pose_image.solid import fit_hands, refit_hands
    from signgen.rendering.driving import complete, frame_range
    from signgen.video import VideoWriter

    if stick is not None and style != "fpdm":
        raise Mismatch("--stick", f"got {stick} with style {style}", "only style fpdm has a stick width")
    if shutter and style != "solid":
        raise Mismatch("--shutter", f"got {shutter:g} with style {style}", "only style solid smears fast hands")
    if not 0 <= shutter <= 1:
        raise BadValue("--shutter", f"got {shutter:g}", "it is a share of a frame's time, 0 (crisp) to 1")
    read = read_keypoints(keypoints, **reading, first=True)
    poses: Keypoints | Pieces = read.keypoints
    title = {"title": f"Pose images of {poses.name}"}
    writer = VideoWriter(output, size or poses.size, poses.fps, title)  # what cannot be is said before the work
    chosen = frame_range(poses, frames)
    completed: list[str] = []
    ours = style in ("signgen", "solid")  # the others reproduce a reference, gaps and all
    if fill_hands or (fill_hands is None and ours):
        whole = refit or style == "solid"  # the hands of a frame depend on all frames before it
        poses, completed = fill_missing(read.keypoints) if whole else complete(read.keypoints)
    if refit:
        poses = refit_hands(poses[:])
    window = window_for(poses.sample(), size) if size is not None and fit == "keep" else None
    if window is not None and size is not None:
        completed.append(window.line("--size", size))
        poses = window.of(poses) if isinstance(poses, Keypoints) else poses.then(window.of, window.of(poses.sample()))
    hands = fit_hands(poses[: chosen.stop]) if style == "solid" else None
    _draw(poses, chosen, writer, style, stick, hands, shutter)
    width, height = writer.size
    result: dict[str, Any] = {
        "output": output, "frames": writer.frames, "width": width, "height": height, "fps": poses.fps,
        "style": style, "warnings": [*read.warnings, *completed, *writer.warnings],
    }  # fmt: skip
    if style == "solid":
        result["shutter"] = shutter
    emit(result, as_json, f"{output}: {writer.frames} frames, {width}x{height}, {poses.fps:g} fps, style {style}")


def _draw(
    poses: Keypoints | Pieces, chosen: range, writer: VideoWriter, style: str, stick: int | None,
    hands: SolidHands | None, shutter: float,
) -> None:  # fmt: skip
    """Draws and writes in chunks, so that memory does not grow with the clip."""
    from signgen.commands.common import progress
    from signgen.pose_image import draw_pose

    width, height = writer.size
    chunk = max(1, CHUNK_BYTES // (3 * width * height))
    whole = None if hands is None else poses[:]  # hands are known by their frames' numbers in it
    with writer, progress(chosen.stop - chosen.start, "draw") as advance:
        for start in range(chosen.start, chosen.stop, chunk):
            stop = min(start + chunk, chosen.stop)
            some, first = (poses[start:stop], 0) if whole is None else (whole, start)
            how = style, first, first + stop - start, stick, hands
            for picture in draw_pose(some, writer.size, *how, shutter=shutter):
                writer.write(picture)
                advance(1)
