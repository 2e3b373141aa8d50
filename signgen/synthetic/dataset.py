"""Writes drawn clips in PHOENIX14T's own layout, with exact keypoints.

    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual/PHOENIX-2014-T.<split>.corpus.csv
    OUT/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px/<split>/<clip>/images0001.png ...
    OUT/keypoints/<clip>.npz      keypoints (T, 133, 3) as x, y, confidence; width, height, fps;
                                  hand_shapes int16 (T, 2): the shape that the signer's left and right hand hold, an
                                  index into the names `shapes`; -1 in transitions, at rest and out of the picture
                                  visemes int8 (T,): the mouth shape that is seen, an index into `viseme_names`, -1
                                  in between; shutter: share of a frame's time that it is open, 0 for crisp frames
    OUT/solid/<clip>.npz          solid uint8 (T, H, W, 6): both hands as `signgen.pose_image.solid` draws them, but as
                                  they truly are: since version 5 over each exposure, whose share of a frame's time
                                  `shutter` says, before that in its middle
    OUT/matte/<clip>.npz          matte uint8 (T, H, W): how much of each pixel the signer covers, 255 all of it;
                                  plate uint8 (H, W, 3): the backdrop alone, without grain and compression
    OUT/synthetic.json            how it was made, and that nobody in it is real

A clip depends on (seed, split, its number, signers, frames, size, content version, shutter) alone, so any number of
processes writes the same files and a stopped run goes on where it was. Sentences of train, dev and test never coincide
(`score.sentence_split`); signers of test are never in train or dev.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.errors import BadValue, Damaged, Mismatch, NotWritable, RunError
from signgen.files import Staging, place_file, remove_leftovers
from signgen.processes import in_processes
from signgen.synthetic import VERSION, VERSIONS
from signgen.synthetic.motion.movement import SHUTTER
from signgen.synthetic.motion.score import FPS, SPLITS, Score, compose, wanted_glosses
from signgen.synthetic.picture.camera import NATIVE

if TYPE_CHECKING:
    from signgen.synthetic.motion.anatomy import Anatomy
    from signgen.synthetic.motion.movement import Movement
    from signgen.synthetic.motion.posture import Pose
    from signgen.synthetic.picture.camera import Camera
    from signgen.synthetic.picture.figure import Figure, Frame

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
PIXELS_PER_POSE = 1.2  # that a hand moves at most from one pose of an exposure to the next


@dataclass(frozen=True)
class Plan:
    """What to write: everything that a clip's content depends on.

    Attributes:
        seed: of everything random.
        split: train, dev or test.
        signers: names; clip number i is signed by signers[i mod S].
        frames: lowest and highest number of frames of a clip.
        size: (width, height) in pixels.
        version: of the drawn content, one of `VERSIONS`.
        shutter: share of a frame's time that the shutter is open, 0 (crisp) to 1; None: each clip has its own, drawn,
            and before version 5 all have the same.
    """

    seed: int
    split: str
    signers: tuple[str, ...]
    frames: tuple[int, int] = (42, 42)
    size: tuple[int, int] = (210, 260)
    version: int = VERSION
    shutter: float | None = None

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise BadValue("content version", f"got {self.version}", f"use {' or '.join(map(str, VERSIONS))}")
        if self.shutter is not None and not (0 <= self.shutter <= 1 and self.version >= 5):
            raise BadValue("--shutter", f"got {self.shutter:g}", "use 0 (crisp) to 1, from content version 5 on")
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

    def warnings(self) -> list[str]:
        """What was assumed of the plan's files."""
        return []

    def perform(self, index: int) -> Movement:
        """The movement of clip `index`."""
        from signgen.synthetic.motion.performance import Performance

        anatomy = anatomy_of(self.signer(index), self.version)
        return Performance(anatomy, self.score(index), self.streams(index)[1], self.version)

    def camera_seed(self, index: int) -> int:
        """Of camera and light."""
        return int(self.streams(index)[2].integers(2**31))

    def camera(self, index: int) -> Camera:
        """The camera of clip `index`."""
        from signgen.synthetic.picture.camera import Camera

        return Camera.drawn(self.camera_seed(index), self.version)

    def open_shutter(self, index: int) -> float:
        """Share of a frame's time that the shutter is open in clip `index`: a sixth of all are crisp."""
        if self.shutter is not None or self.version < 5:
            return SHUTTER if self.shutter is None else self.shutter
        rng = np.random.default_rng([self.camera_seed(index), 89])
        return 0.0 if rng.random() < 1 / 6 else round(float(rng.uniform(0.2, 0.65)), 3)

    def exposures(self, index: int, movement: Movement) -> list[list[Pose]]:
        """Poses of each frame of clip `index`; its keypoints and solid hands are those of the middle one."""
        if self.version < 5:
            return movement.exposures()
        pixel = self.camera(index).mm / 1000 * NATIVE[1] / self.size[1]
        return movement.exposures(self.open_shutter(index), PIXELS_PER_POSE * pixel)

    def score(self, index: int) -> Score:
        """The sentence of clip `index`."""
        rng = self.streams(index)[0]
        frames = int(rng.integers(self.frames[0], self.frames[1] + 1))
        return compose(rng, self.split, frames, wanted_glosses(self.seed, self.split, index))


