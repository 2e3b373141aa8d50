"""``signgen synthesize``: a data set of drawn signers in PHOENIX14T's layout."""

from __future__ import annotations

import click

from signgen.commands.common import common_options, emit, given, progress
from signgen.commands.options import SIZE, Parsed, choice, jobs_option, whole
from signgen.synthetic import VERSION, VERSIONS


def _lengths(text: str) -> tuple[int, int]:
    low, colon, high = text.partition(":")
    return whole(low), whole(high if colon else low)


LENGTHS = Parsed("N|A:B", _lengths, "give a number such as 42 or a range such as 36:60")


@click.command()
@click.argument("out_dir")
@click.option("--clips", type=int, default=None, help="How many clips; one a file with --motion.")
@click.option("--signers", default="12", show_default=True, help="A number, or names separated by commas.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything random.")
@choice("--split", "train", "dev", "test", help="Splits share no sentence; test shares no signer with the others.")
@click.option("--frames-per-clip", "frames", type=LENGTHS, default="42", show_default=True,
              help="Frames of a clip, or the range they are drawn from.")  # fmt: skip
@click.option("--size", type=SIZE, default="210x260", show_default=True,
              help="Frame size in pixels; the same signers and motion at any.")  # fmt: skip
@click.option("--shutter", type=click.FloatRange(0, 1), default=None,
              help="Share of the time that the shutter is open, 0: crisp. [default: each clip's own]")  # fmt: skip
@click.option("--content-version", "version", type=click.Choice([str(v) for v in VERSIONS]), default=str(VERSION),
              show_default=True, help="4 draws clips as signgen 0.1 did.")  # fmt: skip
@click.option(
    "--motion",
    "files",
    multiple=True,
    metavar="FILE",
    help="Replay the motion of keypoints in any format instead of inventing it; may be repeated. FILE#CLIP "
    "is one clip of a file of several.",
)
@click.option(
    "--motion-glosses",
    "glosses",
    multiple=True,
    metavar="TEXT",
    help="What is signed in a --motion file, glosses separated by spaces; as often as --motion, same order.",
)
@jobs_option
@common_options
def command(
    out_dir: str, clips: int | None, signers: str, seed: int, split: str, frames: tuple[int, int],
    size: tuple[int, int], shutter: float | None, version: str, files: tuple[str, ...], glosses: tuple[str, ...],
    jobs: int, as_json: bool,
) -> None:  # fmt: skip
    """Write clips of drawn signers, with exact keypoints and glosses, into OUT_DIR.

    People and signs are invented; with --motion the people are, and the movements are those of your files: their
    licence is your duty. The same command goes on with a run that was stopped.
    """
    from signgen.errors import Mismatch, Missing
    from signgen.synthetic.dataset import Plan, pick_signers, write_dataset

    if files and "frames" in given():
        raise Mismatch("--frames-per-clip", "is given with --motion", "clips are as long as their files: leave it out")
    settings = (seed, split, pick_signers(signers, split, int(version)), frames, size, int(version), shutter)
    if files:
        from signgen.synthetic.replay.plan import ReplayPlan, motions

        plan: Plan = ReplayPlan(*settings, motions(files, glosses))
        clips = len(files) if clips is None else clips
    elif glosses or clips is None:
        got = "given without --motion" if glosses else "missing"
        raise Missing("--motion-glosses" if glosses else "--clips", got, "say how many clips, or give --motion FILE")
    else:
        plan = Plan(*settings)
    with progress(clips, "clips") as advance:
        result = write_dataset(out_dir, plan, clips, jobs, advance)
    text = (
        f"{result['output']}: {result['clips']} clips of split {split}, {result['frames']} frames, "
        f"{result['written']} clips new, {result['frames_per_second']} frames/s"
    )
    emit(result, as_json, text)
