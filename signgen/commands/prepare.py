"""``signgen prepare``: a data set of clips, or of pairs of pictures, made ready for training, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signgen.commands.common import common_options, emit, given, option_of, progress
from signgen.commands.options import (
    SHARE,
    SIZE,
    frame_check_option,
    jobs_option,
    keypoint_files_option,
    layout_option,
    split_option,
)

if TYPE_CHECKING:
    from signgen.dataset.encoded import Encoders

_OF_CLIPS = {"keypoints", "triplets", "sources", "seed", "skip", "skip_unusable", "check"}


@click.command()
@click.argument("dataset")
@click.argument("out")
@keypoint_files_option
@split_option
@click.option(
    "--triplets", type=click.IntRange(0), default=100_000, show_default=True, help="Training pairs; 0 = none."
)
@click.option("--sources", type=click.IntRange(0), default=0, help="Source frames of a clip; all of them by default.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the triplets.")
@click.option(
    "--size", type=SIZE, default="176x256", show_default=True,
    help="Of the pictures of a data set of pairs, aspect not kept; 352x512 and 64x128 are usual, too.",
)  # fmt: skip
@layout_option
@click.option("--frames/--no-frames", default=True, show_default=True, help="Keep decoded frames for fast loading.")
@click.option("--vae", metavar="FOLDER|ID", help="Write latents of all frames, made with this autoencoder.")
@click.option("--image-encoder", metavar="FOLDER|ID", help="Write tokens of all source frames, made with this DINOv2.")
@click.option("--image-encoder-size", type=click.IntRange(14), default=518, show_default=True, help="Its side in px.")
@click.option("--canvas", type=SIZE, help="Size that frames are scaled to for both, aspect kept, such as 416x512.")
@click.option("--skip", multiple=True, metavar="CLIP", help="Leave this clip out; may be repeated.")
@click.option("--skip-unusable", is_flag=True, help="Leave out every clip that inspect calls left out.")
@frame_check_option
@click.option("--shard", type=SHARE, default="1/1", show_default=True, help="This process's share of the work.")
@jobs_option
@click.option("--device", default="auto", show_default=True, help="Where the encoders run, such as cuda:1.")
@click.option("--allow-download", is_flag=True, help="Fetch encoders given by a hub id that are not on this machine.")
@click.option("--dry-run", is_flag=True, help="Say what it would take on the disk, and end.")
@common_options
def command(
    dataset: str, out: str, keypoints: tuple[str, ...], splits: tuple[str, ...], triplets: int, sources: int, seed: int,
    frames: bool, vae: str | None, image_encoder: str | None, image_encoder_size: int, canvas: tuple[int, int] | None,
    skip: tuple[str, ...], skip_unusable: bool, check: str, shard: tuple[int, int], jobs: int, device: str,
    allow_download: bool, dry_run: bool, as_json: bool, size: tuple[int, int], layout: str | None,
) -> None:  # fmt: skip
    """Make DATASET, in PHOENIX14T's layout, ready for training, in the folder OUT.

    DATASET may also be DeepFashion In-shop or Market-1501, as the papers of person synthesis have them on the disk:
    pairs of pictures with 18 points each.

    Writes its keypoints as one plain array, the papers' protocols as files, decoded frames, latents and tokens. OUT is
    then what `data` of a training configuration names. The same command goes on with a run that was stopped; several
    processes, on several machines, do a share each with --shard.
    """
    from signgen.dataset.persons.tables import holds_pairs
    from signgen.dataset.planning import Plan
    from signgen.dataset.prepare import Work, prepare
    from signgen.errors import Mismatch

    plan = Plan(keypoints, check, skip, skip_unusable, triplets, sources, seed)
    encoders = _encoders(vae, image_encoder, image_encoder_size, canvas, device, allow_download)
    work = Work(dataset, Path(out), encoders, plan, splits, frames, shard, jobs)
    pairs = layout is not None or holds_pairs(Path(dataset))
    wrong = given() & (_OF_CLIPS if pairs else {"size", "layout"})
    if wrong:
        what = "pairs of pictures" if pairs else "clips"
        raise Mismatch(option_of(min(wrong)), f"got it for a data set of {what}", "leave it out: it has no say there")
    if pairs:
        from signgen.dataset.persons.prepare import prepare_pairs

        result = prepare_pairs(work, size, layout, _say, progress, dry_run)
    else:
        result = prepare(work, _say, progress, dry_run)
    emit(result, as_json, _text(result))


def _encoders(
    vae: str | None, image_encoder: str | None, size: int, canvas: tuple[int, int] | None, device: str, download: bool
) -> Callable[[], Encoders]:
    def load() -> Encoders:
        from signgen.dataset.encoded import Encoders
        from signgen.errors import BadValue, InputError
        from signgen.model.loading import choose_device
        from signgen.model.published_weights import load_autoencoder, load_image_encoder

        try:
            place = choose_device(device)
        except RuntimeError as error:
            raise BadValue("--device", f"got {device!r}", "give auto, cpu, cuda, or one GPU as cuda:1") from error
        try:
            autoencoder = load_autoencoder(vae, download).to(place).eval() if vae else None
            semantic = load_image_encoder(image_encoder, download).to(place) if image_encoder else None
        except InputError as error:  # the same words as for a configuration, but an option was wrong
            option = error.subject.replace("start.", "--", 1).replace("_", "-")
            raise type(error)(option, error.got, error.advice) from None
        return Encoders(place, autoencoder, semantic, size, canvas)

    return load


def _say(needs: dict[str, dict[str, int]], free: int) -> None:
    from signgen.dataset.prepare import amount

    for split, parts in needs.items():
        click.echo(f"{split}: " + ", ".join(f"{name} {amount(size)}" for name, size in parts.items()), err=True)
    total = sum(sum(parts.values()) for parts in needs.values())
    click.echo(f"to be written: {amount(total)}; free: {amount(free)}", err=True)


def _text(result: dict[str, Any]) -> str:
    lines = []
    for split, part in result["splits"].items():
        lines += [f"{split} {name}: left out: {why}" for name, why in part["left_out"]]
        lines += [f"{split} {name}: corrected: {what}" for name, what in part["mended"]]
    for split, part in result["splits"].items():
        left = ", ".join(f"{count} shards of {name}" for name, count in part["shards_left"].items() if count)
        own = f" ({part['self_pairs']:,} of a frame with itself)" if part["self_pairs"] else ""
        if part["pairs"] < part["pairs_wanted"]:
            own = f" (all that there are; {part['pairs_wanted']:,} were asked for)"
        kind = "outfits" if "pictures" in part else "clips"
        lost = f"{len(part['left_out'])} {'pairs' if 'pictures' in part else 'clips'} left out"
        lines.append(
            f"{result['output']}/{split}: {part['clips']:,} {kind}, {part['frames']:,} frames, {part['pairs']:,} pairs"
            f"{own}, {lost}; {left + ' left to others' if left else 'complete'}"
        )
    return "\n".join(lines) or f"{result['output']}: nothing was written"