def settings_of(plan: Plan) -> dict[str, Any]:
    """Everything that a plan's content depends on, as it is read back from JSON; the version first.

    What came with version 5 is left out before it, so that older data sets and names of caches stay what they are.
    """
    settings = json.loads(json.dumps(asdict(plan)))  # tuples become lists
    if plan.version < 5:
        del settings["shutter"]
    return {"version": plan.version, **settings}


def pick_signers(wanted: str, split: str, version: int = VERSION) -> tuple[str, ...]:
    """Signers of a split from a number or a comma-separated list of names.

    Train and dev take signers for training, test takes held-out ones, so no signer of test is ever trained on.
    """
    from signgen.synthetic.signer import HELD_OUT, signer_names

    pool = list(HELD_OUT) if split == "test" else signer_names(version)
    if wanted.strip().isdecimal():
        count = int(wanted)
        if not 1 <= count <= len(pool):
            raise BadValue("--signers", f"got {count}", f"split {split} has 1 to {len(pool)} signers")
        return tuple(pool[:count])
    names = tuple(name.strip() for name in wanted.split(",") if name.strip())
    unknown = [name for name in names if name not in pool]
    if unknown or not names:
        raise BadValue(
            "--signers", f"got {wanted!r}", f"split {split} may use a number or names from {pool[0]} to {pool[-1]}"
        )
    return names


# ---- one clip --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def anatomy_of(signer: str, version: int = VERSION) -> Anatomy:
    """Places of a signer; the last few are kept."""
    from signgen.synthetic.motion.anatomy import Anatomy
    from signgen.synthetic.signer import load_signer

    return Anatomy(load_signer(signer, version))


def figure_of(plan: Plan, index: int) -> Figure:
    """The signer of clip `index` before its camera."""
    from signgen.synthetic.picture.figure import Figure
    from signgen.synthetic.signer import load_signer

    return Figure(load_signer(plan.signer(index), plan.version), size=plan.size, seed=plan.camera_seed(index))


def draw_frames(plan: Plan, index: int, movement: Movement) -> Iterator[Frame]:
    """Frames of one clip, in order; `movement` is `Plan.perform` of the clip."""
    figure = figure_of(plan, index)
    yield from (figure.draw(poses) for poses in plan.exposures(index, movement))


