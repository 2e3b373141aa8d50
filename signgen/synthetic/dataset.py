"""Writes drawn clips in PHOENIX14T's own layout, with exact keypoints.

    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual/PHOENIX-2014-T.<split>.corpus.csv
    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px/<split>/<clip>/images0001.png ...
    OUT/keypoints/<clip>.npz      keypoints (T, 133, 3) as x, y, confidence; width, height, fps;
                                  hand_shapes int16 (T, 2): the shape that the signer's left and right hand hold, an
                                  index into the names `shapes`; -1 in transitions, at rest and out of the picture
    OUT/solid/<clip>.npz          solid uint8 (T, H, W, 6): both hands as `signgen.pose_image.solid` draws them, but as
                                  they truly are in the middle of each exposure
    OUT/synthetic.json            how it was made, and that nobody in it is real

A clip depends on (seed, split, its number, signers, frames, size) alone, so any number of processes writes the same
files and a stopped run goes on where it was. Sentences of train, dev and test never coincide (`score.sentence_split`);
signers of test are never in train or dev.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.errors import BadValue, Damaged, Mismatch, NotWritable, RunError
from signgen.files import Staging, place_file, remove_leftovers
from signgen.processes import in_processes
from signgen.synthetic.motion.score import FPS, SPLITS, Score, compose, wanted_glosses

if TYPE_CHECKING:
    from signgen.synthetic.motion.anatomy import Anatomy
    from signgen.synthetic.motion.movement import Movement

VERSION = 4  # of the drawn content: bump it whenever the same seed gives other clips
RELEASE = Path("PHOENIX-2014-T-release-v3", "PHOENIX-2014-T")
FRAMES_FOLDER = RELEASE / "features" / "fullFrame-210x260px"
ANNOTATIONS = RELEASE / "annotations" / "manual"
HEADER = "name|video|start|end|speaker|orth|translation"
STATEMENT = (
    "All pictures, movements and words of this data set are computer-generated. The people do not exist, the "
    "signs are invented and belong to no sign language."
)
REPLAYED = (
    "All pictures of this data set are computer-generated and the people in them do not exist. Movements of "
    "splits that list motion files are taken from those files: their licence, and the consent of whom they "
    "show, are the duty of whoever made this data set. All other movements and words are invented."
)
MIN_FRAMES, MAX_FRAMES = 8, 400


@dataclass(frozen=True)
class Plan:
    """What to write: everything that a clip's content depends on.

    Attributes:
        seed: of everything random.
        split: train, dev or test.
        signers: names; clip number i is signed by signers[i mod S].
        frames: lowest and highest number of frames of a clip.
        size: (width, height) in pixels.
    """

    seed: int
    split: str
    signers: tuple[str, ...]
    frames: tuple[int, int] = (42, 42)
    size: tuple[int, int] = (210, 260)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise BadValue("split", f"got {self.split!r}", "use train, dev or test")
        low, high = self.frames
        if not MIN_FRAMES <= low <= high <= MAX_FRAMES:
            raise BadValue("frames per clip", f"got {low} to {high}", f"use {MIN_FRAMES} to {MAX_FRAMES}")

    def name(self, index: int) -> str:
        """The clip's name, unique over seeds and splits."""
        return f"synthetic{self.seed}-{self.split}-{index:06d}"

    def signer(self, index: int) -> str:
        """Who signs clip `index`."""
        return self.signers[index % len(self.signers)]

    def streams(self, index: int) -> list[np.random.Generator]:
        """Independent generators of one clip: for the sentence, the performance and the recording."""
        return np.random.default_rng([self.seed, SPLITS.index(self.split), index]).spawn(3)

    def length(self, index: int) -> int:
        """Frames of clip `index`."""
        return self.score(index).frames

    def glosses(self, index: int) -> list[str]:
        """What is signed in clip `index`."""
        return self.score(index).glosses

    def perform(self, index: int) -> Movement:
        """The movement of clip `index`."""
        from signgen.synthetic.motion.performance import Performance

        return Performance(anatomy_of(self.signer(index)), self.score(index), self.streams(index)[1])

    def camera_seed(self, index: int) -> int:
        """Of camera and light."""
        return int(self.streams(index)[2].integers(2**31))

    def score(self, index: int) -> Score:
        """The sentence of clip `index`."""
        rng = self.streams(index)[0]
        frames = int(rng.integers(self.frames[0], self.frames[1] + 1))
        return compose(rng, self.split, frames, wanted_glosses(self.seed, self.split, index))


