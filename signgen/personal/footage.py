"""A video of one person as training data: checked, laid onto the model's canvas, and the parts of it worth learning.

The last part of the video is held out. Of the rest, runs of frames are chosen in which the person, the hands and the
picture are good and which differ from each other; mirrored and re-lit copies are made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from scipy import ndimage

from signgen.dataset.files import NpyWriter, read_json
from signgen.dataset.prepare import check_free
from signgen.errors import BadValue, Damaged, Empty, Mismatch, TooLarge
from signgen.extraction.footage import Footage as Film
from signgen.extraction.footage import open_footage as open_film
from signgen.extraction.footage import schedule
from signgen.extraction.run import ExtractSettings, extract_keypoints
from signgen.files import Staging, writing
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.skeleton import CONFIDENT, HANDS, MIDDLE_KNUCKLE, NOSE, SHOULDERS
from signgen.keypoints.units import check_placed
from signgen.pose_image.shapes import same_shape
from signgen.rendering.compositing import lift
from signgen.rendering.framing import HANDS_OUT, Framing, Size, find_stance, fitted, hands_outside, typical_stance
from signgen.rendering.scene import ZOOMS
from signgen.rendering.several import choose_frames
from signgen.rendering.source import Source, in_pixels_of

FEWEST, MOST = 24, 20_000  # frames of a video; the second are 13 minutes at 25 a second
SEEN = 0.5  # least share of frames that show the person
CROWDED = 0.1  # share of frames with several people from which it must be said who is meant
HANDS_SEEN = 0.15  # least share of frames that show a hand
STILL_HANDS = 0.15  # shoulder widths; the reach of hands that never move
RUN = 16  # frames that are chosen together; a window of 15 and its source fit into them
STANDS = 75  # frames for which a picture may stand, at a varying rate
LONGEST = 128  # frames of one clip of the training data
GOOD = 0.8  # share of a piece's frames that must be good
SHARPNESS = 0.5  # of the median; frames below are out of focus
GAIN, GAMMA, SLOPE = (0.15, 0.25, 0.2)  # of re-lit copies: of each colour, of all, from side to side
FRAMES, POINTS, SHARP, NOTES = "frames.npy", "points.npz", "sharpness.npy", "notes.json"


@dataclass(frozen=True)
class Footage:
    """The video on the model's canvas.

    Attributes:
        frames: uint8 (T,H,W,3), memory-mapped.
        clip: keypoints on the canvas, T frames.
        sharpness: (T,), of the picture; only ratios mean anything.
        learned: how many frames from the start are learned from; the others are held out.
        warnings: what was assumed or completed.
    """

    frames: np.ndarray
    clip: Keypoints
    sharpness: np.ndarray
    learned: int
    warnings: tuple[str, ...] = ()

    @property
    def held_out(self) -> range:
        return range(self.learned, len(self.clip))

    def source(self, index: int, name: str) -> Source:
        """One frame as a source picture."""
        return Source(np.array(self.frames[index]), self.clip[index : index + 1], name, "image")


def read_footage(
    video: str | Path,
    folder: Path,
    canvas: Size,
    pixel_aspect: float,
    held_out: float,
    keypoints: str | Path | None = None,
    person: int | str | None = None,
    estimator: str | None = None,
    estimator_weights: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    room: int = 0,
    choosing: str = ", or say who with --person",
) -> Footage:
    """Reads a video, and its keypoints or finds them, and keeps both on the canvas in ``folder``.

    Args:
        canvas: (W,H) of the model's frames. pixel_aspect: shown width / true width of things on it.
        held_out: share of the frames at the end that nothing is learned from.
        person: who is meant where several are seen.
        progress: called with the frames looked at.
        room: bytes that what follows takes on the same disk.
        choosing: how a user of the caller says which of several people is meant.

    Raises:
        InputError: too short, too long, nobody or several people in it, no hands, or keypoints of something else.
    """
    film = open_film(video)
    if not FEWEST <= film.frames <= MOST:
        got, kind = f"has {film.frames} frames", TooLarge if film.frames > MOST else Empty
        raise kind(video, got, f"give {FEWEST} to {MOST}, best one to three minutes")
    learned_of(film.frames, held_out)
    timing = schedule(film)
    if keypoints is not None:
        clip, people, notes = _given_keypoints(keypoints, film, timing.fps, person)
        notes += timing.warnings
    else:
        settings = ExtractSettings(estimator=estimator or "auto", weights=estimator_weights, person=person)
        found = extract_keypoints(video, settings, progress)
        clip, people, notes = found.keypoints, len(found.people), list(found.warnings)
    if people > 1 and person is None:
        raise Mismatch(video, f"shows {people} people", f"give a video of one person{choosing}")
    numbers = timing.numbers  # of frames that come at a varying rate: those that `signgen extract` looks at
    if len(clip) != len(numbers):
        numbers = np.arange(film.frames)
    if len(clip) != len(numbers):
        got = f"{len(clip)} frames of keypoints for {film.frames}"
        raise Mismatch(keypoints or video, got, "give this video's own")
    there = numbers >= 0
    if not there.all():  # pictures that a folder lacks, at which nobody stands
        clip, numbers = replace(clip, xy=clip.xy[there], confidence=clip.confidence[there]), numbers[there]
        notes.append(f"{(~there).sum()} of {len(there)} pictures are not there: those around them follow each other")
    check_person(clip, video)
    framing = framing_of(clip, canvas, pixel_aspect, video)
    on_canvas = replace(framing.to_canvas(clip), name=Path(video).stem)
    # What other commands advise, this one cannot be told.
    notes = [re.sub(r" \(--[a-z-]+(, --[a-z-]+)*\)", "", note) for note in notes]
    _keep(film, numbers, folder, framing, on_canvas, notes, room)
    return open_footage(folder, held_out)


def _given_keypoints(
    path: str | Path, film: Film, fps: float, person: int | str | None
) -> tuple[Keypoints, int, list[str]]:
    """Keypoints of a file in pixels of the film, how many people are seen there, and what is to be said."""
    size = film.width, film.height
    read = read_keypoints(path, fps=fps, person=person)
    check_placed(read, str(path), "the video's")
    if not read.size_known:
        read = read_keypoints(path, frame_size=size, fps=fps, person=person)
    clip = in_pixels_of(size, read.keypoints, path, "video")
    return clip, read.people if read.crowded >= CROWDED else 1, list(read.warnings)


def open_footage(folder: Path, held_out: float) -> Footage:
    """What `read_footage` left in a folder."""
    frames, sharpness = np.load(folder / FRAMES, mmap_mode="r"), np.load(folder / SHARP)
    clip = read_keypoints(folder / POINTS).keypoints
    notes = read_json(folder / NOTES, "remove the folder and begin again")["warnings"]
    learned = learned_of(len(frames), held_out)
    # A picture that stands for a while is not on both sides; one that stands for long is learned from.
    before, after = range(learned, max(learned - STANDS, RUN) - 1, -1), range(learned + 1, (learned + len(frames)) // 2)
    learned = next((one for one in chain(before, after) if not np.array_equal(frames[one - 1], frames[one])), learned)
    return Footage(frames, clip, sharpness, learned, tuple(notes))


def learned_of(frames: int, held_out: float) -> int:
    """How many frames from the start are learned from.

    Raises:
        BadValue: too few.
    """
    learned = frames - max(round(held_out * frames), 1)
    if learned < RUN:
        raise BadValue("--held-out", f"got {held_out}", f"leaves {learned} of {frames} frames to learn from")
    return learned


def _keep(
    film: Film, numbers: np.ndarray, folder: Path, framing: Framing, clip: Keypoints, notes: Sequence[str], room: int
) -> None:
    """Frames of these numbers, keypoints and notes; all of them appear together."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = framing.canvas
    check_free(folder, len(clip) * width * height * 3 + room, "give a shorter video, or fewer minutes")
    with writing(folder, "free some space, or name a folder on another disk"), Staging() as staging:
        places = [staging.place(folder / name) for name in (FRAMES, SHARP, POINTS, NOTES)]
        sharpness: list[float] = []
        with NpyWriter(places[0], (height, width, 3), np.uint8) as frames:
            for index, frame in enumerate(film.read()):
                if times := int((numbers == index).sum()):  # a frame that is shown for longer stands there more often
                    picture = lift(frame, framing)
                    frames.append(np.repeat(picture[None], times, 0))
                    sharpness += [ndimage.laplace(picture.mean(-1)).var()] * times
        if len(sharpness) != len(clip):
            got = f"{len(sharpness)} of {len(clip)} frames can be read"
            raise Damaged(film.path, got, "write the video again, or give the part that is sound")
        with open(places[1], "wb") as file:
            np.save(file, np.array(sharpness))
        write_keypoints(clip, places[2])
        places[3].write_text(json.dumps({"warnings": list(notes)}), encoding="utf-8")