def draw_clip(plan: Plan, index: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames of one clip, in order: image uint8 (H, W, 3) and keypoints float32 (133, 3)."""
    yield from ((frame.image, frame.keypoints()) for frame in draw_frames(plan, index, plan.perform(index)))


def draw_solid(plan: Plan, index: int, movement: Movement) -> np.ndarray:
    """The true hands of one clip as solid pose images, uint8 (T, H, W, 6), see `signgen.pose_image.solid`."""
    from signgen.pose_image.solid import MOST_DRAWN, draw_meshes, exposed
    from signgen.synthetic.picture.hand_meshes import true_meshes
    from signgen.synthetic.signer import load_signer

    signer, camera = load_signer(plan.signer(index), plan.version), plan.camera(index)
    most = 1 if plan.version < 5 else MOST_DRAWN
    frames = []
    for poses in plan.exposures(index, movement):
        count = min(len(poses), most)  # odd as well: the middle one stays
        seen = [poses[len(poses) * (2 * i + 1) // (2 * count)] for i in range(count)]
        meshes = (true_meshes(signer, camera, pose, plan.size) for pose in seen)
        frames.append(exposed([draw_meshes(two, 0, 0, plan.size) for two in meshes]))
    return np.stack(frames)


def _clip_paths(out: Path, plan: Plan, index: int) -> tuple[Path, ...]:
    """The folder of a clip's frames, and the files of its keypoints, solid hands and, since version 5, matte."""
    name = plan.name(index)
    folder = out / FRAMES_FOLDER / plan.split / name
    parts = ("keypoints", "solid") if plan.version < 5 else ("keypoints", "solid", "matte")
    return folder, *(out / part / f"{name}.npz" for part in parts)


def write_clip(out: Path, plan: Plan, index: int) -> int:
    """Draws one clip and writes what is missing of it: solid hands, and the rest, which appears together.

    Returns its number of frames.
    """
    from PIL import Image

    folder, keypoints, solid, *more = _clip_paths(out, plan, index)
    for path in (folder, keypoints, solid, *more):
        path.parent.mkdir(parents=True, exist_ok=True)
    movement = plan.perform(index)
    if not solid.exists():
        with Staging() as staging:
            said: dict[str, Any] = {} if plan.version < 5 else {"shutter": plan.open_shutter(index)}
            np.savez_compressed(staging.place(solid), solid=draw_solid(plan, index, movement), **said)
    if all(
        path.exists() for path in (folder, keypoints, *more)
    ):  # a data set that was written before there were solid hands
        return plan.length(index)
    points, mattes = [], []
    with Staging() as staging:
        place = staging.place(folder)
        place.mkdir()
        for number, frame in enumerate(draw_frames(plan, index, movement), 1):
            Image.fromarray(frame.image).save(place / f"images{number:04d}.png", compress_level=1)
            points.append(frame.keypoints())
            mattes.append(frame.matte)
        known = {} if plan.version < 5 else _seen_in(plan, index, movement)
        _write_keypoints(staging.place(keypoints), np.stack(points), plan.size, movement, known)
        for path in more:
            np.savez_compressed(staging.place(path), matte=np.stack(mattes), plate=figure_of(plan, index).plate())
    return len(points)


def _seen_in(plan: Plan, index: int, movement: Movement) -> dict[str, Any]:
    """What keypoint files say since content version 5 beside points and hand shapes."""
    from signgen.synthetic.motion.face import VISEMES

    shapes = movement.visemes()
    return {"visemes": shapes, "viseme_names": np.array(list(VISEMES)), "shutter": plan.open_shutter(index)}


def _write_keypoints(
    path: Path, keypoints: np.ndarray, size: tuple[int, int], movement: Movement, known: Mapping[str, Any]
) -> None:
    from signgen.synthetic.motion.handshapes import HANDSHAPES
    from signgen.synthetic.motion.labels import NONE, visible_hands

    shapes = movement.hand_shapes()
    np.savez_compressed(
        path,
        keypoints=keypoints,
        width=np.int64(size[0]),
        height=np.int64(size[1]),
        fps=np.float64(FPS),
        hand_shapes=np.where(visible_hands(keypoints, size), shapes, NONE).astype(np.int16),
        shapes=np.array(list(HANDSHAPES)),
        **known,
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
        Mismatch: `out` holds this split made with other settings or more clips, or two clips have one name.
        RunError: a clip could not be drawn.
    """
    out = Path(out)
    if clips < 1 or jobs < 1:
        raise BadValue("--clips" if clips < 1 else "--jobs", f"got {min(clips, jobs)}", "use 1 or more")
    _check_names(plan, clips)
    _check_same(out, plan, clips)
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
        "warnings": plan.warnings(),
    }


def _check_names(plan: Plan, clips: int) -> None:
    """Raises `Mismatch` where two clips would have one name: the second would be taken for written."""
    names: set[str] = set()
    for index in range(clips):
        if (name := plan.name(index)) in names:
            raise Mismatch("--motion", f"two clips would be called {name}", "give files different names")
        names.add(name)


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


def _read_json(out: Path) -> dict[str, Any]:
    path = out / "synthetic.json"
    if not path.is_file():
        return {"splits": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(path, f"is no JSON: {error}", "delete it or use another folder") from error
    splits = content.get("splits") if isinstance(content, dict) else None
    parts = splits.values() if isinstance(splits, dict) else [None]
    if not all(isinstance(part, dict) and isinstance(part.get("settings"), dict) for part in parts):
        raise Damaged(path, "does not say which splits were made how", "delete it or use another folder")
    return content  # type: ignore[no-any-return]


def _check_same(out: Path, plan: Plan, clips: int) -> None:
    known = _read_json(out)
    there = known["splits"].get(plan.split)
    if there is None:
        return
    wanted = settings_of(plan)
    before = there.get("settings", {})
    changed = [key for key in {**wanted, **before} if before.get(key) != wanted.get(key)]  # motion is of one alone
    if changed:
        got = f"holds split {plan.split} made with other settings ({', '.join(changed)})"
        raise Mismatch(out, got, "use the same settings to go on, or another folder")
    held = (there.get("counts") or {}).get("clips", 0)
    if clips < held:  # the others would lie there unlisted
        got = f"got {clips}, and {out} holds {held} clips of split {plan.split}"
        raise Mismatch("--clips", got, f"give {held} or more, or another folder")


def _write_json(out: Path, plan: Plan, counts: dict[str, int] | None) -> None:
    content = {**_read_json(out), "fps": FPS}
    content["splits"][plan.split] = {"settings": settings_of(plan), "counts": counts, "finished": counts is not None}
    replayed = any("motion" in split["settings"] for split in content["splits"].values())
    content["statement"] = REPLAYED if replayed else STATEMENT
    place_file(out / "synthetic.json", (json.dumps(content, indent=2) + "\n").encode())
