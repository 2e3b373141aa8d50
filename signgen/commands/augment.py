"""``signgen augment``: each clip of a data set signed again by other people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signgen.commands.common import common_options, emit, existing_path, progress
from signgen.commands.options import (
    SHARE,
    choice,
    export_option,
    keypoint_files_option,
    model_options,
    sampling_options,
)


@click.command(short_help="Sign a data set again with other signers, for recognisers.")
@click.argument("dataset")
@click.argument("out")
@click.option("--signers", metavar="N|NAMES", help="How many built-in and drawn signers, or names and pictures. [32]")
@click.option("--signers-from", metavar="FOLDER", help="Of pictures with keypoints; --signers then says how many.")
@click.option("--copies", type=int, default=4, show_default=True, help="New clips of each clip.")
@click.option("--split", "splits", multiple=True, type=click.Choice(["train", "dev", "test"]), help="[train]")
@click.option("--layout", "layouts", multiple=True, type=click.Choice(["phoenix14t", "corrnet", "slrt", "mska"]),
              help="Whose files are written; may be repeated. [phoenix14t]")  # fmt: skip
@choice("--media", "png", "mp4", "none", help="Lossless frames, a video a clip, or keypoints alone.")
@click.option("--vary", multiple=True, metavar="all|none|NAME[=AMOUNT]",
              help="tempo, space, tilt, noise, framing. [all]")  # fmt: skip
@click.option("--mirror", type=float, default=0.0, metavar="SHARE", help="Share of copies with exchanged hands. [0]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@keypoint_files_option
@model_options
@export_option
@sampling_options
@click.option("--gate", type=float, default=6.0, show_default=True, metavar="PX",
              help="HandPE-drive above which a clip is marked.")  # fmt: skip
@click.option("--no-gate", is_flag=True, help="Do not judge the hands.")
@click.option("--leave-out", is_flag=True, help="Leave clips that failed the gate out of the layout's files.")
@choice("--originals", "link", "copy", "none", help="How the data set's own clips get into OUT.")
@click.option("--jobs", type=click.IntRange(0), default=0, help="Worker processes. [cores; 1 on a GPU]")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of a worker.")
@click.option("--shard", "share", type=SHARE, default="1/1", show_default=True, help="This job's share of an array.")
@click.option("--ray", metavar="local|HOST:PORT", help="Work on a Ray cluster.")
@click.option("--merge", is_flag=True, help="Check the finished shards and write the layout's files.")
@click.option("--plan", "--dry-run", "dry_run", is_flag=True, help="Say what it takes and may gain, and end.")
@common_options
def command(
    dataset: str, out: str, signers: str | None, signers_from: str | None, as_json: bool, splits: tuple[str, ...],
    layouts: tuple[str, ...], vary: tuple[str, ...], mirror: float, gate: float, no_gate: bool,
    keypoints: tuple[str, ...],
    leave_out: bool, originals: str, jobs: int, share: tuple[int, int], ray: str | None, merge: bool, dry_run: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Sign the clips of DATASET, in PHOENIX14T's layout, again with other signers, into the data set OUT.

    OUT holds DATASET's clips and, after them, the new ones <clip>__aug01 ... with their glosses, translation and
    speaker. The same command goes on with a run that was stopped. A job array does a share each with --shard I/N,
    then --merge checks the shares and writes the layout's files.
    """
    from signgen.augmentation.run import Task, augment
    from signgen.augmentation.settings import Settings
    from signgen.augmentation.signers import pick_signers
    from signgen.augmentation.variation import Variation

    existing_path(dataset)
    settings = Settings(
        pick_signers(signers, signers_from), splits=splits or ("train",), layouts=layouts or ("phoenix14t",),
        variation=Variation.parse(vary or ("all",), mirror), gate=None if no_gate else gate, **options,
    )  # fmt: skip
    task = Task(dataset, Path(out), settings, keypoints, share, jobs, ray, originals, leave_out, merge, dry_run)
    result = augment(task, lambda line: click.echo(line, err=True), progress)
    emit(result, as_json, _text(result))


def _text(result: dict[str, Any]) -> str:
    if "done" not in result:
        return f"{result['output']}: nothing was made"
    lines = [f"{clip}: left out: {reason}" for clip, reason in result["left_out"]]
    lines.append(
        f"{result['output']}: {result['done']:,} of {result['clips']:,} clips, {result['frames']:,} frames;"
        f" {result['made']:,} frames now at {result['frames_per_second']:.1f}/s"
    )
    if result["judged"]:
        share = f"{result['failed_gate']} of {result['judged']} clips ({result['failed_share']:.1%})"
        lines.append(f"hands: {share} do not match their keypoints and are marked")
    if not result["written"]:
        share = "/".join(map(str, result["share"]))
        lines.append(f"share {share} is done; --merge instead of --shard, when all are, writes the layout's files")
    lines += [f"{layout}: {', '.join(files)}" for layout, files in result["written"].items()]
    return "\n".join([*lines, result["licence"]])