def check_person(clip: Keypoints, video: str | Path) -> None:
    """Raises `Empty` where a model could learn nobody, or nobody's hands."""
    seen = clip.confidence >= CONFIDENT
    present = seen[:, [*SHOULDERS, NOSE]].all(1)
    if present.mean() < SEEN:
        got = f"a person from head to chest is seen in {present.mean():.0%} of its frames"
        raise Empty(video, got, f"give a video that shows the signer in {SEEN:.0%} or more")
    hands = [seen[:, hand].mean(1) >= 0.5 for hand in HANDS]
    if np.any(hands, 0).mean() < HANDS_SEEN:
        got = f"hands are seen in {np.any(hands, 0).mean():.0%} of its frames"
        raise Empty(video, got, "give a video of signing, with the hands in the picture")
    stance = find_stance(clip)
    reach = [np.ptp(clip.xy[shown, hand.start + MIDDLE_KNUCKLE], axis=0).max() if shown.sum() > 1 else 0.0
             for hand, shown in zip(HANDS, hands, strict=True)]  # fmt: skip
    if stance is None or max(reach) < STILL_HANDS * stance.width:
        raise Empty(video, "the hands never move", "give a video of signing")


def framing_of(clip: Keypoints, canvas: Size, pixel_aspect: float, video: str | Path) -> Framing:
    """Which part of the video's frames becomes the canvas, the same in all of them: as in a render, so that the person
    stands where the models know signers, and the hands fit."""
    size = clip.size
    if same_shape(size, canvas):
        return Framing(size, canvas, size, 0, 0, *size)
    stance = find_stance(clip, facing=True)
    usual = None if stance is None else fitted(size, stance, typical_stance(canvas), canvas, size, pixel_aspect)
    if usual is None:
        raise Empty(video, "no usable shoulders are seen", "give a video of a person who faces the camera")
    tried = [usual, *(usual.zoomed_out(zoom) for zoom in ZOOMS)]
    fits = [framing for framing in tried if hands_outside(clip, framing) <= HANDS_OUT]
    return fits[0] if fits else tried[-1]