def pick_signers(wanted: str, split: str) -> tuple[str, ...]:
    """Signers of a split from a number or a comma-separated list of names.

    Train and dev take signers for training, test takes held-out ones, so no signer of test is ever trained on.
    """
    from signgen.synthetic.signer import HELD_OUT, signer_names

    pool = list(HELD_OUT) if split == "test" else signer_names()
    if wanted.strip().isdecimal():
        count = int(wanted)
        if not 1 <= count <= len(pool):
            raise BadValue("--signers", f"got {count}", f"split {split} has 1 to {len(pool)} signers")
        return tuple(pool[:count])
    names = tuple(name.strip() for name in wanted.split(",") if name.strip())
    unknown = [name for name in names if name not in pool]
    if unknown or not names:
        raise BadValue("--signers", f"got {wanted!r}", f"split {split} may use a number or " + ", ".join(pool))
    return names


# ---- one clip --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def anatomy_of(signer: str) -> Anatomy:
    """Places of a signer; the last few are kept."""
    from signgen.synthetic.motion.anatomy import Anatomy
    from signgen.synthetic.signer import load_signer

    return Anatomy(load_signer(signer))


def draw_clip(plan: Plan, index: int, movement: Movement | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames of one clip, in order: image uint8 (H, W, 3) and keypoints float32 (133, 3).

    ``movement``: `Plan.perform` of the clip, where it is known already.
    """
    from signgen.synthetic.picture.figure import Figure
    from signgen.synthetic.signer import load_signer

    # No grain: nobody can predict it, so it would only lower every score by the same unknown amount.
    figure = Figure(load_signer(plan.signer(index)), size=plan.size, seed=plan.camera_seed(index))
    for poses in (movement or plan.perform(index)).exposures():
        frame = figure.draw(poses)
        yield frame.image, np.concatenate([frame.xy, frame.confidence[:, None]], 1).astype(np.float32)


def draw_solid(plan: Plan, index: int, movement: Movement) -> np.ndarray:
    """The true hands of one clip as solid pose images, uint8 (T, H, W, 6), see `signgen.pose_image.solid`."""
    from signgen.pose_image.solid import draw_meshes
    from signgen.synthetic.picture.camera import Camera
    from signgen.synthetic.picture.hand_meshes import true_meshes
    from signgen.synthetic.signer import load_signer

    signer, camera = load_signer(plan.signer(index)), Camera.drawn(plan.camera_seed(index))
    middles = [poses[len(poses) // 2] for poses in movement.exposures()]
    return np.stack([draw_meshes(true_meshes(signer, camera, pose, plan.size), 0, 0, plan.size) for pose in middles])


def _clip_paths(out: Path, plan: Plan, index: int) -> tuple[Path, Path, Path]:
    """The folder of a clip's frames, and the files of its keypoints and of its solid hands."""
    name = plan.name(index)
    folder = out / FRAMES_FOLDER / plan.split / name
    return folder, out / "keypoints" / f"{name}.npz", out / "solid" / f"{name}.npz"


def write_clip(out: Path, plan: Plan, index: int) -> int:
    """Draws one clip and writes what is missing of it: frames and keypoints, which appear together, and solid hands.

    Returns its number of frames.
    """
    from PIL import Image

    *paths, solid = _clip_paths(out, plan, index)
    for path in (*paths, solid):
        path.parent.mkdir(parents=True, exist_ok=True)
    points, movement = [], plan.perform(index)
    if not solid.exists():
        with Staging() as staging:
            np.savez_compressed(staging.place(solid), solid=draw_solid(plan, index, movement))
    if all(path.exists() for path in paths):  # a data set that was written before there were solid hands
        return plan.length(index)
    with Staging() as staging:
        frames, keypoints = (staging.place(path) for path in paths)
        frames.mkdir()
        for number, (image, one) in enumerate(draw_clip(plan, index, movement), 1):
            Image.fromarray(image).save(frames / f"images{number:04d}.png", compress_level=1)
            points.append(one)
        _write_keypoints(keypoints, np.stack(points), plan.size, movement.hand_shapes())
    return len(points)


def _write_keypoints(path: Path, keypoints: np.ndarray, size: tuple[int, int], shapes: np.ndarray) -> None:
    from signgen.synthetic.motion.handshapes import HANDSHAPES
    from signgen.synthetic.motion.labels import NONE, visible_hands

    np.savez_compressed(
        path,
        keypoints=keypoints,
        width=np.int64(size[0]),
        height=np.int64(size[1]),
        fps=np.float64(FPS),
        hand_shapes=np.where(visible_hands(keypoints, size), shapes, NONE).astype(np.int16),
        shapes=np.array(list(HANDSHAPES)),
    )


# ---- a whole split ---------------------------------------------------------------------------------------------------


def write_dataset(
    out: Path | str, plan: Plan, clips: int, jobs: int = 1, advance: Callable[[int], None] = lambda n: None
) -> dict[str, Any]:
    """Writes `clips` clips of one split and then its corpus file.

    Args:
        out: folder; other splits, and clips that an earlier run finished, stay as they are.
        jobs: processes.
        advance: called with the number of newly finished clips.

    Returns:
        output, split, clips, frames, signers, glosses, written, kept, seconds, frames_per_second.

    Raises:
        BadValue: fewer than one clip or process.
        NotWritable, Damaged: `out` is no folder to write into, or its `synthetic.json` cannot be read.
        Mismatch: `out` holds this split made with other settings.
        RunError: a clip could not be drawn.
    """
    out = Path(out)
    if clips < 1 or jobs < 1:
        raise BadValue("--clips" if clips < 1 else "--jobs", f"got {min(clips, jobs)}", "use 1 or more")
    _check_same(out, plan)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(out, f"cannot be made a folder ({error.strerror})", "name another folder") from None
    _write_json(out, plan, None)
    begun = time.monotonic()
    missing = [i for i in range(clips) if not all(path.exists() for path in _clip_paths(out, plan, i))]
    advance(clips - len(missing))
    frames = _write_clips(out, plan, missing, jobs, advance)
    seconds = time.monotonic() - begun
    write_corpus(out, plan, clips)
    counts = {"clips": clips, "frames": sum(plan.length(i) for i in range(clips)), "signers": len(plan.signers)}
    _write_json(out, plan, counts)
    return {
        "output": str(out),
        "split": plan.split,
        **counts,
        "written": len(missing),
        "kept": clips - len(missing),
        "seconds": round(seconds, 2),
        "frames_per_second": round(frames / max(seconds, 1e-9), 2),
        "warnings": [],
    }


def _write_clips(out: Path, plan: Plan, indices: Sequence[int], jobs: int, advance: Callable[[int], None]) -> int:
    """Writes clips in one or several processes; returns the number of frames."""
    by_signer = sorted(indices, key=lambda i: (plan.signer(i), i))  # a signer takes a while to build
    tasks = [(out, plan, index) for index in by_signer]
    chunk = max(1, min(4, len(tasks) // (2 * jobs)))
    frames = 0
    try:
        with closing(in_processes(_write_task, tasks, jobs, chunk=chunk, ordered=False, threads=1)) as written:
            for count in written:
                frames += count
                advance(1)
    finally:
        for folder in {path.parent for index in by_signer for path in _clip_paths(out, plan, index)}:
            remove_leftovers(folder)  # of this run's processes that were stopped, and of earlier ones
    return frames


def _write_task(task: tuple[Path, Plan, int]) -> int:
    """`write_clip` in a process of its own. Not every exception survives the way back: one of ours does."""
    out, plan, index = task
    try:
        return write_clip(out, plan, index)
    except Exception as error:
        advice = "remove the cause and run the same command again to go on"
        raise RunError(plan.name(index), f"{type(error).__name__}: {error}", advice) from error


def corpus_row(plan: Plan, index: int) -> str:
    """One line of the corpus file, `|` separated, without quotes, like PHOENIX14T's."""
    name, words = plan.name(index), plan.glosses(index)
    return "|".join([name, f"{name}/1/*.png", "-1", "-1", plan.signer(index), " ".join(words), " ".join(words).lower()])


def write_corpus(out: Path, plan: Plan, clips: int) -> Path:
    """Writes the split's corpus file of `clips` clips and returns its path."""
    path = out / ANNOTATIONS / f"PHOENIX-2014-T.{plan.split}.corpus.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [HEADER, *(corpus_row(plan, i) for i in range(clips))]
    place_file(path, ("\n".join(rows) + "\n").encode())
    return path


def _settings(plan: Plan) -> dict[str, Any]:
    return {"version": VERSION, **json.loads(json.dumps(asdict(plan)))}  # tuples become lists, as when read back


def _read_json(out: Path) -> dict[str, Any]:
    path = out / "synthetic.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"splits": {}}
    except ValueError as error:
        raise Damaged(path, f"is no JSON: {error}", "delete it or use another folder") from error


def _check_same(out: Path, plan: Plan) -> None:
    known = _read_json(out)
    there = known["splits"].get(plan.split)
    if there is None:
        return
    wanted = _settings(plan)
    before = there.get("settings", {})
    changed = [key for key in wanted if before.get(key) != wanted[key]]
    if changed:
        got = f"holds split {plan.split} made with other settings ({', '.join(changed)})"
        raise Mismatch(out, got, "use the same settings to go on, or another folder")


def _write_json(out: Path, plan: Plan, counts: dict[str, int] | None) -> None:
    content = {**_read_json(out), "fps": FPS}
    content["splits"][plan.split] = {"settings": _settings(plan), "counts": counts, "finished": counts is not None}
    replayed = any("motion" in split["settings"] for split in content["splits"].values())
    content["statement"] = REPLAYED if replayed else STATEMENT
    place_file(out / "synthetic.json", (json.dumps(content, indent=2) + "\n").encode())
