"""`signgen prepare` for pairs of pictures: the same folder as of clips, so that the same trainings read it.

A clip is what is connected by pairs, the pictures of one outfit; its frames are these pictures, at one size.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from signgen.dataset.cache import CachedClip
from signgen.dataset.files import is_whole, locked, read_json, write_npy, write_text
from signgen.dataset.persons.names import person_of
from signgen.dataset.persons.tables import PairTable, find_layout, read_table, splits_of
from signgen.dataset.planning import mark_folder
from signgen.dataset.prepare import Needs, Progress, Work, bytes_left, check_free, filled, names_of
from signgen.dataset.prepared import INDEX, KEYPOINTS, MARK, PROTOCOL, Index, is_prepared, shard_borders
from signgen.dataset.protocol import Protocol
from signgen.errors import Mismatch, NotFound
from signgen.files import remove_leftovers
from signgen.keypoints.layouts.body18 import from_body18

PAIRS = "pairs.csv"


@dataclass(frozen=True)
class Grouped:
    """A table whose pictures stand by outfit.

    Attributes:
        clips: of the pictures in their new order; order: (P,) the table's picture at each place.
        places: (P,) the place of each of the table's pictures.
    """

    clips: tuple[CachedClip, ...]
    order: np.ndarray
    places: np.ndarray


def grouped(table: PairTable) -> Grouped:
    """Pictures that pairs connect, one group after the other, each by name."""
    count = len(table.pictures)
    graph = coo_matrix((np.ones(len(table.pairs)), table.pairs.T), (count, count))
    _, group = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(count), group))
    clips: list[CachedClip] = []
    for start, stop in _runs(group[order]):
        name = table.pictures[order[start]].name
        clips.append(CachedClip(Path(name).stem, person_of(name), start, stop))
    places = np.empty(count, np.int64)
    places[order] = np.arange(count)
    return Grouped(tuple(clips), order, places)


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    """First and last + 1 of each run of equal values."""
    ends = np.flatnonzero(np.diff(values)) + 1
    return list(zip([0, *ends.tolist()], [*ends.tolist(), len(values)], strict=True))


def prepare_pairs(
    work: Work,
    size: tuple[int, int],
    layout: str | None,
    say: Callable[[Needs, int], None],
    progress: Progress,
    dry_run: bool = False,
) -> dict[str, Any]:
    """As `signgen.dataset.prepare.prepare`, of a data set that `signgen.dataset.persons.tables` reads.

    Args:
        work: of its plan, ``shard_frames`` alone counts. size: (W, H) that pictures get, whatever their aspect.
        layout: see `signgen.dataset.persons.tables`; None: found.
    """
    begun = time.monotonic()
    root = Path(work.data)
    layout = find_layout(root, layout)
    splits = work.splits or splits_of(root, layout)
    tables = {split: read_table(root, split, layout) for split in splits}
    encoders = work.encoders()
    names = names_of(encoders, size)
    needs = {
        split: bytes_left(work, split, size, len(t.pictures), len(np.unique(t.pairs[:, 0])), encoders, names)
        for split, t in tables.items()
    }
    free = check_free(work.out, sum(sum(parts.values()) for parts in needs.values()), "leave out frames (--no-frames)")
    say(needs, free)
    report: dict[str, Any] = {
        "output": str(work.out), "layout": layout, "bytes": needs, "free_bytes": free, "splits": {},
    }  # fmt: skip
    if dry_run:
        return report
    work.out.mkdir(parents=True, exist_ok=True)
    with locked(work.out):
        mark_folder(work.out, root, layout=layout)
        remove_leftovers(work.out)
        planned = [_planned(work, table, size) for table in tables.values()]
    for index in planned:
        part = filled(work, root, index, encoders, names, progress)
        report["splits"][index.split] = part | {"pictures": index.frames, "rule": tables[index.split].rule}
    report["seconds"] = round(time.monotonic() - begun, 1)
    return report


def _planned(work: Work, table: PairTable, size: tuple[int, int]) -> Index:
    """Keypoints, pairs and index of a split; one that is there is taken as it is.

    Raises:
        Mismatch: it was made of other pictures or pairs, or at another size.
    """
    place, groups = work.out / table.split, grouped(table)
    folders = tuple(table.pictures[number].path for number in groups.order)
    borders = shard_borders([clip.stop - clip.start for clip in groups.clips], work.plan.shard_frames)
    index = Index(
        table.split, size, groups.clips, folders, borders, (table.layout,), (), table.left_out, pictures=True
    )  # fmt: skip
    known = Index.find(place / INDEX)
    if known is not None and is_whole(place / KEYPOINTS, known.frames):
        if (known.size, known.folders) != (size, folders) or (place / PAIRS).read_text("utf-8") != _csv(table):
            got = f"was prepared at {known.size[0]}x{known.size[1]} from {known.frames} pictures, or of other pairs"
            raise Mismatch(place, got, "delete it or name another folder")
        return known
    points = from_body18(table.points(size))[groups.order]
    write_npy(place / KEYPOINTS, iter([points]))
    pairs = groups.places[table.pairs]  # (N, 2) places
    starts = np.array([clip.start for clip in groups.clips])
    clip = np.searchsorted(starts, pairs[:, 0], "right") - 1
    source, target = (pairs - starts[clip][:, None] + 1).T
    Protocol(tuple(clip.name for clip in groups.clips), clip, source, target, table.rule, -1).save(place / PROTOCOL)
    write_text(place / PAIRS, _csv(table))
    write_text(place / INDEX, index.to_json())  # last: without it the split is not planned
    return index


def _csv(table: PairTable) -> str:
    """source,target of each pair, by name."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("source", "target"), *table.names])
    return text.getvalue()


def table_of(data: str | Path, split: str = "test", layout: str | None = None) -> PairTable:
    """The table of a data set, or of the one that a folder of `signgen prepare` was made from."""
    if not is_prepared(data):
        return read_table(data, split, layout)
    mark = read_json(Path(data) / MARK)
    if "layout" not in mark:
        raise NotFound(data, "was prepared from clips and holds no pairs of pictures", "name a data set of pairs")
    root = Path(str(mark["release"]))
    return read_table(root, split, layout or str(mark["layout"]))
