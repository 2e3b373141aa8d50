"""From finished shares to a data set: nothing missing, nothing doubled, the layouts' files, a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from signgen.augmentation.jobs import Job, plain_name
from signgen.augmentation.layouts import wants_originals, write_layouts
from signgen.augmentation.layouts.entries import Split, collect, failed_gate
from signgen.augmentation.originals import place_originals
from signgen.augmentation.store import DONE, FRAMES, LEFT_OUT, VIDEOS, Store, count_made
from signgen.dataset.phoenix import PhoenixIndex, list_frames
from signgen.errors import Damaged, Mismatch, Missing

Records = Mapping[str, Mapping[str, Any]]


def finish(
    index: PhoenixIndex,
    store: Store,
    jobs: Sequence[Job],
    records: Records,
    layouts: Sequence[str],
    frame: tuple[int, int],
    originals: str,
    leave_out: bool,
    workers: int = 1,
) -> tuple[dict[str, list[str]], list[str]]:
    """Checks everything and writes the layouts' files; returns their names by layout, and warnings.

    Args:
        index: the source data set; jobs: all clips that were to be made; records: of the manifest.
        originals: ``link``, ``copy`` or ``none``; leave_out: clips that failed the gate are not in the set.
        workers: processes that write originals as PNG files.

    Raises:
        InputError: a clip is missing, or one lies there that nobody planned.
    """
    check(store, jobs, records, index)
    splits = collect(index, store, jobs, records, originals != "none", leave_out)
    if originals != "none" and wants_originals(layouts):
        place_originals(store, splits, originals, workers)
    written = write_layouts(store.out, layouts, splits, frame)
    store.clear()
    return written, [*_converted(store, splits, layouts), *_gaps(splits, layouts)]


def _converted(store: Store, splits: Sequence[Split], layouts: Sequence[str]) -> list[str]:
    """A line on the originals that are no PNG files, where readers of the layouts' files take no others."""
    if store.media != "png" or not ("slrt" in layouts or wants_originals(layouts)):
        return []
    old = [entry for split in splits for entry in split.entries if not entry.generated]
    others = [entry.name for entry in old if entry.needs_png()]
    wording = "and were written as such, which takes space and time: --originals none leaves them out"
    return [f"{len(others)} clips of the data set are no PNG files, such as {others[0]}, {wording}"] if others else []


def _gaps(splits: Sequence[Split], layouts: Sequence[str]) -> list[str]:
    """What readers of the layouts' files will miss: one line for each kind."""
    entries, lines = [entry for split in splits for entry in split.entries], []
    blind = [entry.name for entry in entries if entry.frames is None and not entry.generated]
    if blind and set(layouts) - {"mska"}:
        lines.append(f"{len(blind)} clips of the data set have no frames, such as {blind[0]}, and are in the lists all"
                     " the same: --originals none leaves the data set's clips out")  # fmt: skip
    bare = [entry.name for entry in entries if entry.keypoints is None]
    holders = [layout for layout in ("slrt", "mska") if layout in layouts]
    if bare and holders:
        lines.append(
            f"{len(bare)} clips have no keypoints, such as {bare[0]}: {' and '.join(holders)} has none of them"
        )
    return lines


def check(store: Store, jobs: Sequence[Job], records: Records, index: PhoenixIndex) -> None:
    """InputError unless every job has its record and its files, and no other clip is there."""
    missing = [job.name for job in jobs if job.name not in records]
    if missing:
        got = f"lacks {len(missing)} of {len(jobs)} clips, such as {missing[0]}"
        raise Missing(store.out, got, "give the command again for the share that was not finished")
    torn = [job.name for job in jobs if not is_whole(store, job, records[job.name])]
    if torn:
        got = f"{len(torn)} clips have lost files since they were made, such as {torn[0]}"
        raise Damaged(store.out, got, "give the command again: it makes them once more")
    planned = {job.name for job in jobs}
    originals = {name for clip in index for name in (clip.name, plain_name(clip.name))}  # both may be in the tree
    there = {path.name for path in (store.out / FRAMES).glob("*/[!.]*")}
    there |= {path.stem for path in (store.out / VIDEOS).glob("*/[!.]*")}
    strange = sorted(records.keys() - planned) or sorted(there - planned - originals)
    if strange:
        got = f"holds {len(strange)} clips that are not of this plan, such as {strange[0]}"
        raise Mismatch(store.out, got, "use the signers, copies and splits that they were made with")


def is_whole(store: Store, job: Job, record: Mapping[str, Any]) -> bool:
    """Whether the files that a record speaks of are there."""
    if record["state"] == LEFT_OUT:
        return True
    if not store.keypoints(job.name).is_file():
        return False
    if store.media == "mp4":
        return store.clip(job.split, job.name).is_file()
    if store.media == "none":
        return True
    listing = list_frames(store.clip(job.split, job.name))
    return len(listing.files) == record["frames"] and not listing.missing


def summary(jobs: Sequence[Job], records: Records, store: Store) -> dict[str, Any]:
    """Counts over the clips that have a record, with the share of those that failed the gate."""
    known = [records[job.name] for job in jobs if job.name in records]
    done = [record for record in known if record["state"] == DONE]
    judged = [record for record in done if record.get("gate")]
    failed = [record for record in judged if failed_gate(record)]
    return {
        "clips": len(jobs),
        "done": len(done),
        "left_out": [[record["clip"], record["reason"]] for record in known if record["state"] == LEFT_OUT],
        "frames": sum(record["frames"] for record in done),
        "bytes": sum(record["bytes"] for record in done),
        "judged": len(judged),
        "failed_gate": len(failed),
        "failed_share": round(len(failed) / len(judged), 4) if judged else None,
        "made_twice": count_made(store.out) - sum(record["state"] == DONE for record in records.values()),
    }
