"""An augmentation from its arguments to a finished data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signgen.augmentation.clip import Maker
from signgen.augmentation.finishing import Records, finish, is_whole, summary
from signgen.augmentation.jobs import Job, Rate, describe, frames_of, of_phoenix, plan_jobs, share_of
from signgen.augmentation.layouts import wants_originals
from signgen.augmentation.layouts.entries import needs_png
from signgen.augmentation.origin import check_keypoints, open_dataset
from signgen.augmentation.recipe import (
    Recipe,
    check_not_itself,
    make_folder,
    open_recipe,
    reopen_recipe,
    threads_restored,
)
from signgen.augmentation.settings import Settings
from signgen.augmentation.store import DONE, LEFT_OUT, open_part, read_records, same_content, store_of
from signgen.dataset.phoenix import PhoenixIndex
from signgen.dataset.prepare import check_free
from signgen.errors import Empty, Mismatch, NotWritable
from signgen.files import temporary_folder
from signgen.processes import cores, in_processes

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

Say = Callable[[str], None]
Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
_WARM, _MEASURED = slice(0, 8), slice(8, 32)  # frames of the trial that the plan is reckoned from
_TRIES = 5  # clips that a trial may find unusable
# Of drawn clips, as many copies by as many signers as usual, with the usual variation: word error rates of new signers,
# per cent, without and with copies; the difference, its 95 % interval over signers and trainings, and the share of what
# perfect copies bring, with its interval.
# docs/augment.md, from benchmarks/augmentation_results.json.
MEASURED: dict[str, Any] = {
    "true_clips": 240, "copies": 960, "signers": 32, "trainings": 2, "wer": 33.6, "wer_with_copies": 21.9,
    "difference": -11.7, "interval": [-19.0, -4.4], "share_of_ceiling": 0.92, "share_interval": [0.46, 1.35],
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """Arguments of `augment`; those beside ``settings``, which say what is made, are `signgen.augment`'s."""

    dataset: str | Path
    out: Path
    settings: Settings
    keypoints: tuple[str, ...] = ()
    share: tuple[int, int] = (1, 1)
    jobs: int = 0
    ray: str | None = None
    originals: str = "link"
    leave_out: bool = False
    merge: bool = False
    dry_run: bool = False


def augment(task: Task, say: Say, progress: Progress) -> dict[str, Any]:
    """Makes the clips that are not there yet and, when all are, the files of the layouts; see `signgen.augment`.

    Args:
        say: called with each line of the plan; progress: ``progress(total, label)`` gives ``advance(n)``.
    """
    if task.ray is not None:
        from signgen.augmentation.cluster import import_ray

        import_ray()  # what is missing is to be said before anything is tried or written
    if task.dry_run:
        return _planned(task, say)
    ours = not task.out.exists()
    try:
        return _augment(task, say, progress)
    finally:
        if ours:  # an error leaves no empty folder behind
            with suppress(OSError):
                task.out.rmdir()


def _augment(task: Task, say: Say, progress: Progress) -> dict[str, Any]:
    begun = time.monotonic()
    make_folder(task.out, Path(task.dataset))
    index = open_dataset(task.dataset, task.keypoints, task.out)
    settings = task.settings
    jobs = plan_jobs(index, settings.splits, settings.signers, settings.copies, settings.seed, settings.nested)
    check_keypoints(share_of(jobs, *task.share), read_records(task.out))
    made: dict[str, Any] = {}
    if task.merge:
        recipe = reopen_recipe(index, task.out, settings)
    else:
        recipe, *loaded = open_recipe(index, task.out, settings)
        made = _make_share(task, index, recipe, jobs, loaded, say, progress)
    seconds = time.monotonic() - begun
    records = read_records(task.out)
    written, warnings = dict[str, list[str]](), list[str]()
    if task.share == (1, 1) or task.merge:  # this call did all the work, or is asked to
        written, warnings = finish(
            index, recipe.store, jobs, records, settings.layouts, recipe.frame, task.originals, task.leave_out,
            task.jobs or cores(),
        )  # fmt: skip
    frames = made.get("frames", 0)
    return {
        "output": str(task.out), **summary(jobs, records, recipe.store), "written": written, "share": list(task.share),
        "made": frames, "seconds": round(seconds, 2), "frames_per_second": round(frames / max(seconds, 1e-9), 3),
        "licence": recipe.licence, "weights_sha256": recipe.weights, "plan": made.get("plan", {}), "warnings": warnings,
    }  # fmt: skip