def choose_runs(footage: Footage, most: int) -> list[range]:
    """Runs of frames to learn from, ``most`` frames together, from what is not held out.

    Of all pieces of `RUN` frames in which person and hands are there and the picture is sharp, or at least the person
    is there: those that show most, and are least like each other (`choose_frames`). Neighbours become one run of about
    `LONGEST` frames at most.

    Raises:
        Empty: there is no such piece.
    """
    clip, seen = footage.clip, footage.clip.confidence >= CONFIDENT
    there = np.asarray(seen[:, [*SHOULDERS, NOSE]].all(1))
    hands: np.ndarray = np.any([seen[:, hand].mean(1) >= 0.3 for hand in HANDS], 0)
    good = there & hands & (footage.sharpness >= SHARPNESS * np.median(footage.sharpness))
    starts = list(range(0, footage.learned - RUN + 1, RUN))
    pieces = {start: slice(start, start + RUN) for start in starts}
    pieces[starts[-1]] = slice(starts[-1], footage.learned)  # with the frames that are left over
    usable = [start for start, piece in pieces.items() if good[piece].mean() >= GOOD]
    usable = usable or [start for start, piece in pieces.items() if there[piece].mean() >= GOOD]
    if not usable:
        raise Empty(clip.name, "no half second of it shows the person throughout", "give a steadier, brighter video")
    if len(usable) > (count := max(most // RUN, 1)):
        middles = np.array(usable) + RUN // 2
        shown = replace(clip, xy=clip.xy[middles], confidence=clip.confidence[middles])
        usable = sorted(usable[index] for index in choose_frames(shown, count))
    runs = []
    for _, group in groupby(enumerate(usable), lambda item: item[1] // RUN - item[0]):
        neighbours = [start for _, start in group]
        for first in range(0, len(neighbours), LONGEST // RUN):
            some = neighbours[first : first + LONGEST // RUN]
            runs.append(range(some[0], pieces[some[-1]].stop))
    return runs


def choose_sources(footage: Footage, count: int) -> list[int]:
    """The frames that show most, of the sharper half of what is learned from."""
    sharpness = footage.sharpness[: footage.learned]
    sharp = np.flatnonzero(sharpness >= np.median(sharpness))
    shown = replace(footage.clip, xy=footage.clip.xy[sharp], confidence=footage.clip.confidence[sharp])
    return [int(sharp[index]) for index in choose_frames(shown, count)]


Clips = Iterator[tuple[str, str, Iterator[np.ndarray], np.ndarray]]


def own_clips(footage: Footage, runs: list[range]) -> Clips:
    """The runs as `signgen.dataset.cache.build_cache` takes them."""
    for number, run in enumerate(runs):
        clip = footage.clip[run.start : run.stop]
        yield f"own{number:03d}", "own", (np.array(footage.frames[i]) for i in run), clip.points


def copies(footage: Footage, runs: list[range], seed: int) -> Clips:
    """Mirrored and re-lit copies of the runs. They have speakers of their own: their pictures go with no others."""
    for number, run in enumerate(runs):
        mirrored = footage.clip[run.start : run.stop].mirror().points
        yield f"mirrored{number:03d}", "mirrored", (np.array(footage.frames[i][:, ::-1]) for i in run), mirrored
    for number, run in enumerate(runs):
        light = relight(np.random.default_rng((seed, number)), footage.frames.shape[2])
        clip = footage.clip[run.start : run.stop]
        yield f"relit{number:03d}", f"relit{number:03d}", (light(np.array(footage.frames[i])) for i in run), clip.points


def relight(rng: np.random.Generator, width: int) -> Callable[[np.ndarray], np.ndarray]:
    """Another light, the same for all frames uint8 (H,W,3) of a clip: brightness, colour, and from a side."""
    gain, gamma = rng.uniform(1 - GAIN, 1 + GAIN, 3), rng.uniform(1 - GAMMA, 1 + GAMMA)
    across = 1 + rng.uniform(-SLOPE, SLOPE) * np.linspace(-1, 1, width)[:, None]
    table = (np.arange(256) / 255) ** gamma * 255

    def light(frame: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(table[frame] * gain * across), 0, 255).astype(np.uint8)

    return light
