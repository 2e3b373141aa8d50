"""Clips to find out whether augmentation helps: few signers to learn from, copies of them, others to be tested on.

The true clips come in FOLDS parts; a training has some of them, which are its share of the data set. Every clip is
drawn at 12.5 frames a second, the pace at which recognisers look, and kept as small frames:

    WORK/clips/true-0, ...                  drawn clips of the true signers, each in a studio of his own (`cache_drawn`)
    WORK/clips/dev, test                    sentences of their own, by signers of their own, a new studio in each clip
    WORK/clips/true-0-drawn-8-1, ...        perfect copies: the same motions, drawn with other signers
    WORK/clips/true-0-mini-8-all-2, ...     what `signgen augment` made of the same keypoints and signers
    WORK/clips/true-0-mini-again-8, ...     first perfect copies, drawn again by a model from their own joints
    WORK/source-0, WORK/made/...            its data sets

What is there is kept, and what was made from other settings has another name or is an error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from drawn_clips import generate
from stored import digest_of

from signgen.augmentation.finishing import failed_gate
from signgen.augmentation.jobs import choose_signer, copy_name
from signgen.augmentation.recipe import open_model
from signgen.augmentation.run import Task, augment
from signgen.augmentation.settings import Settings
from signgen.augmentation.signers import load_signers, pick_signers, studio_seed
from signgen.augmentation.store import read_records
from signgen.augmentation.variation import Variation
from signgen.dataset.cache import INDEX, FrameCache, build_cache
from signgen.dataset.phoenix import Clip
from signgen.errors import BadValue, Missing
from signgen.files import whole
from signgen.keypoints import Keypoints
from signgen.keypoints.skeleton import FACE, HANDS, SHOULDERS, WRISTS
from signgen.model import SignGenPipeline
from signgen.scoring.recogniser.network import LARGE
from signgen.scoring.recogniser.recogniser import RATE, small_frames
from signgen.scoring.recogniser.samples import ANNOTATIONS, Sample, Samples, cache_dataset, cache_drawn
from signgen.synthetic.dataset import Plan, settings_of, write_corpus
from signgen.synthetic.motion.lexicon import glosses as lexicon
from signgen.synthetic.motion.score import Score, compose
from signgen.synthetic.signer import HELD_OUT, signer_names

FOLDS = 10
DRAWN = "drawn"  # a renderer: the one that drew the true clips
DRAWN_SIZE, FRAME = (105, 130), (210, 260)  # pixels in which clips are drawn; in which keypoints and copies are
SPARED = ("s11", "s16", "s20", "s21", "s33", "s38", "s49", "s60")  # drawn signers of the dev clips, in no copy
# Of the test clips: the held-out ones, and others with bodies mixed of training signers' but looks of their own, of
# whom no copy shows anybody and whom `mini`, which learned clips of content version 4, has not seen.
TESTED = (*HELD_OUT, *signer_names()[80:116])
MOST_COPIES = 8
PARTS = ("hands", "face", "rest")  # of a frame: around the joints of both hands, around those of the face, all else
MARGIN = 0.25  # of a part beyond its joints, as a share of its sides
Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Copies:
    """Who signs the true clips again, and what draws it.

    Attributes:
        renderer: `DRAWN`, or a name of `Language.models`.
        signers: how many, at most 32.
        count: copies of each clip.
        vary: whether motion, place and framing differ from the source's (`--vary all`); perfect copies' never do.
        gated: whether clips that the gate marks are left out; what it marked is in WORK/made.
    """

    renderer: str
    signers: int = 8
    count: int = 1
    vary: bool = True
    gated: bool = False


@dataclass(frozen=True)
class SmallLanguage(Plan):
    """A plan whose sentences are made of a few glosses: each occurs often enough in few clips to be learned."""

    vocabulary: tuple[str, ...] = ()

    def score(self, index: int) -> Score:
        """The sentence of clip ``index``."""
        return _score(replace(self, signers=()), index)


@dataclass(frozen=True)
class Studio(SmallLanguage):
    """Each signer has one camera, light and backdrop, as in recorded data: those of the picture that `signgen augment`
    is given of a drawn signer.
    """

    def camera_seed(self, index: int) -> int:
        """The same for all clips of a signer."""
        return studio_seed(self.signer(index))


@lru_cache(maxsize=4096)
def _score(plan: SmallLanguage, index: int) -> Score:
    """Sentences of the whole lexicon are drawn, two of their glosses chosen, until one keeps to the vocabulary."""
    rng = SmallLanguage.streams(plan, index)[0]
    while True:
        wanted = [plan.vocabulary[i] for i in rng.permutation(len(plan.vocabulary))[:2]]
        score = compose(rng, plan.split, plan.frames[0], wanted)
        if set(score.glosses) <= set(plan.vocabulary):
            return score


@dataclass(frozen=True)
class Language:
    """What the clips are, and where they are kept.

    Attributes:
        work: folder of everything.
        glosses: signs of the language, from all over the lexicon.
        clips: true clips of a fold, dev clips, test clips.
        speakers: who signs the true clips.
        models: renderers of copies by name: ``mini`` or a model's folder.
        frames: of a clip, at 25 a second.
        seed: of everything random but the test clips.
        test_seed: of these. It is not the one by which the task was found.
        folds: how many of the `FOLDS` are learned from, together.
    """

    work: Path
    glosses: int
    clips: tuple[int, int, int]
    speakers: tuple[str, ...]
    models: dict[str, str]
    frames: int
    seed: int
    test_seed: int
    folds: int
    progress: Progress
    say: Callable[[str], None]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The glosses in the order of the recognisers' outputs."""
        words = lexicon()
        return tuple(sorted(words[number * len(words) // self.glosses] for number in range(self.glosses)))

    def plan(self, split: str, fold: int = 0) -> SmallLanguage:
        """What is drawn of a split."""
        signers = {"train": self.speakers, "dev": SPARED, "test": TESTED}[split]
        kind, size = Studio if split == "train" else SmallLanguage, (self.frames, self.frames)
        seed = self.test_seed if split == "test" else self.seed + fold
        return kind(seed, split, signers, size, DRAWN_SIZE, vocabulary=self.vocabulary)

    def identity(self, copies: Copies | None) -> dict[str, Any]:
        """Everything that decides the clips to learn from, as JSON gives it back."""
        of_copies: dict[str, Any] = {}
        if copies is not None:
            of_copies = {**asdict(copies), "who": self.others(copies.signers)}
            if copies.renderer != DRAWN:
                weights = _weights(self.models[copies.renderer])
                of_copies["made"] = {**self._settings(copies).content(), "weights_sha256": weights}
        everything = {**self._part("train"), "folds": self.folds, "copies": of_copies}
        return json.loads(json.dumps(everything))  # type: ignore[no-any-return]

    def identity_scored(self) -> dict[str, Any]:
        """Everything that decides the clips on which recognisers are scored."""
        return json.loads(json.dumps({split: self._part(split) for split in ("dev", "test")}))  # type: ignore[no-any-return]

    def _part(self, split: str) -> dict[str, Any]:
        plan, count = self.plan(split), self._count(split)
        return {"plan": settings_of(plan), "clips": count, "digest": _digest(plan, count)}

    def _count(self, split: str) -> int:
        return dict(zip(("train", "dev", "test"), self.clips, strict=True))[split]

    def signers(self, split: str) -> dict[str, str]:
        """Who signs in the clips of a split, by the clip's name."""
        plan = self.plan(split)
        return {plan.name(index): plan.signer(index) for index in range(self._count(split))}

    def identity_again(self, renderer: str, signers: int) -> dict[str, Any]:
        """What decides, beside perfect copies by these signers, those that a model draws again."""
        return {"who": list(self.others(signers)), "weights_sha256": _weights(self.models[renderer])}

    def others(self, count: int) -> tuple[str, ...]:
        """Who signs copies: drawn signers, evenly over looks, none of whom signs true, dev or test clips."""
        able = tuple(name for name in _drawn_signers() if name not in (*SPARED, *self.speakers))
        if len(able) < count:
            got = f"{', '.join(self.speakers)} leave {len(able)} signers for the copies, and {count} are wanted"
            raise BadValue("--speakers", got, "name fewer")
        return able[:count]

    def learned(self, clips: Callable[[int], dict[str, Sample]]) -> Samples:
        """The clips of all folds that are learned from; ``clips`` gives those of one."""
        return Samples(tuple(sample for fold in range(self.folds) for sample in clips(fold).values()))

    # ---- true clips --------------------------------------------------------------------------------------------------

    def true(self, fold: int) -> dict[str, Sample]:
        """The true clips of a fold by name."""
        return self._drawn(self.plan("train", fold), self.clips[0], f"true-{fold}")

    def dev(self) -> dict[str, Sample]:
        """Clips that decide when a training is over: other sentences, other signers."""
        return self._drawn(self.plan("dev"), self.clips[1], "dev")

    def test(self) -> dict[str, Sample]:
        """Clips that scores are about: other sentences, the held-out signers."""
        return self._drawn(self.plan("test"), self.clips[2], "test")

    def _drawn(self, plan: SmallLanguage, clips: int, name: str) -> dict[str, Sample]:
        folder = self.work / "clips" / f"{name}-{_digest(plan, clips)}"
        with self.progress(clips, folder.name) as advance:
            return _by_name(cache_drawn(plan, clips, folder, LARGE, advance, blurred=True))

    # ---- copies ------------------------------------------------------------------------------------------------------

    def copies(self, fold: int, copies: Copies) -> dict[str, Sample]:
        """The copies of a fold's clips by name, ``<clip>__aug<number>``."""
        return self._perfect(fold, copies) if copies.renderer == DRAWN else self._made(fold, copies)

    def again(self, fold: int, renderer: str, signers: int, perfect: dict[str, Sample]) -> dict[str, Sample]:
        """First perfect copies, drawn again by a model from their own joints and their signers' pictures.

        All that differs is what draws them.
        """
        name = f"true-{fold}-{renderer}-{_weights(self.models[renderer])[:8]}-again-{signers}"
        folder = self.work / "clips" / f"{name}-{_digest(self.plan('train', fold), self.clips[0])}"
        if not (folder / INDEX).is_file():
            with self.progress(len(perfect), folder.name) as advance:
                build_cache(self._drawn_again(fold, renderer, signers, perfect), folder, advance)
        cache = FrameCache.open(folder)
        frames = np.asarray(cache.frames)
        return {clip.name: replace(perfect[clip.name], frames=frames[clip.start : clip.stop]) for clip in cache.clips}

    def _drawn_again(self, fold: int, renderer: str, signers: int, perfect: dict[str, Sample]) -> Iterator[Any]:
        pipeline = open_model(self._settings(Copies(renderer, signers)))
        of_clips, pictures = self.copied_by(fold, signers), load_signers(self.others(signers))
        for name, sample in perfect.items():
            signer = of_clips[name]
            points = sample.keypoints * np.array([*FRAME, 1], np.float32)
            driving = Keypoints(points[..., :2], points[..., 2], width=FRAME[0], height=FRAME[1], fps=RATE, name=name)
            frames = small_frames(generate(pipeline, pictures[signer], driving), RATE, LARGE.height, LARGE.width)
            yield name, signer, frames, sample.keypoints

    def _who(self, fold: int, number: int, signers: int) -> tuple[str, ...]:
        """Who signs copy ``number`` of each clip of a fold, as `signgen augment` chooses."""
        plan, others = self.plan("train", fold), self.others(signers)
        clips = [Clip(plan.name(i), "train", plan.signer(i), (), "", self.work, None) for i in range(self.clips[0])]
        return tuple(choose_signer(clip, number, others, self.seed) for clip in clips)

    def copied_by(self, fold: int, signers: int) -> dict[str, str]:
        """Who signs in the first copies of a fold's clips, by the copy's name."""
        plan = self.plan("train", fold)
        return {copy_name(plan.name(index), 1): who for index, who in enumerate(self._who(fold, 1, signers))}

    def _perfect(self, fold: int, copies: Copies) -> dict[str, Sample]:
        plan, found = self.plan("train", fold), dict[str, Sample]()
        for number in range(1, copies.count + 1):
            who = self._who(fold, number, copies.signers)
            drawn = self._drawn(
                replace(plan, signers=who), self.clips[0], f"true-{fold}-drawn-{copies.signers}-{number}"
            )
            found.update({copy_name(name, number): sample for name, sample in drawn.items()})
        return found

    def _made(self, fold: int, copies: Copies) -> dict[str, Sample]:
        out, name, settings = self._folder(fold, copies), self._name(fold, copies), self._settings(copies)
        caches = {count: self.work / "clips" / f"{name}-{count}" for count in range(copies.count, MOST_COPIES + 1)}
        there = [count for count, cache in caches.items() if (cache / ANNOTATIONS).is_file()]
        if not there:
            augment(Task(self._source(fold), out, settings, jobs=1, originals="none"), self.say, self.progress)
            cache_dataset(out, "train", caches[copies.count], LARGE)
        # Of more copies than are asked for, the first ones are the same as fewer.
        numbers = tuple(copy_name("", number) for number in range(1, copies.count + 1))
        cache = caches[min(there, default=copies.count)]
        found = {clip: one for clip, one in _by_name(cache).items() if clip.endswith(numbers)}
        if not copies.gated:
            return found
        records = read_records(out)
        if not found.keys() <= records.keys():
            got = f"does not say which clips of {cache} the gate marks"
            raise Missing(out, got, "put that folder back, or delete the clips, too, to have them made again")
        return {name: one for name, one in found.items() if not failed_gate(records[name])}

    def _settings(self, copies: Copies) -> Settings:
        return Settings(
            self.others(copies.signers), copies=copies.count, seed=self.seed, model=self.models[copies.renderer],
            variation=Variation.parse(["all"] if copies.vary else []), dtype="float32",  # whatever the machine
        )  # fmt: skip

    def _name(self, fold: int, copies: Copies) -> str:
        weights = _weights(self.models[copies.renderer])[:8] if copies.renderer in self.models else ""
        kind = f"{copies.renderer}-{weights}-{copies.signers}-{'all' if copies.vary else 'none'}"
        made = f"-{digest_of(self._settings(copies).content())}" if weights else ""
        return f"true-{fold}-{kind}{made}-{_digest(self.plan('train', fold), self.clips[0])}"

    def _folder(self, fold: int, copies: Copies) -> Path:
        return self.work / "made" / self._name(fold, copies)

    def _source(self, fold: int) -> Path:
        """A data set of the fold's keypoints, as exact as the drawing knows them, without pictures."""
        plan, clips = self.plan("train", fold), self.clips[0]
        folder = self.work / f"source-{self._name(fold, Copies('', 0))}"
        for name, sample in self.true(fold).items():
            path = folder / "keypoints" / f"{name}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                points = sample.keypoints * np.array([*FRAME, 1], np.float32)
                with whole(path) as temporary, open(temporary, "wb") as file:
                    np.savez(file, keypoints=points, width=FRAME[0], height=FRAME[1], fps=RATE)
        write_corpus(folder, plan, clips)
        return folder


def hand_speed(sample: Sample) -> float:
    """Mean speed of both wrists in a clip, in shoulder widths a second."""
    xy = sample.keypoints[..., :2] * np.array(FRAME)
    width = np.linalg.norm(np.diff(xy[:, [*SHOULDERS]], axis=1)[:, 0], axis=-1).mean()
    return float(np.linalg.norm(np.diff(xy[:, [*WRISTS]], axis=0), axis=-1).mean() * RATE / width)


def put_back(drawn: dict[str, Sample], true: dict[str, Sample], part: str) -> dict[str, Sample]:
    """Clips, but for a part of `PARTS`, which is as in the true ones."""
    found = dict[str, Sample]()
    for name, sample in drawn.items():
        there = part_of(true[name], part)[..., None]
        found[name] = replace(sample, frames=np.where(there, true[name].frames, sample.frames))
    return found


def part_of(sample: Sample, part: str) -> np.ndarray:
    """bool (T,h,w), where a part of `PARTS` is in each frame; hands and faces without known joints are nowhere."""
    if part == "rest":
        return ~(part_of(sample, "hands") | part_of(sample, "face"))
    count, height, width = sample.frames.shape[:3]
    found, size = np.zeros((count, height, width), bool), np.array([width, height])
    for joints in HANDS if part == "hands" else (FACE,):
        for frame, points in zip(found, sample.keypoints[:, joints], strict=True):
            known = points[points[:, 2] > 0, :2] * size
            if len(known):
                low, high = known.min(0), known.max(0)
                margin = np.maximum(MARGIN * (high - low), 1)
                (left, top), (right, bottom) = np.floor(low - margin).astype(int), np.ceil(high + margin).astype(int)
                frame[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return found


def _digest(plan: SmallLanguage, clips: int) -> str:
    """Of everything that decides a set of clips."""
    decided = json.dumps([settings_of(plan), type(plan).__name__, clips, LARGE.width, LARGE.height])
    return hashlib.sha256(decided.encode()).hexdigest()[:8]


@lru_cache
def _drawn_signers() -> tuple[str, ...]:
    """48 of them, evenly over looks: choosing takes a second."""
    return tuple(name for name in pick_signers(str(8 + 48)) if re.fullmatch(r"s\d+", name))


@lru_cache
def _weights(model: str) -> str:
    return SignGenPipeline.from_pretrained(model).weights_sha256()


def _by_name(folder: Path) -> dict[str, Sample]:
    names = [clip.name for clip in FrameCache.open(folder).clips]
    return dict(zip(names, Samples.open([folder]).items, strict=True))
