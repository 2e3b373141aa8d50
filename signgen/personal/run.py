"""A video of one person in, a model that shows that person out: reading, training, scoring, and a folder of the result.

Everything lies in ``OUT.work`` until it is done, each step whole or not at all, so that a run that was killed goes on
where it was.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen import __version__
from signgen.dataset.cache import INDEX, FrameCache, build_cache
from signgen.dataset.coarse import forget_models
from signgen.dataset.files import locked, read_json
from signgen.dataset.phoenix import PhoenixIndex
from signgen.dataset.region_store import SOLIDS
from signgen.dataset.training_data import cache_folder, clip_points
from signgen.errors import BadValue, Damaged, InputError, Mismatch, Missing, NotWritable, TooLarge
from signgen.files import check_target, discard, place_file, remove_leftovers, whole, writing
from signgen.keypoints import write_keypoints
from signgen.model import SignGenPipeline
from signgen.model.loading import PICTURES, SHARED, choose_device, model_folder, parts_of, sha256_of
from signgen.model.networks.weight_files import read_tensors
from signgen.package import PERSONAL, UNFINISHED, WEIGHTS
from signgen.personal import scores
from signgen.personal.card import CARD, card
from signgen.personal.footage import (
    FRAMES,
    Footage,
    choose_runs,
    choose_sources,
    copies,
    open_footage,
    own_clips,
    read_footage,
)
from signgen.personal.recipe import (
    DENOISER,
    DRAWN_FRAMES,
    DRAWN_PEOPLE,
    FEW_STEPS,
    MOST_SCORED,
    OPEN_END,
    PROBED,
    Recipe,
    check_settings,
    stage_config,
    stages_of,
    steps_for,
    time_for,
    worth_their_time,
)
from signgen.processes import cores
from signgen.rendering.several import personal_record
from signgen.rendering.source import Source
from signgen.synthetic.dataset import Plan, pick_signers, write_dataset
from signgen.training.assembly import MODEL_INDEX, assemble, build
from signgen.training.checkpoints import whole_checkpoints
from signgen.training.denoiser import frozen_latents
from signgen.training.loop import SIGNALLED
from signgen.training.painted import composed_clips
from signgen.training.run import run_stage

MOST_MIB = 30
ROOM_MIB = 3.0  # of these, for pictures, sheet and a short video
TEXTS_MIB = 0.1  # of these, for the card and the records, which come last
STATE, SHEET = "state.json", "sheet.jpg"
A_FRAME = "a_frame"  # seconds in which one is rendered
LEARNED = "learned"  # what the state says when the training data is there
SHEET_QUALITY = 90  # of JPEG
SIDE_BY_SIDE = (MOST_SCORED, 150, 75)  # frames of the video, as many as there is room for
UNTRAINED = ("fusion", "matte", "composer")  # parts that no stage changes, the largest first
BEGIN_AGAIN = "remove the folder and begin again"
SAVED = 30.0  # seconds between two notes of the time that was spent
STEREO = "before_after.mp4"
PIECES = 8  # rows of the sheet in the time of everything together, at most
PIECE = 1.0  # minutes between them, at least
Progress = Callable[[float, float], None]
"""Called as ``progress(seconds done, seconds in all)``."""


class Stopped(Exception):
    """A signal has ended a stage, which has saved itself."""


@dataclass(frozen=True)
class PersonalResult:
    """A model that has learned a person.

    Attributes:
        output: its folder. model: what it was before.
        minutes: of everything. finished: False where a signal stopped it: ``--resume`` goes on.
        frames: of the video; learned: chosen of them; held_out: not learned from; scored: of these, looked at.
        stages: steps of each.
        before, after: scores on the held-out part.
        sources: pictures of the person in the folder.
        size_mib: of the folder.
        sheet: the picture of progress.
        warnings: what was assumed, and what got worse.
    """

    output: str
    model: str
    finished: bool
    minutes: float
    frames: int
    learned: int
    held_out: int
    scored: int
    stages: dict[str, int]
    before: scores.Scores
    after: scores.Scores
    sources: list[str]
    size_mib: float
    sheet: str
    warnings: list[str]


class _State:
    """What a run has done so far, in a file that is written after each step."""

    def __init__(self, path: Path, request: dict[str, Any]) -> None:
        self.path, self.begun, self.waited = path, time.monotonic(), 0.0
        self.saved = self.begun
        self.values: dict[str, Any] = {"request": request, "spent": 0.0, "times": {}, "steps": {}, "finished": []}
        if path.is_file():
            self.values |= read_json(path, BEGIN_AGAIN)
            begun = self.values["request"]
            if begun != request:
                changed = [key for key in {**request, **begun} if begun.get(key) != request.get(key)]
                got = f"was begun with another {', '.join(changed)}"
                raise Mismatch(path.parent, got, "give the same, or another -o")
        self.before = float(self.values["spent"])

    @property
    def spent(self) -> float:
        """Seconds of all sessions, without those in which this one `waited` for its caller."""
        return self.before + time.monotonic() - self.begun - self.waited

    def save(self, **values: Any) -> None:
        self.values |= values | {"spent": round(self.spent, 1)}
        self.saved = time.monotonic()
        place_file(self.path, json.dumps(self.values, indent=2).encode())


def begun_consent(output: str | Path) -> str:
    """The words with which a run was begun for ``output``, or has finished; empty where none was."""
    target = Path(output).absolute()
    state = work_of(target) / STATE
    if state.is_file():
        try:
            return str(read_json(state, BEGIN_AGAIN)["request"]["consent"])
        except (KeyError, TypeError):
            raise Damaged(state, "does not say who agreed", BEGIN_AGAIN) from None
    return str(personal_record(target).get("consent", "")) if target.is_dir() else ""


def work_of(target: Path) -> Path:
    """Where a run lies until its result is whole."""
    if not target.name:
        raise BadValue("--output", f"got {str(target)!r}", "name a folder for the model")
    return target.with_name(target.name + UNFINISHED)


def _request(
    video: str | Path, consent: str, model: str | Path, recipe: Recipe, reading: dict[str, Any]
) -> dict[str, Any]:
    """Everything that a run was begun with, as JSON gives it back: it goes on with the same alone."""
    path = Path(video).resolve()
    content = {"video": str(path), "consent": consent, "model": str(model), **asdict(recipe)}
    content |= {name: None if value is None else str(value) for name, value in reading.items()}
    if path.is_file():
        content["video_bytes"] = path.stat().st_size
    return json.loads(json.dumps(content))  # type: ignore[no-any-return]


def digest_of(request: dict[str, Any]) -> str:
    """Of what a run depends on; its result has it."""
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _finished(target: Path) -> PersonalResult:
    """The result that lies in its folder."""
    record = personal_record(target)
    known = {field.name: record[field.name] for field in fields(PersonalResult) if field.name in record}
    here = {"output": str(target), "finished": True, "sheet": str(target / SHEET), "size_mib": _mebibytes(target)}
    try:
        return PersonalResult(**{**known, **here})
    except TypeError as error:  # of another signgen
        raise Damaged(target / PERSONAL, f"lacks what is to be told ({error})", "make the model again") from None


def personalise(
    video: str | Path,
    output: str | Path,
    consent: str | None,
    *,
    keypoints: str | Path | None = None,
    model: str | Path = "mini",
    recipe: Recipe | None = None,
    resume: bool = False,
    keep: bool = False,
    person: int | str | None = None,
    estimator: str | None = None,
    estimator_weights: str | Path | None = None,
    progress: Progress | None = None,
    show: Callable[[Path], None] | None = None,
    jobs: int | None = None,
) -> PersonalResult:
    """Has a model learn the person of a short video.

    Args:
        video: one to three minutes of one person signing; a file or a folder of frames.
        output: the folder of the result, which ``render(..., model=output)`` takes. It must not be there.
        consent: who agreed to it, and to what, in words; they stay with the model and with every video that it makes.
            None, with ``resume``: what was said when it was begun.
        keypoints: of all frames of the video; None: an installed estimator finds them.
        model: what it starts from; its networks must be signgen's own, as `mini`'s are.
        recipe: how, and how long.
        resume: goes on with what was begun for the same ``output``, from the same video with the same settings.
        keep: keep ``OUT.work``, what was made on the way.
        person: who is meant where several are seen.
        estimator, estimator_weights: see `signgen.extraction.EstimatorSettings`.
        progress: called as the time goes on.
        show: called with the sheet's path when it has grown.
        jobs: processes that draw people; None: all cores.

    Returns:
        The result; ``finished`` is False where a signal has stopped the training.

    Raises:
        InputError: no consent, a video that shows no person, several, or no hands, or an output that is there.
        RunError: the training failed.

    Example:
        >>> from signgen import personalise
        >>> from signgen.personal import Recipe
        >>> personalise("anna.mp4", "anna", "Anna agreed on 1 May", recipe=Recipe(minutes=60))  # doctest: +SKIP
    """
    recipe, target = recipe or Recipe(), Path(output).absolute()
    work = work_of(target)
    words = (begun_consent(output) if consent is None and resume else consent or "").strip()
    if not words:
        raise Missing("--consent", "is empty", "write who agreed to this, and to what")
    if (earlier := personal_record(model_folder(model)).get("consent", "")) not in words:
        words += f" (begun from a model of a person: {earlier})"
    stages = stages_of(model, recipe.stages)
    check_settings(recipe, model, stages, work)
    check_target(target, "folder")
    reading = {"keypoints": keypoints, "person": person, "estimator": estimator, "estimator_weights": estimator_weights}
    request = _request(video, words, model, recipe, reading)
    if resume and personal_record(target).get("begun") == digest_of(request):
        if work.exists() and not keep:  # it was killed when all was done but this
            discard(work)
        return _finished(target)
    check_empty(target, "name another folder")
    if work.exists() and not resume:
        raise NotWritable(work, "a run was begun there", "add --resume to go on with it, or remove it")
    check_size(model)
    check_views(model, recipe.sources)
    if work.exists() and not work.is_dir():
        raise NotWritable(work, "is a file", "move it, or name another output")
    work.mkdir(parents=True, exist_ok=True)
    worthless = False
    try:
        with locked(work, wait=False), writing(work, "put that right, and go on with --resume"):
            fresh = not (work / STATE).exists()
            remove_leftovers(work, of_all=True)
            run = _Run(work, target, model, recipe, stages, _State(work / STATE, request), progress, show)
            try:
                result = run.session(video, reading, jobs or cores())
            except InputError:
                worthless = fresh and LEARNED not in run.state.values
                raise
    except InputError:
        if worthless:  # nothing to go on with
            discard(work)
        raise
    if result.finished and not keep:
        discard(work)
    return result


class _Run:
    """One session of a run; each step does nothing where an earlier session has done it."""

    def __init__(
        self, work: Path, target: Path, model: str | Path, recipe: Recipe, stages: tuple[str, ...], state: _State,
        progress: Progress | None, show: Callable[[Path], None] | None,
    ) -> None:  # fmt: skip
        self.work, self.target, self.model, self.recipe = work, target, model, recipe
        self.possible = self.stages = stages
        self.state, self.progress, self.show = state, progress, show
        self.video: Footage
        self.sources: list[Source] = []
        index = read_json(model_folder(model) / MODEL_INDEX, "give a whole model")
        self.canvas, self.aspect = tuple(index.get("frame_size", (210, 260))), float(index.get("pixel_aspect", 0.81))

    @property
    def seconds(self) -> float:
        return self.recipe.minutes * 60

    @property
    def scored_frames(self) -> range:
        """Of the held-out part, what is scored before and after."""
        return scores.scored_frames(self.video, self.recipe.scored)

    def tell(self, *_: Any) -> None:
        """Says how far it is. A caller may take its time, such as a page that lets a render go first."""
        if self.progress is not None:
            begun = time.monotonic()
            self.progress(min(self.state.spent, self.seconds), self.seconds)
            self.state.waited += time.monotonic() - begun
        if time.monotonic() - self.state.saved > SAVED:  # a kill then loses no more of the clock
            self.state.save()

    def session(self, video: str | Path, reading: dict[str, Any], jobs: int) -> PersonalResult:
        """Everything in order, up to the end or to a signal."""
        self.state.save()
        self.tell()
        footage = self.footage(video, **reading)
        learned = self.prepare(footage, jobs)
        self.row("video", lambda: scores.truth_row(footage))
        before = self.scored("before", lambda: SignGenPipeline.from_pretrained(self.model, dtype="float32"))
        try:
            self.train()
        except Stopped:
            self.state.save()
            return self.result(before, dict.fromkeys(before), learned, [], finished=False)
        return self.finish(before, self.scored("after", self.pipeline), learned)

    # -- the video -------------------------------------------------------------------------------------------------

    def footage(self, video: str | Path, **reading: Any) -> Footage:
        folder = self.work / "video"
        if not (folder / FRAMES).is_file():
            given = video, folder, self.canvas, self.aspect, self.recipe.held_out
            read_footage(*given, progress=self.tell, room=self.recipe.bytes_needed(self.canvas), **reading)
            self.state.save()
        self.video = open_footage(folder, self.recipe.held_out)
        return self.video

    def prepare(self, footage: Footage, jobs: int) -> int:
        """Chooses the pictures that the model keeps, and makes the training data of what was chosen, its copies, and
        drawn people. Returns how many frames were chosen."""
        runs = choose_runs(footage, self.recipe.frames)
        learned = sum(map(len, runs))
        self.sources = [
            footage.source(index, f"{number}.png")
            for number, index in enumerate(choose_sources(footage, self.recipe.sources), 1)
        ]
        # Refiners mirror and re-light by themselves, and what they learn from has to be painted: they get no copies.
        most = self.recipe.drawn_clips(3 * learned)  # with two copies of each frame
        for data, copied, count in (("data", True, most), ("crops", False, self.recipe.drawn_clips(learned))):
            folder = cache_folder(self.work / data)
            if not (folder / INDEX).is_file():
                varied = copies(footage, runs, self.recipe.seed) if copied else ()
                drawn = islice(self._drawn(most, jobs), count)
                build_cache(chain(own_clips(footage, runs), varied, drawn), folder, self.tell)
            if not copied:
                self._take_along()
        self.state.save(**{LEARNED: learned})
        return learned

    def _drawn(self, count: int, jobs: int) -> Iterator[Any]:
        """So many clips of drawn people, which are drawn once."""
        if not count:
            return iter(())
        drawn = self.work / "drawn"
        people = pick_signers(str(DRAWN_PEOPLE), "train")
        plan = Plan(self.recipe.seed, "train", people, (DRAWN_FRAMES, DRAWN_FRAMES), self.canvas)
        write_dataset(drawn, plan, count, jobs, self.tell)
        clips = PhoenixIndex(drawn).clips("train")
        return ((clip.name, clip.speaker, clip.pictures(), clip_points(Path(str(clip.keypoints)))) for clip in clips)

    def _take_along(self) -> None:
        """Puts the drawn people's true hands and shutters where the refiners look for them: beside the frames."""
        for kind in (SOLIDS, "keypoints"):
            for path in sorted((self.work / "drawn" / kind).glob("*.npz")):
                place = self.work / "crops" / kind / path.name
                if not place.exists():
                    place.parent.mkdir(exist_ok=True)
                    with whole(place) as copy:
                        shutil.copyfile(path, copy)

    # -- training --------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """All stages that are worth it, one after the other, each for its share of the time that is left."""
        if "stages" not in self.state.values:
            left, a_frame = self.seconds - self.state.spent, self.state.values[A_FRAME]
            self.state.save(stages=worth_their_time(self.recipe, self.stages, left, a_frame))
        self.stages = tuple(self.state.values["stages"])  # JSON has lists
        for stage in self.stages:
            if stage in self.state.values["finished"]:
                continue
            if stage.endswith("_refiner"):
                self._paint(stage)
            self._train(stage, self.state.values["steps"].get(stage) or self._begin(stage))
            self.state.save(finished=[*self.state.values["finished"], stage])

    def _paint(self, stage: str) -> None:
        """What the refiners learn to mend, before their time is shared out: it takes as long as it takes."""
        if not (self.work / "coarse").is_dir():
            self.assemble(self.work / "coarse")
            forget_models()  # another run's may have lain in the same place
        composed_clips(*self._given(stage), self.tell)

    def _encode(self) -> None:
        """What the denoiser is shown of the frames, which takes minutes: the stage itself would say nothing of it."""
        frozen_latents(*self._given(DENOISER), self.tell)

    def _given(self, stage: str) -> tuple[Any, FrameCache, Path, torch.device]:
        """What the stage itself will be given: what is made of its frames beforehand is found by it."""
        config = self._config(stage, OPEN_END)
        folder = cache_folder(config.data)
        return config, FrameCache.open(folder), folder, torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def _begin(self, stage: str) -> int:
        """Trains for the first part of the stage's time, which says how many steps there will be in all of it."""
        seconds = self.state.values["times"].get(stage)
        if seconds is None:
            seconds = max(time_for(stage, self.stages, self.seconds - self.state.spent), 1.0)
            self.state.save(times={**self.state.values["times"], stage: round(seconds, 1)})
        if stage == DENOISER:
            self._encode()
        steps = steps_for(seconds, self._run(stage, OPEN_END, PROBED * seconds / 60))
        self.state.save(steps={**self.state.values["steps"], stage: steps})
        return steps

    def _config(self, stage: str, steps: int, **changes: Any) -> Any:
        data = self.work / ("crops" if stage.endswith("_refiner") else "data")
        return stage_config(stage, self.recipe, self.model, self.work, data, steps, **changes)

    def _train(self, stage: str, steps: int) -> None:
        """The stage in pieces of some minutes, with a row of the sheet after each."""
        minutes = max(self.recipe.minutes / PIECES, PIECE)
        finished = False
        while not finished:
            done = self._run(stage, steps, minutes)
            self.row(f"{stage}, step {done['steps']}", self._row)
            finished = done["finished"]

    def _run(self, stage: str, steps: int, minutes: float) -> dict[str, Any]:
        """Some minutes of a stage, from its last checkpoint on where it has one."""
        known = whole_checkpoints(self.work / stage)
        done = run_stage(self._config(stage, steps, minutes=minutes), bool(known), self.tell)
        self.state.save()
        if done["ended"] == SIGNALLED:
            raise Stopped
        return done

    def _runs(self) -> list[Path]:
        """The model before, and what was trained of it."""
        trained = [self.work / stage for stage in self.stages if (self.work / stage / "model").is_dir()]
        return [model_folder(self.model), *trained]

    def assemble(self, folder: Path) -> None:
        assemble(folder, self._runs(), dtype="float16")

    def pipeline(self) -> SignGenPipeline:
        pipeline = build(self._runs(), torch.float32).to(choose_device("auto")).prepared()
        pipeline.name = self.target.name
        return pipeline

    # -- what it has learned ---------------------------------------------------------------------------------------

    def scored(self, name: str, pipeline: Callable[[], SignGenPipeline]) -> scores.Scores:
        """The scores of the held-out part, rendered with a pipeline."""
        if name not in self.state.values:
            loaded = pipeline()
            shown = self.scored_frames
            given = loaded, self.sources, self.video, shown, self.work / name, self.recipe.seed
            if name == "before":  # first of all: what is compiled at a first render is none of a frame's time
                self.row("before", lambda: self._row(loaded))
            if not (self.work / name).is_dir() or A_FRAME not in self.state.values:
                if (self.work / name).is_dir():  # killed before its time was kept
                    discard(self.work / name)
                begun = self.state.spent
                scores.render_held_out(*given, self.tell)
                self.state.save(**{A_FRAME: (self.state.spent - begun) / len(shown)})
            made = scores.read_frames(self.work / name)
            self.state.save(**{name: scores.score(made, self.video, shown)})
        return self.state.values[name]

    def _row(self, pipeline: SignGenPipeline | None = None) -> np.ndarray:
        return scores.sheet_row(pipeline or self.pipeline(), self.sources, self.video, self.recipe.seed)

    def row(self, name: str, make: Callable[[], np.ndarray]) -> None:
        """Adds a row to the sheet."""
        from PIL import Image

        rows = self.work / "rows.npz"
        known: dict[str, np.ndarray] = {}
        if rows.is_file():
            with np.load(rows, allow_pickle=False) as archive:
                known = dict(archive)
        if name in known:
            return
        known[name] = make()
        with whole(rows) as path, open(path, "wb") as file:
            np.savez(file, **known)  # type: ignore[arg-type]
        with whole(self.work / SHEET) as path:
            Image.fromarray(scores.sheet(known)).save(path, "JPEG", quality=SHEET_QUALITY)
        if self.show is not None:
            self.show(self.work / SHEET)

    # -- the result ------------------------------------------------------------------------------------------------

    def finish(self, before: scores.Scores, after: scores.Scores, learned: int) -> PersonalResult:
        """The result's folder, whole or not at all."""
        few = [name for name, steps in self.state.values["steps"].items() if steps < FEW_STEPS]
        hurried = [f"{', '.join(few)}: fewer than {FEW_STEPS} steps had time; give more --minutes"] if few else []
        if len(self.stages) < len(self.possible):
            hurried.append(f"{DENOISER}: left out, for its time would be too short to change much; give more --minutes")
        warnings = [*self.video.warnings, *hurried, *scores.worse(before, after)]
        check_empty(self.target, "move what is in it, and go on with --resume")  # it may have come since
        with whole(self.target, durable=True) as folder:
            self.assemble(folder)
            names = self._write_sources(folder / PICTURES)
            shutil.copy(self.work / SHEET, folder / SHEET)
            if not self._write_side_by_side(folder):
                warnings.append(f"{STEREO}: left out, for there is no room for it in {MOST_MIB} MiB")
            result = self.result(before, after, learned, names, finished=True, warnings=warnings)
            record = self._record(result)
            place_file(folder / CARD, card(record, scores.table(before, after, result.scored)).encode())
            place_file(folder / PERSONAL, json.dumps(record, indent=2, ensure_ascii=False).encode())
            size = _fitted(folder, self.model)
            SignGenPipeline.from_pretrained(folder)  # raises where what was learned could not be used
        return replace(result, size_mib=size)

    def _write_side_by_side(self, folder: Path) -> bool:
        """The video before and after, shorter where there is no room for all that was scored; whether there is any."""
        about = {"model": self.target.name, "consent": self.state.values["request"]["consent"]}
        room = MOST_MIB - TEXTS_MIB - _mebibytes(folder) + _shareable(model_folder(self.model))
        for most in SIDE_BY_SIDE:
            given = self.video, self.work / "before", self.work / "after", about, min(most, self.recipe.scored)
            scores.write_side_by_side(folder / STEREO, *given)
            if _mebibytes(folder / STEREO) < room:
                return True
        for path in (folder / STEREO, (folder / STEREO).with_suffix(".json")):
            path.unlink()
        return False

    def _write_sources(self, folder: Path) -> list[str]:
        from PIL import Image

        if folder.exists():  # those of the person's model that this one began from
            shutil.rmtree(folder)
        folder.mkdir()
        names = []
        for source in self.sources:
            Image.fromarray(source.image).save(folder / source.name)
            assert source.keypoints is not None
            write_keypoints(source.keypoints, (folder / source.name).with_suffix(".npz"))
            names.append(f"{folder.name}/{source.name}")
        return names

    def _record(self, result: PersonalResult) -> dict[str, Any]:
        """What the card and each video's manifest say of it."""
        values = asdict(result)
        for key in ("output", "size_mib", "sheet", "finished"):
            del values[key]
        return {
            "kind": "signgen personal model",
            "signgen": __version__,
            "consent": self.state.values["request"]["consent"],
            "made": datetime.now(UTC).date().isoformat(),
            "video": Path(self.state.values["request"]["video"]).name,
            "begun": digest_of(self.state.values["request"]),
            "recipe": asdict(self.recipe),
            **values,
        }

    def result(
        self, before: scores.Scores, after: scores.Scores, learned: int, sources: list[str], finished: bool,
        warnings: list[str] | None = None,
    ) -> PersonalResult:  # fmt: skip
        return PersonalResult(
            output=str(self.target),
            model=Path(self.model).name,  # the card goes along with the model, and says nothing of this machine
            finished=finished,
            minutes=round(self.state.spent / 60, 1),
            frames=len(self.video.clip),
            learned=learned,
            held_out=len(self.video.held_out),
            scored=len(self.scored_frames),
            stages=dict(self.state.values["steps"]),
            before=before,
            after=after,
            sources=sources,
            size_mib=0.0,
            sheet=str((self.target if finished else self.work) / SHEET),
            warnings=list(self.video.warnings) if warnings is None else warnings,
        )


