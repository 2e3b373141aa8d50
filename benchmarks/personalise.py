"""How much of a person does a model learn from a short video? `signgen personalise`, measured.

    python benchmarks/personalise.py --signers 4 --seconds 60 --minutes 10,60
    python benchmarks/personalise.py --signers 1 --seconds 15,60,180 --recipe "full" \
        --recipe "refiners: stages=hand_refiner,face_refiner" --recipe "no drawn: drawn=0"
    python benchmarks/personalise.py --table                    # what was measured, no training
    python benchmarks/personalise.py --video CLIP --keypoints FILE --held-out 0.4 --minutes 10

Test bed: held-out drawn signers, each before one camera, in one light. Of each a video is drawn, sentence after
sentence, from which a model learns the person, and clips with other sentences, on which it is scored before and after,
each rendered from its own first frame. What known signers have on theirs is the mark: the share of the gap closed is
(after - before) / (known - before). With --video a recording is learned from instead, and scored on its own held-out
part; no weights of it are kept.

Results are kept in the cache folder, by everything that they depend on; the same command goes on where it was. Those of
earlier machines are in personalise_results.json beside this file (--stored), and are not repeated; --store adds the new
ones to it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from drawn_clips import CACHE, generate, held_out_clips
from stored import Stored, digest_of

from signgen.augmentation.signers import studio_seed
from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import BadValue, Missing, SignGenError
from signgen.files import discard, place_file
from signgen.keypoints import read_keypoints, write_keypoints
from signgen.keypoints.pieces import joined
from signgen.model import SignGenPipeline
from signgen.personal import Recipe, personalise, scores
from signgen.personal.footage import Footage
from signgen.personal.recipe import BATCHES, RATES, SHARES
from signgen.personal.run import SHEET, STEREO
from signgen.synthetic import VERSIONS
from signgen.synthetic.dataset import Plan, pick_signers, write_dataset
from signgen.video import VideoWriter, read_frames

FPS, CLIP_FRAMES, SENTENCE = 25, 42, 150  # frames a second, of a clip, of a sentence of the video
VIDEO_SEED, CLIP_SEED = 71, 72  # of the video, and of the clips with other sentences
GAPS = ("hand_ssim", "face_ssim")
STORED = Path(__file__).with_name("personalise_results.json")
LESSON = 2  # raised where a lesson does something else by the same recipe: what was measured before is told apart


@dataclass(frozen=True)
class Case:
    """One thing to measure: who, from how long a video, in which time, by which recipe."""

    signer: str
    seconds: int
    recipe: Recipe
    name: str


@dataclass(frozen=True)
class Bench:
    """What cases have in common, and where results are kept.

    Attributes:
        model: that learns.
        clips: of each signer, on which it is scored.
        version: of the drawn content.
        cache: folder of clips and results.
        stored: results of earlier machines.
        measures: whether what is missing is measured, or left out.
    """

    model: str
    clips: int
    version: int
    cache: Path
    stored: Stored
    measures: bool = True

    @cached_property
    def weights(self) -> str:
        """What is compared, not what it is called."""
        return SignGenPipeline.from_pretrained(self.model).weights_sha256()

    def key(self, kind: str, case: Case | None = None) -> dict[str, Any]:
        """Everything that a result depends on; how many threads learned says how much an hour is."""
        key: dict[str, Any] = {"kind": kind, "clips": self.clips, "version": self.version, "weights": self.weights}
        if case is not None:
            key["signer"] = case.signer
        if case is not None and kind == "learned":
            recipe = json.loads(json.dumps(asdict(case.recipe)))
            key.update(video_seconds=case.seconds, recipe=recipe, threads=torch.get_num_threads())
            key.update(shares=SHARES, rates=RATES, batches=BATCHES, lesson=LESSON)
        return key

    def place(self, key: dict[str, Any]) -> Path:
        """A file for the result of a key."""
        return self.cache / "personal" / f"{key['kind']}-{digest_of(key)}.json"

    def kept(self, key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """A result, made where there is none; None: there is none and nothing is to be measured."""
        path = self.place(key)
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
        if (found := self.stored.get(path.stem, "result")) is not None:
            return found  # type: ignore[no-any-return]
        if not self.measures:  # what was learned by another number of threads is told, too
            about = json.loads(json.dumps({**key, "threads": None}))
            same = [one for one in self.stored.found.values() if {**one.get("about", {}), "threads": None} == about]
            return same[0].get("result") if same else None
        path.parent.mkdir(parents=True, exist_ok=True)
        found = make()
        place_file(path, json.dumps(found, indent=1).encode())
        return found

    def store(self, key: dict[str, Any]) -> None:
        """Adds a result that is there to the stored ones, with its key."""
        if (path := self.place(key)).is_file():
            self.stored.add(path.stem, "about", key)
            self.stored.add(path.stem, "result", json.loads(path.read_text(encoding="utf-8")))

    def known(self, signers: int) -> dict[str, Any]:
        """The key of what known signers have."""
        return {**self.key("known"), "signers": signers}


def parsed(text: str, minutes: float, seed: int) -> tuple[str, Recipe]:
    """``NAME: key=value stage.key=value``: a name and a recipe."""
    name, _, rest = text.partition(":")
    own: dict[str, Any] = {}
    settings = []
    for word in rest.split():
        key, _, value = word.partition("=")
        if "." in key:
            settings.append(word)
        elif key == "stages":
            own[key] = tuple(value.split(","))
        elif key in ("held_out", "sources", "drawn"):
            own[key] = type(getattr(Recipe(), key))(value)
        else:
            raise BadValue(
                "--recipe", f"got {word!r}", "write held_out, sources, drawn, stages or STAGE.KEY, and =VALUE"
            )
    return name.strip(), Recipe(minutes=minutes, seed=seed, settings=tuple(settings), **own)


@dataclass(frozen=True)
class Recording(Plan):
    """Sentences of one day: each signer has one camera, light and backdrop."""

    def camera_seed(self, index: int) -> int:
        """The same for all clips of a signer."""
        return studio_seed(self.signer(index))


def drawn(cache: Path, signer: str, seed: int, clips: int, frames: int, version: int) -> list[Clip]:
    """Clips of one held-out signer, drawn once."""
    folder = cache.expanduser() / f"personal-v{version}-{signer}-{seed}-{clips}x{frames}"
    write_dataset(folder, Recording(seed, "test", (signer,), (frames, frames), version=version), clips)
    return list(PhoenixIndex(folder).clips("test"))


def filmed(clips: list[Clip], target: Path, frames: int) -> tuple[Path, Path]:
    """The first frames of clips, one clip after the other, as a video file and its keypoints, made once."""
    places, points = target.with_suffix(".npz"), [read_keypoints(clip.keypoints).keypoints for clip in clips]
    if not target.is_file():
        write_keypoints(replace(joined(points)[:frames], name=target.stem), places)
        with VideoWriter(target, points[0].size, FPS) as writer:
            for frame in islice((frame for clip in clips for frame in clip.pictures()), frames):
                writer.write(frame)
    return target, places


def clip_scores(pipeline: SignGenPipeline, clips: list[Clip]) -> scores.Scores:
    """Means over clips of the scores of frames 1 and on, each clip rendered from its own first frame."""
    rows = []
    for clip in clips:
        keypoints, frames = read_keypoints(clip.keypoints).keypoints, np.stack(list(read_frames(clip.folder)))
        seen = Footage(frames, keypoints, np.ones(len(frames)), 1)
        made = generate(pipeline, frames[0], keypoints)
        next(made)
        rows.append(scores.score(made, seen, range(1, len(frames))))
    found: dict[str, list[float]] = {name: [v for row in rows if (v := row[name]) is not None] for name in rows[0]}
    return {name: round(float(np.mean(values)), 4) if values else None for name, values in found.items()}


def measure(case: Case, bench: Bench) -> dict[str, Any] | None:
    """Learns and scores one case: ``before``, ``after``, steps and minutes; None: not measured."""
    cache, version = bench.cache, bench.version

    def others() -> list[Clip]:
        return drawn(cache, case.signer, CLIP_SEED, bench.clips, CLIP_FRAMES, version)

    before = bench.kept(
        bench.key("before", case), lambda: clip_scores(SignGenPipeline.from_pretrained(bench.model), others())
    )
    key = bench.key("learned", case)
    target = bench.place(key).with_suffix("")

    def learn() -> dict[str, Any]:
        frames = case.seconds * FPS
        sentences = drawn(cache, case.signer, VIDEO_SEED, -(-frames // SENTENCE), SENTENCE, version)
        file, places = filmed(sentences, cache / f"personal-{case.signer}-{case.seconds}-v{version}.mp4", frames)
        if not target.exists():
            done = personalise(
                file, target, "Drawn: nobody had to agree", keypoints=places, model=bench.model,
                recipe=case.recipe, resume=True, progress=lambda done, total: None,
            )  # fmt: skip
            if not done.finished:
                raise SystemExit("stopped; the same command goes on")
        record = json.loads((target / "personal.json").read_text(encoding="utf-8"))
        after = clip_scores(SignGenPipeline.from_pretrained(target), others())
        return {"after": after, "stages": record["stages"], "minutes": record["minutes"], "own": record["after"]}

    learned = bench.kept(key, learn)
    if target.exists():  # not before its figures are kept
        discard(target)
    return None if before is None or learned is None else {"before": before, **learned}


def closed(before: scores.Scores, after: scores.Scores, known: scores.Scores, name: str) -> float | None:
    """Share of the gap to known signers; None where there is none."""
    was, now, mark = before[name], after[name], known[name]
    if was is None or now is None or mark is None or mark <= was:
        return None
    return (now - was) / (mark - was)


def table(rows: list[tuple[Case, dict[str, Any]]], known: scores.Scores) -> str:
    lines = ["| signer | video, s | minutes | recipe | steps | " + " | ".join(f.words for f in scores.FIGURES.values())
             + " | gap closed: hands, face |", "|---|" * 1 + "---|" * (5 + len(scores.FIGURES))]  # fmt: skip
    for case, found in rows:
        steps = "/".join(str(count) for count in found["stages"].values())
        cells = [f"{_text(found['before'][name])} -> {_text(found['after'][name])}" for name in scores.FIGURES]
        shares = [closed(found["before"], found["after"], known, name) for name in GAPS]
        gap = ", ".join("-" if share is None else f"{share:.0%}" for share in shares)
        about = [case.signer, str(case.seconds), f"{found['minutes']:g} of {case.recipe.minutes:g}", case.name, steps]
        lines.append(f"| {' | '.join([*about, *cells, gap])} |")
    lines.append(f"| known signers | | | | | {' | '.join(_text(known[name]) for name in scores.FIGURES)} | |")
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadValue("list", f"got {text!r}", "write numbers with commas between, such as 10,60") from None


def of_recording(video: Path, keypoints: Path | None, model: str, name: str, recipe: Recipe, cache: Path) -> str:
    """Before and after on a recording's own held-out part; sheet and video go into the current folder, and what was
    learned is thrown away."""
    about = {"video": str(video.resolve()), "bytes": video.stat().st_size, "model": model, "recipe": asdict(recipe)}
    target = cache / "personal" / f"recording-{digest_of(about)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    note = "A benchmark: nothing of it is kept"
    found = personalise(video, target, note, keypoints=keypoints, model=model, recipe=recipe, resume=True)
    if not found.finished:
        raise SystemExit("stopped; the same command goes on")
    for made in (SHEET, STEREO):
        shutil.copy(target / made, f"{video.stem}-{name.replace(' ', '-')}-{recipe.minutes:g}-{made}")
    discard(target)
    frames = f"{found.learned} of {found.frames} frames learned from, {found.held_out} held out"
    lines = [f"{video}: {name}, {frames}, {found.minutes:g} minutes, steps {found.stages}", ""]
    lines.append(scores.table(found.before, found.after, found.scored))
    return "\n".join([*lines, "", *found.warnings])


@click.command(help=__doc__)
@click.option("--model", default="mini", show_default=True)
@click.option("--signers", default="4", show_default=True, help="held-out ones: how many, or names with commas")
@click.option("--seconds", default="60", show_default=True, help="of video, with commas")
@click.option("--minutes", default="60", show_default=True, help="of learning, with commas")
@click.option("--recipe", "recipes", multiple=True, default=("recipe",), help="NAME: key=value ...; may be repeated")
@click.option("--clips", default=4, show_default=True, help="other clips of each signer")
@click.option("--content", default="4", show_default=True, type=click.Choice([str(v) for v in VERSIONS]))
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--video", type=click.Path(exists=True, path_type=Path), help="a recording instead")
@click.option("--keypoints", type=click.Path(exists=True, path_type=Path), help="of the recording")
@click.option("--held-out", default=0.2, show_default=True, help="with --video")
@click.option("--stored", default=STORED, type=click.Path(path_type=Path), show_default="beside this file",
              help="file of what was measured, which is not measured again")  # fmt: skip
@click.option("--store", is_flag=True, help="add what is measured to that file")
@click.option("--table", "only_table", is_flag=True, help="print what is there and measure nothing")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write the results here")
def main(
    model: str, signers: str, seconds: str, minutes: str, recipes: tuple[str, ...], clips: int, content: str,
    cache: Path, seed: int, video: Path | None, keypoints: Path | None, held_out: float, stored: Path, store: bool,
    only_table: bool, json_path: Path | None,
) -> None:  # fmt: skip
    if video is not None:
        for count in numbers(minutes):
            for text in recipes:
                name, recipe = parsed(text, count, seed)
                recipe = replace(recipe, held_out=held_out)
                print(of_recording(video, keypoints, model, name, recipe, cache.expanduser()), flush=True)
        return
    bench = Bench(model, clips, int(content), cache.expanduser(), Stored(stored), not only_table)
    who = pick_signers(signers, "test")
    others, mark = clips * len(who), bench.known(len(who))
    known = bench.kept(mark, lambda: clip_scores(
        SignGenPipeline.from_pretrained(model), held_out_clips("known", None, cache, others, 0, bench.version)
    ))  # fmt: skip
    rows, keys = [], [mark]
    for signer, length, count, text in product(who, numbers(seconds), numbers(minutes), recipes):
        name, recipe = parsed(text, count, seed)
        if length < 1 or length % 1:
            raise BadValue("--seconds", f"got {length:g}", "give whole seconds")
        case = Case(signer, int(length), recipe, name)
        keys += [bench.key("before", case), bench.key("learned", case)]
        if (found := measure(case, bench)) is not None and known is not None:
            rows.append((case, found))
            print(table(rows[-1:], known), file=sys.stderr, flush=True)
    if store:
        for key in keys:
            bench.store(key)
        bench.stored.write()
    if known is None:
        raise Missing("--table", "nothing was measured", "leave it out")
    print(table(rows, known))
    if json_path:
        content_of = [{"case": asdict(case), **found} for case, found in rows]
        json_path.write_text(json.dumps({"known": known, "rows": content_of}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