def _make_share(
    task: Task, index: PhoenixIndex, recipe: Recipe, jobs: Sequence[Job], loaded: list[SignGenPipeline], say: Say,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Makes what this call's share lacks; returns the plan and how many frames were made.

    ``loaded`` holds the model, and is emptied where others load their own: two at a time would not fit everywhere.
    """
    plan, frames = dict[str, Any](), 0
    with open_part(task.out, *task.share) as part:
        records = read_records(task.out)
        left = _left(task, recipe, jobs, records)
        if left:
            plan = _plan(task, index, left, records, recipe, loaded[0], say)
            check_free(task.out, plan["left"]["bytes"], "choose --media mp4")
        if _workers(task, recipe, len(left)) != 1:
            loaded.clear()
        with progress(len(left), "clips") as advance, closing(_made(task, recipe, left, loaded)) as finished:
            advance(0)
            for record in finished:
                if record["state"] == DONE or not same_content(record, records.get(record["clip"], {})):
                    part.append(record)
                frames += record.get("frames", 0)
                advance(1)
        part.arrange([job.name for job in share_of(jobs, *task.share)])
    return {"plan": plan, "frames": frames}


def _left(task: Task, recipe: Recipe, jobs: Sequence[Job], records: Records) -> list[Job]:
    """The jobs of this call's share whose clips are not there; those left out may do by now, so they are tried."""
    return [
        job for job in share_of(jobs, *task.share)
        if job.name not in records or records[job.name]["state"] == LEFT_OUT
        or not is_whole(recipe.store, job, records[job.name])
    ]  # fmt: skip


def _workers(task: Task, recipe: Recipe, jobs: int) -> int:
    """How many processes work; 0 where a cluster does."""
    if task.ray is not None:
        return 0
    usual = cores() // recipe.settings.threads if recipe.computes["device"] == "cpu" else 1
    return max(1, min(task.jobs or usual, jobs))


def _made(
    task: Task, recipe: Recipe, jobs: Sequence[Job], loaded: Sequence[SignGenPipeline]
) -> Generator[dict[str, Any]]:
    """The records of the jobs as they are finished, by the workers that were asked for."""
    if not jobs:
        return
    if task.ray is not None:
        from signgen.augmentation.cluster import make_on_cluster

        yield from make_on_cluster(recipe, jobs, task.ray)
    elif (workers := _workers(task, recipe, len(jobs))) > 1:
        threads = recipe.settings.threads
        yield from in_processes(_make, jobs, workers, _begin, (recipe,), ordered=False, threads=threads)
    else:
        with threads_restored():
            yield from map(Maker(recipe, loaded[0]).make, jobs)


_makers: list[Maker] = []  # of a worker process: one


def _begin(recipe: Recipe) -> None:
    _makers.append(Maker(recipe))


def _make(job: Job) -> dict[str, Any]:
    return _makers[0].make(job)


# -- the plan --------------------------------------------------------------------------------------------------------


def _planned(task: Task, say: Say) -> dict[str, Any]:
    """What this call would make and what was measured to be gained; what that needs is in a folder that goes."""
    if task.merge:
        raise Mismatch("--plan", "got with --merge, which makes no clips", "give one of them")
    settings = task.settings
    check_not_itself(task.out, Path(task.dataset))
    if task.out.is_file():
        raise NotWritable(task.out, "is a file", "give the name of a folder")
    with temporary_folder() as place:
        index = open_dataset(task.dataset, task.keypoints, task.out, place)
        jobs = plan_jobs(index, settings.splits, settings.signers, settings.copies, settings.seed, settings.nested)
        records = read_records(task.out)
        check_keypoints(share_of(jobs, *task.share), records)
        recipe, pipeline = open_recipe(index, task.out, settings, dry=True)
        left = _left(task, recipe, jobs, records)
        plan = _plan(task, index, left, records, recipe, pipeline, say) if left else {}
    if not left:
        say("to be made: nothing, all clips are there")
    measured = (
        "measured with drawn clips: {copies} copies of {true_clips} clips by {signers} signers change the word error"
        " rate of new signers by {difference:+.1f} points ({interval[0]:+.1f} to {interval[1]:+.1f}), from {wer} to"
        " {wer_with_copies} %, with random changes in both: {share_of_ceiling:.0%} ({share_interval[0]:.0%} to"
        " {share_interval[1]:.0%}) of what perfect copies do (trainings: {trainings})"
    )
    say(measured.format(**MEASURED))
    return {"output": str(task.out), "plan": plan, "measured": [MEASURED]}


def _plan(
    task: Task, index: PhoenixIndex, jobs: Sequence[Job], records: Records, recipe: Recipe, pipeline: SignGenPipeline,
    say: Say,
) -> dict[str, Any]:  # fmt: skip
    """Frames, hours and disk of the jobs and of the whole PHOENIX14T, from finished clips or a short trial."""
    rate = Rate.of([dict(record) for record in records.values() if record["state"] == DONE])
    rate = rate or _trial(jobs, recipe, pipeline)
    counts = {(clip.split, clip.name): frames_of(clip) for clip in index}
    frames, settings = sum(counts[job.split, job.source] for job in jobs), recipe.settings
    again, converted = written_again(task), _converted(task, index, counts)
    plan: dict[str, Any] = {
        "seconds_per_frame": round(rate.seconds, 4),
        "bytes_per_frame": round(rate.bytes),
        "left": rate.plan(len(jobs), frames, again=again(frames, sum(counts.values())) + converted),
        "phoenix14t": of_phoenix(rate, settings.splits, settings.copies, again),
    }
    say(describe("to be made", plan["left"]))
    say(describe("the whole PHOENIX14T", plan["phoenix14t"]))
    return plan


def written_again(task: Task) -> Callable[[int, int], int]:
    """Says how many frames this call writes beside the clips' own: a share writes no layout's files.

    What is returned takes the numbers of new frames and of the source's.
    """
    layouts, whole = task.settings.layouts, task.share == (1, 1)
    zipped, copied = whole and "slrt" in layouts, whole and task.originals == "copy" and wants_originals(layouts)
    return lambda new, old: zipped * (new + (task.originals != "none") * old) + copied * old


def _converted(task: Task, index: PhoenixIndex, counts: Mapping[tuple[str, str], int]) -> int:
    """How many of the data set's frames a call with links writes as PNG files, for they are none."""
    settings, whole = task.settings, task.share == (1, 1)
    if not (whole and task.originals == "link" and settings.media == "png" and wants_originals(settings.layouts)):
        return 0
    return sum(counts[clip.split, clip.name] for clip in index if needs_png(clip.folder))


def _trial(jobs: Sequence[Job], recipe: Recipe, pipeline: SignGenPipeline) -> Rate:
    """A few frames of a usable clip, made as a worker makes them and thrown away.

    Clips that have keypoints are tried, from all over the data set: in one where few have them, the first ones say
    nothing of the rest.
    """
    reason, able = "there is no clip", [job for job in jobs if job.keypoints is not None] or jobs
    tried = able[:: -(-len(able) // _TRIES) or 1]
    with temporary_folder() as place, threads_restored():
        trial = replace(recipe, store=store_of(place, recipe.settings))
        maker = Maker(trial, pipeline)
        for job in tried:
            record = maker.make(job, _WARM)
            rate = Rate.of([maker.make(job, _MEASURED)]) if record["state"] == DONE else None
            if rate is not None:
                return rate
            reason = record.get("reason", reason)
    got = f"none of {len(tried)} clips that were tried can be made ({reason})"
    raise Empty(recipe.store.out, got, "repair the data set")
