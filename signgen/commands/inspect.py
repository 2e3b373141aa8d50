"""``signgen inspect``: what a keypoint file holds and lacks, and whether a data set is whole."""

from __future__ import annotations

import os
from typing import Any

import click

from signgen.commands.common import common_options, emit, given, option_of, progress
from signgen.commands.options import (
    frame_check_option,
    jobs_option,
    keypoint_files_option,
    reading_options,
    split_option,
)

MANY = 20  # clips of one reason that are named one by one


@click.command()
@click.argument("path", metavar="KEYPOINTS|DATASET")
@reading_options
@keypoint_files_option
@split_option
@frame_check_option
@jobs_option
@common_options
def command(
    path: str, keypoints: tuple[str, ...], splits: tuple[str, ...], check: str, jobs: int, as_json: bool,
    **reading: Any,
) -> None:  # fmt: skip
    """Say what KEYPOINTS holds: format, frames, size, rate, missing parts, points outside of the frame.

    KEYPOINTS is a file, a folder with a file for each frame, or - for standard input.

    A folder in PHOENIX14T's layout (DATASET), or in PHOENIX-2014's, CSL-Daily's or How2Sign's, is looked at as a whole:
    its counts beside the known ones, and every clip with missing or damaged frames, without keypoints, with keypoints
    of another length, with infinite coordinates or with scores above 1: what is corrected, and what is left out.

    DeepFashion In-shop and Market-1501, as the papers of person synthesis have them, are counted likewise.
    """
    from pathlib import Path

    from signgen.dataset.persons.tables import holds_pairs, survey
    from signgen.dataset.phoenix import is_release
    from signgen.errors import Mismatch

    if os.path.isdir(path) and holds_pairs(Path(path)):
        others = given("path", "splits")
        if others:
            raise Mismatch(path, f"is a data set of pairs of pictures; got {option_of(min(others))}", "leave it out")
        result = survey(path, splits)
        emit(result, as_json, _pairs_text(result))
        return
    of_clip, of_dataset = any(reading.values()), given() & {"keypoints", "splits", "check", "jobs"}
    is_dataset = os.path.isdir(path) and is_release(path)
    if of_clip if is_dataset else of_dataset:
        got, wrong = "is no data set in PHOENIX14T's layout", "--keypoints, --split, --check and --jobs"
        if is_dataset:
            got, wrong = "is a data set", "--from, --frame-size and other options of a clip"
        raise Mismatch(path, got, f"leave out {wrong}")
    if is_dataset:
        result = _survey(path, keypoints, splits, check, jobs)
        emit(result, as_json, _survey_text(result))
        return
    from signgen.keypoints import read_keypoints
    from signgen.keypoints.summary import summary

    result = summary(read_keypoints(path, **reading, first=True))
    emit(result, as_json, _text(result))


def _survey(
    path: str, places: tuple[str, ...], wanted: tuple[str, ...], check: str, jobs: int
) -> dict[str, Any]:  # fmt: skip
    from signgen.dataset.phoenix import PhoenixIndex
    from signgen.dataset.survey import chosen_splits, keypoint_source, survey

    index = PhoenixIndex(path)
    splits = chosen_splits(index, wanted)
    source = keypoint_source(index, places, splits)
    with progress(sum(len(index.clips(split)) for split in splits), "clips") as advance:
        return survey(index, splits, source, check, jobs, advance)


def _survey_text(result: dict[str, Any]) -> str:
    """Every clip in which something was found, then the counts; what many clips share stands in one line."""
    lines = []
    for split, part in result["splits"].items():
        found = [(name, f"left out: {what}") for name, what in part["left_out"]]
        found += [(name, f"corrected: {what}") for name, what in part["mended"]]
        found += [(name, f"its folder is a link to {place}") for name, place in part["folders_elsewhere"]]
        found += [(name, "ignored: no frame") for name in part["stray_files"]]
        found += [(name, "ignored: a folder without a line in the corpus file") for name in part["folders_without_row"]]
        lines += _by_clip(split, found)
    size = "x".join(map(str, result["frame_size"])) if result["frame_size"] else "no"
    usable = any(part["usable_clips"] for part in result["splits"].values())
    formats = ", ".join(result["keypoint_formats"]) or ("one file a clip" if usable else "none that fit")
    lines.append(f"{result['dataset']}: {size} frames; keypoints: {formats}, "
                 f"{result['keypoints_of_no_clip']} of no clip here")  # fmt: skip
    for split, part in result["splits"].items():
        known = part["phoenix14t"]
        lines.append(
            f"  {split}: {part['clips']:,} clips (PHOENIX14T has {known['clips']:,}), {part['frames']:,} frames "
            f"({known['frames']:,}), {len(part['speakers'])} signers; {part['usable_clips']:,} clips, "
            f"{part['usable_frames']:,} frames usable, {len(part['left_out']):,} clips left out, "
            f"{len({name for name, _ in part['mended']}):,} corrected"
        )
    return "\n".join(lines)


def _pairs_text(result: dict[str, Any]) -> str:
    lines = [f"{result['dataset']}: pairs of pictures, layout {result['layout']}"]
    for split, part in result["splits"].items():
        lines += [f"{split} {name}: left out: {why}" for name, why in part["left_out"][:MANY]]
        lines.append(
            f"  {split}: {part['pairs']:,} pairs (the papers have {part['pairs_known']:,}; {part['rule']}), "
            f"{part['pictures']:,} pictures of {part['people']:,} people in {part['outfits']:,} outfits; "
            f"{part['points_missing']:.0%} of the points missing, {part['trunks_missing']:,} pictures without a whole "
            f"trunk, {len(part['left_out']):,} pairs left out"
        )
    return "\n".join(lines)


def _by_clip(split: str, found: list[tuple[str, str]]) -> list[str]:
    """A line for each clip and what was found, in their order; more than `MANY` of a kind share one line."""
    alike: dict[str, list[str]] = {}
    for name, what in found:
        alike.setdefault(what, []).append(name)
    lines: dict[str, None] = {}  # in order, each once
    for name, what in found:
        names = alike[what]
        together = f"{split}: {len(names):,} clips: {what}: {', '.join(names[:3])} ... (all with --json)"
        lines[f"{split} {name}: {what}" if len(names) <= MANY else together] = None
    return list(lines)


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
