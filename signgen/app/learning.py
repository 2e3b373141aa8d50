"""The page's third job: a model learns a person from an uploaded video, and signs an example."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signgen.app.clips import Example
from signgen.app.context import Context, Limits, Visitor
from signgen.app.jobs import Cancelled, Job, Report, Work, Working, let_others
from signgen.app.live import watched
from signgen.app.model import wait_for
from signgen.app.rendering import name_only
from signgen.errors import RunError
from signgen.files import whole

if TYPE_CHECKING:
    from signgen.personal import PersonalResult

LEARNED_FRAMES = 7500  # of a video that a model learns from: five minutes at 25 a second
TRIED = slice(0, 50)  # of the example that is signed afterwards
LONGEST = 60.0  # minutes that one visitor may have the device
LEFT = 2  # lessons that were broken off and may be gone on with; each takes up to five gigabytes


@dataclass(frozen=True)
class Lesson:
    """What a user wants learned.

    Attributes:
        video: of the person. keypoints: of all its frames, or None: they are found.
        consent: who agreed, and to what.
        minutes: of learning.
        example: what is signed afterwards.
        folder: where the files go. The same for the same lesson: it goes on where it was broken off.
    """

    video: Path
    keypoints: Path | None
    consent: str
    minutes: float
    example: Example
    folder: Path


def open_lesson(
    visitor: Visitor, video: Path, keypoints: Path | None, consent: str, minutes: float, example: Example
) -> Lesson:
    """A lesson in the folder that its content names. What was sent is kept there, since uploads get a new place each
    time, and learning goes on with the same files alone."""
    sent = [video, keypoints] if keypoints else [video]
    asked: list[Any] = [consent, minutes]
    for path in sent:
        with open(path, "rb") as file:
            asked.append([path.name, hashlib.file_digest(file, "sha256").hexdigest()])
    folder = visitor.folder(f"lesson-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}")
    places = []
    for number, path in enumerate(sent):
        place = folder / "sent" / str(number) / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            with whole(place) as copy:
                shutil.copyfile(path, copy)
        places.append(place)
    return Lesson(places[0], places[1] if keypoints else None, consent, minutes, example, folder)


@dataclass(frozen=True)
class Learned:
    """A model that has learned a person: its folder as an archive, its card's video, an example that it has signed."""

    result: PersonalResult
    archive: Path
    compare: Path
    tried: Path


def learn_job(lesson: Lesson, context: Context) -> Work:
    """The work of learning, for `signgen.app.jobs.follow`: gives a `Learned`."""

    def work(job: Job, report: Report) -> Learned:
        from signgen.personal import Recipe, personalise
        from signgen.personal.footage import FRAMES
        from signgen.personal.run import SHEET, work_of
        from signgen.rendering import RenderSettings, load_model, plan_render, run_plan

        report(Working("Reading the video"))
        base = wait_for(context.model, job.check)
        model, target = base.folder or Path("mini"), lesson.folder / "model"
        recipe = Recipe(minutes=lesson.minutes)
        unfinished = work_of(target)
        sheet: Path | None = None  # not shown yet
        said = -1
        context.workspace.spare(unfinished, LEFT)

        def wait() -> None:
            let_others(context.jobs, job, report)

        def progress(done: float, total: float) -> None:
            nonlocal said, sheet
            wait()
            if int(done) != said or sheet is not None:  # steps are faster than a page can show
                report(Working("Learning", int(done), int(total), "seconds", sheet))
                said, sheet = int(done), None

        def show(path: Path) -> None:
            nonlocal sheet
            sheet = path

        try:
            # What was sent is read in a process of its own; learning finds it read.
            if not (target.exists() or (unfinished / "video" / FRAMES).is_file()):
                given = lesson, unfinished / "video", base.frame_size, base.config.pixel_aspect, context.limits
                context.apart(job, lesson.video.name, context.limits.scoring, read_lesson, *given, check=wait)
            result = personalise(
                lesson.video, target, lesson.consent, model=model, recipe=recipe, resume=True, progress=progress,
                show=show,
            )  # fmt: skip
        except (Cancelled, RunError):  # by a stop, a page that was closed, a full disk: the lesson goes on from here
            raise
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        report(Working("Signing an example", picture=target / SHEET))
        tried = lesson.folder / "example.mp4"
        clip = lesson.example.open().keypoints
        plan = plan_render(RenderSettings(align=True, frames=TRIED), clip, output=tried, model=target)
        with watched(load_model(target, plan.settings), job.check) as pipeline:
            run_plan(plan, pipeline)
        for manifest in sorted(lesson.folder.glob("*.json")):
            name_only(manifest)
        archive = Path(shutil.make_archive(str(lesson.folder / "person"), "zip", lesson.folder, "model"))
        return Learned(replace(result, output=target.name), archive, target / "before_after.mp4", tried)

    return work


def read_lesson(lesson: Lesson, folder: Path, canvas: tuple[int, int], pixel_aspect: float, limits: Limits) -> None:
    """Reads and checks what was sent, and keeps it in ``folder`` as `signgen.personal.footage.read_footage` does."""
    from signgen.personal.footage import read_footage
    from signgen.personal.recipe import Recipe

    limits.check_video(lesson.video, LEARNED_FRAMES)
    if lesson.keypoints is not None:
        limits.check_files([lesson.keypoints], limits.keypoint_bytes)
    recipe = Recipe(minutes=lesson.minutes)
    room = recipe.bytes_needed(canvas)
    read_footage(lesson.video, folder, canvas, pixel_aspect, recipe.held_out, lesson.keypoints, room=room, choosing="")


def learned_table(result: PersonalResult) -> str:
    """The scores before and after as an HTML table."""
    from signgen.personal.scores import FIGURES

    rows = "".join(
        f'<tr><th scope="row">{escape(figure.words)}</th><td>{figure.text(result.before[name])}</td>'
        f"<td>{figure.text(result.after[name])}</td></tr>"
        for name, figure in FIGURES.items()
    )
    head = '<thead><tr><th></th><th scope="col">Before</th><th scope="col">After</th></tr></thead>'
    caption = f"<caption>{result.scored} frames that were not learned from</caption>"
    return f'<table class="sg-scores">{caption}{head}<tbody>{rows}</tbody></table>'
