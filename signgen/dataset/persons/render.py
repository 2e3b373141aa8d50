"""`signgen render-pairs`: a picture of each pair's source in its target's pose, as files that papers' scores read.

A picture depends on model, settings, seed and its pair's number alone: a run that is stopped goes on, and shares of it
give what one run gives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from signgen.dataset.files import read_json, whole_file, write_text
from signgen.dataset.persons.names import outfit_of, output_name
from signgen.dataset.persons.tables import PairTable
from signgen.dataset.shards import Pictures
from signgen.errors import Mismatch, Unsupported
from signgen.files import check_replaceable, check_target, remove_leftovers
from signgen.keypoints.layouts.body18 import from_body18
from signgen.model.networks.canvas import fit_points
from signgen.pose_image import draw_points
from signgen.rendering.run import scheduled

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline
    from signgen.rendering import RenderSettings

RECORD = "render-pairs.json"
_OURS = rf"{RECORD}|\.signgen-.*|.+_2_.+_vis\.png"


def render_pairs(
    table: PairTable,
    pipeline: SignGenPipeline,
    out: Path,
    settings: RenderSettings,
    sources: int = 1,
    share: tuple[int, int] = (1, 1),
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Renders the pairs of a table that are not there yet, and returns what was done as plain data.

    Args:
        pipeline: its ``pose_style`` says how poses are drawn, its ``frame_size`` how large the pictures are.
        settings: steps, guidance, guidance rule, scheduler and seed; None is the model's own.
        sources: pictures of the person that the model sees: the pair's source, then further ones of its outfit by name,
            never the target (IMAGPose's T3 has 3).
        out: folder of the pictures, ``<source>_2_<target>_vis.png``, and of `RECORD`, which says how they were made.
        share: (I, N), this call's share of the pairs. limit: only the first so many pairs.
        progress: called as ``progress(pairs done, pairs in all)``.

    Raises:
        InputError: the folder holds something else, or pictures of another model or other settings; the model cannot be
            driven by 18 points.
        RunError: the disk is full.
    """
    begun = time.monotonic()
    if pipeline.guided:
        raise Unsupported(pipeline.name, "reads solid hands beside the skeleton", "take a model trained on pairs")
    record = _record(table, pipeline, settings, sources)
    _open_folder(out, record)
    numbers = range(len(table.pairs))[:limit][share[0] - 1 :: share[1]]
    names = {number: out / output_name(*table.names[number]) for number in numbers}
    left = [number for number in numbers if not names[number].is_file()]
    done = len(numbers) - len(left)
    progress(done, len(numbers))
    with scheduled(pipeline, settings.scheduler):
        for number, picture in _rendered(table, pipeline, settings, sources, left):
            with whole_file(names[number]) as temporary:
                Image.fromarray(picture).save(temporary, "png")
            done += 1
            progress(done, len(numbers))
    return {
        "output": str(out), "pairs": len(numbers), "rendered": len(left), "share": list(share),
        "seconds": round(time.monotonic() - begun, 2), **record,
    }  # fmt: skip


def _record(table: PairTable, pipeline: SignGenPipeline, settings: RenderSettings, sources: int) -> dict[str, Any]:
    from signgen import __version__

    own = pipeline.config
    return {
        "generated": "pictures of people made by a model, no photographs", "version": __version__,
        "data": str(table.root), "layout": table.layout, "split": table.split, "model": pipeline.name,
        "weights_sha256": pipeline.weights_sha256(), "size": list(pipeline.frame_size),
        "pose_style": own.pose_style, "sources": sources, "seed": settings.seed, "steps": settings.steps or own.steps,
        "guidance": list(settings.guidance or own.guidance),
        "guidance_rule": settings.guidance_rule or own.guidance_rule,
        "scheduler": settings.scheduler or type(pipeline.scheduler).__name__,
    }  # fmt: skip


def _open_folder(out: Path, record: dict[str, Any]) -> None:
    """A new folder, or one that was begun in the same way."""
    check_target(out, "folder")
    check_replaceable(out, _OURS)
    out.mkdir(exist_ok=True)
    remove_leftovers(out, deep=False)
    path = out / RECORD
    if path.is_file():
        known = read_json(path, "delete the folder and render again")
        where = ("data", "version", "model")  # the same things may be called otherwise
        changed = [name for name in record if name not in where and known.get(name) != record[name]]
        if changed:
            got = f"was rendered with another {changed[0]}: {known.get(changed[0])!r}, now {record[changed[0]]!r}"
            raise Mismatch(out, got, "name another folder, or give the same settings again")
    else:
        write_text(path, json.dumps(record, indent=2) + "\n")


def _rendered(
    table: PairTable, pipeline: SignGenPipeline, settings: RenderSettings, sources: int, numbers: list[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """(pair, picture uint8 (H, W, 3)); pairs of the same sources follow each other, which are encoded once."""
    size = pipeline.frame_size
    pictures = Pictures(table.files, size)
    points = from_body18(table.points(size))
    outfits = _outfits(table)
    chosen = {number: _sources(table, number, outfits, sources) for number in numbers}
    in_order = sorted(numbers, key=lambda number: (chosen[number], number))
    for seen, alike in groupby(in_order, key=chosen.__getitem__):
        source = pipeline.encode_source(pictures[list(seen)], _poses(pipeline, points[list(seen)]))
        for number in alike:
            target = int(table.pairs[number, 1])
            window = pipeline(
                source, _poses(pipeline, points[[target]]), [number], num_inference_steps=settings.steps,
                guidance_scale=settings.guidance, guidance_rule=settings.guidance_rule, seed=settings.seed,
            )  # fmt: skip
            yield number, window.frames[0]


def _sources(table: PairTable, number: int, outfits: dict[int, list[int]], count: int) -> tuple[int, ...]:
    """The pair's source and further pictures of the outfit, as far as there are some; never the target."""
    source, target = (int(picture) for picture in table.pairs[number])
    more = [picture for picture in outfits[source] if picture not in (source, target)]
    return (source, *more[: count - 1])


def _outfits(table: PairTable) -> dict[int, list[int]]:
    """Picture -> pictures of the same outfit."""
    found: dict[str, list[int]] = {}
    for number, picture in enumerate(table.pictures):
        found.setdefault(outfit_of(picture.name), []).append(number)
    return {number: numbers for numbers in found.values() for number in numbers}


def _poses(pipeline: SignGenPipeline, points: np.ndarray) -> np.ndarray:
    """Pose images uint8 (N, H', W', 3) on the model's canvas, of points (N, 133, 3) in pixels of its frame."""
    placed, size = fit_points(points, *pipeline.frame_size), pipeline.canvas_size
    return draw_points(placed[..., :2], placed[..., 2], size, size, pipeline.config.pose_style)
