"""The frames that are looked at, and when each is shown.

Frames are read with decord where its frames and times are those of the file's own index, and with PyAV elsewhere: for
codecs that decord cannot read (AV1), for edit lists, whose hidden frames decord counts, and for turned video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import InputError
from signgen.video import exact_rate, probe, read_frames

FOLDER_RATE = 25.0  # frames per second of a folder of frames, which says none: PHOENIX14T's
_SAME_TIME = 0.002  # seconds; containers round times to milliseconds or finer


@dataclass(frozen=True)
class Footage:
    """One clip.

    Attributes:
        path: a video file, or a folder of images.
        width, height: pixels.
        times: float64 (T,), seconds from the first frame to each, rising; None for a folder.
        rate: frames per second as the container says; None for a folder.
        reader: ``decord``, ``pyav`` or ``folder``.
    """

    path: Path
    width: int
    height: int
    frames: int
    times: np.ndarray | None
    rate: float | None
    reader: str

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Frames ``start`` to ``stop - 1``, one at a time, each (H, W, 3) uint8 RGB."""
        return _with_decord(self, start, stop) if self.reader == "decord" else read_frames(self.path, start, stop)


def open_footage(path: str | Path) -> Footage:
    """What a video or a folder holds; decodes one frame of it.

    Raises:
        InputError: not there, not a video, without a frame.
    """
    info = probe(path)
    if Path(path).is_dir():
        return Footage(Path(path), *info.size, info.frames, None, None, "folder")
    times, plain = _index(path, info.fps)
    reader = "decord" if plain and _decord_agrees(path, times, info.size) else "pyav"
    return Footage(Path(path), *info.size, len(times), times, info.fps, reader)


def _index(path: str | Path, rate: float | None) -> tuple[np.ndarray, bool]:
    """Times of the frames that are shown, and whether all frames are shown, as they are stored."""
    import av

    stamps: list[int] = []
    missing = hidden = False
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = float(stream.time_base or 1)
        for packet in container.demux(stream):
            if packet.size and packet.is_discard:
                hidden = True
            elif packet.size and packet.pts is None:
                missing = True
                stamps.append(0)
            elif packet.size and packet.pts is not None:
                stamps.append(packet.pts)
    with av.open(str(path)) as container:
        turned = bool(next(container.decode(container.streams.video[0])).rotation)
    if missing:  # such as a raw stream: frames follow each other at the rate
        return np.arange(len(stamps)) / (rate or FOLDER_RATE), False
    times = np.sort(np.asarray(stamps, np.float64)) * unit
    return times - times[0], not (hidden or turned)


def _decord_agrees(path: str | Path, times: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether decord is there, reads the file, and counts and times its frames as the index does."""
    try:
        reader = _decord_reader(path)
        stamps = np.asarray(reader.get_frame_timestamp(range(len(reader))))[:, 0]
        shape = reader[0].shape
    except Exception:  # decord's own errors for codecs and files that it cannot read; PyAV has the last word
        return False
    return (
        len(stamps) == len(times)
        and shape == (size[1], size[0], 3)
        and bool(np.abs(np.sort(stamps - stamps[0]) - times).max() < _SAME_TIME)
    )


def _decord_reader(path: str | Path) -> Any:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    return decord.VideoReader(str(path), num_threads=1)


def _with_decord(footage: Footage, start: int, stop: int | None) -> Iterator[np.ndarray]:
    """Front to back, without a seek: after one, decord gives wrong frames in open groups of pictures."""
    reader = _decord_reader(footage.path)
    for number in range(footage.frames if stop is None else min(stop, footage.frames)):
        try:
            frame = reader.next()
        except Exception as error:  # a cut file ends early
            got = f"frame {number} of {footage.frames} cannot be read ({str(error)[:80]})"
            raise InputError(footage.path, got, "encode the video again") from None
        if number >= start:
            yield frame.asnumpy()


# --- a constant rate ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """Which frame stands at each tick of a constant rate.

    Attributes:
        numbers: int64 (N,), frames of the footage, rising.
        fps: ticks per second.
        warnings: what was done to get there.
    """

    numbers: np.ndarray
    fps: float
    warnings: list[str]

    @property
    def is_every_frame(self) -> bool:
        """Whether the frames are taken one by one from some frame on."""
        return bool((np.diff(self.numbers) == 1).all())


def schedule(footage: Footage, fps: float | None = None) -> Schedule:
    """Every frame, where the footage has a constant rate; else the frame that is shown at each tick.

    Keypoint files know one rate only. Frames of a variable rate taken one by one would sign too fast or too slowly.

    Args:
        fps: the rate that is wanted; None: the footage's own. For a folder it says how fast its frames follow.
    """
    everything = np.arange(footage.frames)
    if footage.times is None:
        said = [] if fps else [f"a folder of frames says no rate; assumed {FOLDER_RATE:g} fps (--fps)"]
        return Schedule(everything, fps or FOLDER_RATE, said)
    own = _own_rate(footage)
    steady = bool(np.abs(footage.times - everything / own).max() < 0.5 / own)
    if steady and (fps is None or abs(fps - own) < 1e-3 * own):
        return Schedule(everything, own, [])
    rate = fps or float(exact_rate(min(1 / float(np.median(np.diff(footage.times))), 120.0)))
    length = footage.times[-1] + 1 / own  # the last frame is shown for as long as the others
    ticks = np.arange(max(1, round(length * rate))) / rate
    numbers = np.searchsorted(footage.times, ticks + 0.25 / rate, side="right") - 1
    why = "" if steady else "its frames come at a varying rate: "
    used = len(np.unique(numbers))
    return Schedule(numbers, rate, [f"{why}takes {len(numbers)} frames at {rate:g} fps, from {used} of its own"])


def _own_rate(footage: Footage) -> float:
    """The mean rate; the container's word where it is within a hundredth of that, since it is an exact fraction."""
    times = footage.times
    assert times is not None, "a folder has no rate of its own"
    if len(times) < 2 or times[-1] <= 0:
        return footage.rate or FOLDER_RATE
    mean = (len(times) - 1) / float(times[-1])
    return footage.rate if footage.rate and abs(footage.rate / mean - 1) < 0.01 else mean