def check_empty(target: Path, advice: str) -> None:
    """Raises `NotWritable` where there is anything in the place of the result."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise NotWritable(target, "is there already", advice)


def check_size(model: str | Path) -> None:
    """Raises `TooLarge` where no folder of what is learned from ``model`` could be small enough."""
    folder = model_folder(model)
    weights = sum(_numbers(folder / part) for part in folder.iterdir() if part.is_dir()) * 2 / 2**20  # float16
    size = weights - _shareable(folder)
    if size > MOST_MIB - ROOM_MIB:
        got = f"its weights take {size:.1f} MiB"
        raise TooLarge(model, got, f"a model of a person has {MOST_MIB} at most: begin from a smaller one")


def check_views(model: str | Path, sources: int) -> None:
    """Raises where a window of ``model`` has no room for a frame beside so many sources, before a video is read."""
    views = int(read_json(model_folder(model) / MODEL_INDEX, "give a whole model").get("window", 8))
    if views <= sources:
        got = f"got {sources}, but {Path(model).name} sees {views} pictures at a time"
        raise BadValue("--sources", got, f"give {views - 1} at most")


def _numbers(part: Path) -> int:
    """How many numbers the weights of a part are."""
    return sum(weight.numel() for path in part.glob("*.safetensors") for weight in read_tensors(path).values())


def _packaged(folder: Path) -> dict[str, tuple[str, str]]:
    """Parts that no stage changes and that signgen brings along: the packaged model's name and the SHA-256, by part."""
    found = {}
    for name, place in parts_of(folder, UNTRAINED).items():
        digest = sha256_of(place)
        for path in sorted(WEIGHTS.glob(f"*/{name}")):
            if sha256_of(path) == digest:
                found[name] = path.parent.name, digest
                break
    return found


def _shareable(folder: Path) -> float:
    """MiB of the parts of a model's own folder that may be left out."""
    return sum(_mebibytes(folder / name) for name in _packaged(folder) if (folder / name).is_dir())


def _fitted(folder: Path, model: str | Path) -> float:
    """The size of the result's folder in MiB; where it is too large, parts that were not trained and that signgen
    brings along are left out: the folder then says whose they are.

    Raises:
        TooLarge: it is larger all the same.
    """
    size, shared = _mebibytes(folder), dict[str, dict[str, str]]()
    for name, (packaged, digest) in _packaged(model_folder(model)).items():
        if size <= MOST_MIB:
            break
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
            shared[name] = {"model": packaged, "sha256": digest}
            place_file(folder / SHARED, json.dumps(shared, indent=2).encode())
            size = _mebibytes(folder)
    if size > MOST_MIB:
        raise TooLarge(
            folder, f"the model takes {size:.1f} MiB", f"at most {MOST_MIB} are allowed: begin from a smaller one"
        )
    return size


def _mebibytes(path: Path) -> float:
    """Of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 2**20, 2)
