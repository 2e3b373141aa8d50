"""The frames that are looked at, and when each is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signgen.errors import TooLarge
from signgen.keypoints.budget import MOST_FRAMES
from signgen.keypoints.frame_numbers import numbers_in_names, timeline
from signgen.video import exact_rate, frame_files, probe, read_frames, read_frames_at
from signgen.video.reading import beginning

FOLDER_RATE = 25.0  # frames per second of a folder of frames, which says none: PHOENIX14T's
SQUARE = 0.01  # how far pixels may be from square


@dataclass(frozen=True)
class Footage:
    """One clip.

    Attributes:
        path: a video file, or a folder of images.
        width, height: pixels.
        times: float64 (T,), seconds from the first frame to each, rising; None for a folder.
        rate: frames per second as the container says; None for a folder.
        turned: by how many degrees clockwise the frames are turned; ``width`` and ``height`` are those after that.
        pixel_aspect: width / height of a pixel on the screen, after that, too.
    """

    path: Path
    width: int
    height: int
    frames: int
    times: np.ndarray | None
    rate: float | None
    turned: int = 0
    pixel_aspect: float = 1.0

    @property
    def stretched(self) -> list[str]:
        """A warning where a player shows the frames wider or narrower than their pixels say."""
        if abs(self.pixel_aspect - 1) < SQUARE:
            return []
        looks = "narrower" if self.pixel_aspect > 1 else "wider"
        advice = "ffmpeg -i IN -vf scale=iw*sar:ih,setsar=1 OUT makes them square"
        return [f"its pixels are not square ({self.pixel_aspect:.4g}:1): people look {looks} than they are ({advice})"]

    @property
    def reader(self) -> str:
        """What reads the frames: ``pyav`` or ``folder``."""
        return "folder" if self.times is None else "pyav"

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Frames ``start`` to ``stop - 1``, one at a time, each (H, W, 3) uint8 RGB."""
        return map(self._upright, read_frames(self.path, start, stop))

    def read_at(self, numbers: list[int]) -> Iterator[np.ndarray]:
        """The frames of these numbers."""
        return map(self._upright, read_frames_at(self.path, numbers))

    def _upright(self, frame: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(frame, -self.turned // 90)) if self.turned else frame


def clip_name(path: str | Path) -> str:
    """A folder's name, whose dots begin no suffix, or a file's without its suffix; of a link its own."""
    place = Path(os.path.abspath(path))
    return place.name if place.is_dir() else place.stem


def open_footage(path: str | Path, turned: int = 0) -> Footage:
    """What a video or a folder holds, its frames turned clockwise by so many degrees; decodes one frame of it.

    Raises:
        InputError: not there, not a video, without a frame.
    """
    info = probe(path)
    size, aspect = (info.size, info.pixel_aspect) if turned in (0, 180) else (info.size[::-1], 1 / info.pixel_aspect)
    if Path(path).is_dir():
        return Footage(Path(path), *size, info.frames, None, None, turned)
    times = _index(path, info.fps)
    return Footage(Path(path), *size, len(times), times, info.fps, turned, aspect)


def _index(path: str | Path, rate: float | None) -> np.ndarray:
    """float64 (T,), times of the frames that are shown."""
    import av

    begun = beginning(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = float(stream.time_base or 1)
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        stamps = [packet.pts for packet in packets if packet.pts is None or packet.pts >= begun]
    if None in stamps:  # such as a raw stream: frames follow each other at the rate
        return np.arange(len(stamps)) / (rate or FOLDER_RATE)
    times = np.sort(np.asarray(stamps, np.float64)) * unit
    return times - times[0]


# --- a constant rate ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """Which frame stands at each tick of a constant rate.

    Attributes:
        numbers: int64 (N,), frames of the footage, rising; -1 where a folder's names count a picture that is not there.
        fps: ticks per second.
        warnings: what was done to get there.
    """

    numbers: np.ndarray
    fps: float
    warnings: list[str]


def schedule(footage: Footage, fps: float | None = None) -> Schedule:
    """Every frame, where the footage has a constant rate; else the frame that is shown at each tick.

    Keypoint files know one rate only. Frames of a variable rate taken one by one would sign too fast or too slowly.

    Args:
        fps: the rate that is wanted; None: the footage's own. For a folder it says how fast its frames follow.

    Raises:
        TooLarge: more frames than a clip may have, of which no command reads the keypoints.
    """
    everything = np.arange(footage.frames)
    if footage.times is None:
        said = [] if fps else [f"a folder of frames says no rate; assumed {FOLDER_RATE:g} fps (--fps)"]
        files = [file.name for file in frame_files(footage.path)]
        time = timeline(numbers_in_names(files), len(files), str(footage.path))
        numbers = np.full(time.length, -1)
        numbers[time.places] = everything
        return Schedule(numbers, fps or FOLDER_RATE, [*said, *time.warnings])
    own = _own_rate(footage)
    steady = bool(np.abs(footage.times - everything / own).max() < 0.5 / own)
    as_it_is = steady and (fps is None or abs(fps - own) < 1e-3 * own)
    rate = own if as_it_is else fps or _usual_rate(footage.times)
    length = footage.times[-1] + 1 / own  # the last frame is shown for as long as the others
    count = footage.frames if as_it_is else max(1, round(length * rate))
    if count > MOST_FRAMES:
        got = f"{footage.times[-1]:,.0f} seconds at {rate:g} fps are {count:,} frames"
        raise TooLarge(footage.path, got, f"a clip has up to {MOST_FRAMES:,}: cut it, or give a lower --fps")
    if as_it_is:
        return Schedule(everything, own, footage.stretched)
    ticks = np.arange(count) / rate
    numbers = np.searchsorted(footage.times, ticks + 0.25 / rate, side="right") - 1
    why = "" if steady else "its frames come at a varying rate: "
    used = len(np.unique(numbers))
    taken = f"{why}takes {len(numbers)} frames at {rate:g} fps, from {used} of its own"
    return Schedule(numbers, rate, [taken, *footage.stretched])


def _usual_rate(times: np.ndarray) -> float:
    """That of most frames; of those that come at one moment no rate follows."""
    steps = np.diff(times)
    return float(exact_rate(min(1 / float(np.median(steps[steps > 0])), 120.0))) if steps.any() else FOLDER_RATE


def _own_rate(footage: Footage) -> float:
    """The mean rate; the container's word where it is within a hundredth of that, since it is an exact fraction."""
    times = footage.times
    assert times is not None, "a folder has no rate of its own"
    if len(times) < 2 or times[-1] <= 0:
        return footage.rate or FOLDER_RATE
    mean = (len(times) - 1) / float(times[-1])
    return footage.rate if footage.rate and abs(footage.rate / mean - 1) < 0.01 else mean
