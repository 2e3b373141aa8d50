"""Frame-accurate reading with PyAV, of video files and of folders of images; decord where single frames are wanted.

Frames are counted as a player shows them: packets that an edit list discards do not count, frames of a variable rate
count once each. A seek goes to a keyframe that is shown no later than the wanted frame, so that leading frames of an
open group of pictures are never decoded without their references.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from signgen.errors import Damaged, Empty, Mismatch, NotFound, Unsupported
from signgen.video.images import frame_files, read_image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".gif"})  # by which a folder's are found
# FFmpeg's names of formats that carry an index of their keyframes; a seek in others lands anywhere.
_INDEXED = {"mov", "mp4", "matroska", "webm", "avi"}
_NOT_VIDEO = "give a video that FFmpeg reads, or a folder of frames"


@dataclass(frozen=True)
class VideoInfo:
    """What a video is.

    Attributes:
        width, height: pixels, as shown (after rotation).
        fps: frames per second, the mean of a variable rate; None for a folder, which has none.
        frames: number of frames.
        pixel_aspect: width / height of a pixel on the screen, as shown; 1 where the file does not say.
    """

    width: int
    height: int
    fps: float | None
    frames: int
    pixel_aspect: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height


def probe(path: str | Path) -> VideoInfo:
    """Size, rate and exact number of frames; reads the whole file but decodes one frame only.

    Raises:
        InputError: not there, not a video, or without a frame.
    """
    if Path(path).is_dir():
        files = frame_files(path)
        height, width = read_image(files[0]).shape[:2]
        return VideoInfo(width, height, None, len(files))
    with _opened(path) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None:
            raise Empty(path, "holds no frame", _NOT_VIDEO)
        height, width = _pixels(first).shape[:2]
        rate = stream.average_rate or stream.guessed_rate
        aspect = float(stream.sample_aspect_ratio or 0)
        if aspect > 0 and round((first.rotation or 0) / 90) % 2:
            aspect = 1 / aspect
    begun = _beginning(path, first)
    with _opened(path) as (container, stream):
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        frames = sum(packet.pts is None or packet.pts >= begun for packet in packets)
    return VideoInfo(width, height, float(rate) if rate else None, frames, aspect if aspect > 0 else 1.0)


def beginning(path: str | Path) -> float:
    """The time in the stream's unit before which no frame can be decoded.

    A recording of a broadcast begins between two keyframes; its first packets are of frames that nobody can see.
    """
    with _opened(path) as (container, stream):
        first = next(container.decode(stream), None)
    return _beginning(path, first)


def _beginning(path: str | Path, first: Any) -> float:
    """The same, where the ``first`` frame of PyAV, or None, is decoded already."""
    with _opened(path) as (container, stream):
        key = next((packet for packet in container.demux(stream) if packet.size and packet.is_keyframe), None)
    times = [one.pts for one in (first, key) if one is not None and one.pts is not None]
    return min(times) if len(times) == 2 else float("-inf")


def read_frames(path: str | Path, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
    """Yields frames ``start`` to ``stop - 1`` (to the end if None), one at a time, each (H, W, 3) uint8 RGB.

    A range beyond the end yields what there is.

    Raises:
        InputError: not there, not a video, damaged, or images of different sizes; while iterating.
    """
    if start < 0 or (stop is not None and stop < 0):
        raise ValueError(f"frames count from 0, got {start} to {stop}")
    if Path(path).is_dir():
        return _read_folder(path, start, stop)
    return _read_video(path, start, stop)


def read_frame(path: str | Path, index: int) -> np.ndarray:
    """Frame ``index``, counted from 0, of a video file or a folder of images: (H, W, 3) uint8 RGB.

    Raises:
        InputError: no such frame, or as in `read_frames`.
    """
    if index < 0:
        raise NotFound(path, f"has no frame {index}", "frames count from 0")
    frame = next(iter(read_frames(path, index, index + 1)), None)
    if frame is None:
        raise NotFound(path, f"has no frame {index}", f"it has {probe(path).frames} frames, counted from 0")
    return frame


def read_frames_at(path: str | Path, indices: Iterable[int]) -> Iterator[np.ndarray]:
    """Yields the frames of these numbers, in any order, as `read_frame` gives each.

    decord reads them, which keeps the file open, where it is installed and its frames are exactly the same.

    Raises:
        InputError: as in `read_frame`; while iterating.
    """
    reader = None if Path(path).is_dir() else _decord_reader(path)
    for index in indices:
        frame = None
        if reader is not None and 0 <= index < len(reader):
            try:
                frame = reader[index].asnumpy()
            except Exception:  # decord's own: it reads ahead, and gives up where a later frame is damaged
                reader = None
        yield read_frame(path, index) if frame is None else frame


# --- folders ------------------------------------------------------------------------------------------------------


def _read_folder(folder: str | Path, start: int, stop: int | None) -> Iterator[np.ndarray]:
    shape = None
    for file in frame_files(folder)[start:stop]:
        frame = read_image(file)
        if shape is not None and frame.shape != shape:
            got = f"is {frame.shape[1]}x{frame.shape[0]}, the frames before are {shape[1]}x{shape[0]}"
            raise Mismatch(file, got, "all frames of a folder must have one size")
        shape = frame.shape
        yield frame


# --- video files --------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream; FFmpeg's errors become `InputError`."""
    import av

    if not Path(path).is_file():
        raise NotFound(path, "no such file or folder", "check the path")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise Unsupported(path, "has no video in it", _NOT_VIDEO)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        raise Damaged(path, f"is not a readable video ({error.strerror or error})", _NOT_VIDEO) from None


def _pixels(frame: VideoFrame) -> np.ndarray:
    """RGB, rotated as the container asks."""
    image = frame.to_ndarray(format="rgb24")
    quarters = round((frame.rotation or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _read_video(path: str | Path, start: int, stop: int | None) -> Iterator[np.ndarray]:
    count = None if stop is None else max(stop - start, 0)
    shape = None
    for image in map(_pixels, _decoded(path, start, count)):
        if shape is not None and image.shape != shape:
            raise Damaged(path, "changes its size on the way", "encode it again with one size")
        shape = image.shape
        yield image


def _decoded(path: str | Path, start: int, count: int | None) -> Iterator[VideoFrame]:
    """Frames from number ``start`` on; one that is damaged is named, where others could be read."""
    number = start
    try:
        for number, frame in enumerate(islice(_from_frame(path, start), count), start + 1):  # noqa: B007
            yield frame
    except Damaged:
        if number == start:
            raise
        raise Damaged(path, f"cannot be decoded at frame {number}", "encode the video again") from None


@dataclass(frozen=True)
class _Times:
    """Times in the stream's own unit.

    Attributes:
        shown: of the shown frames in their order; empty if seeking by time is not safe.
        keys: of the keyframes.
        hidden: of the frames that an edit list hides.
        closed: whether no frame is shown before the keyframe that it is stored after.
    """

    shown: list[int]
    keys: list[int]
    hidden: set[int]
    closed: bool = True


def _from_frame(path: str | Path, start: int) -> Iterator[VideoFrame]:
    """Frames in the order shown, from number ``start`` on: by a seek where that is safe, else by decoding all."""
    times = _times(path, any_frame=start > 0)
    if start and times.shown:
        if start >= len(times.shown):
            return
        wanted = times.shown[start]
        with _opened(path) as (container, stream):
            key = max((k for k in times.keys if k <= wanted), default=times.shown[0])
            container.seek(key, stream=stream, backward=True)
            frames = _shown(container, stream, times.hidden)
            first = next(frames, None)
            if first is not None and first.pts is not None and first.pts <= wanted:
                yield from (f for f in chain([first], frames) if f.pts is not None and f.pts >= wanted)
                return
    with _opened(path) as (container, stream):
        yield from islice(_shown(container, stream, times.hidden), start, None)


def _times(path: str | Path, any_frame: bool) -> _Times:
    """Reads all packets, without decoding, if another frame than the first or an edit list makes that necessary."""
    shown: list[int] = []
    keys: list[int] = []
    hidden: set[int] = set()
    closed = True
    begun = beginning(path) if any_frame else float("-inf")
    with _opened(path) as (container, stream):
        names = set(container.format.name.split(","))
        if not names & _INDEXED or ("mov" not in names and not any_frame):
            return _Times([], [], set())
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                return _Times([], [], hidden)
            if packet.is_keyframe:
                keys.append(packet.pts)
            closed = closed and bool(keys) and packet.pts >= keys[-1]
            if packet.is_discard:
                hidden.add(packet.pts)
            elif packet.pts >= begun:
                shown.append(packet.pts)
    # Two frames at one time cannot be told apart by seeking.
    return _Times(sorted(shown) if len(set(shown)) == len(shown) else [], keys, hidden, closed)


def _shown(container: InputContainer, stream: VideoStream, hidden: set[int]) -> Iterator[VideoFrame]:
    return (frame for frame in container.decode(stream) if frame.pts is None or frame.pts not in hidden)


# --- random access ------------------------------------------------------------------------------------------------


def _decord_reader(path: str | Path) -> Any:
    """decord's reader of a video file, or None where its frames are not exactly those of `read_frames`.

    After a seek decord gives wrong frames in open groups of pictures, and it counts frames that an edit list hides.
    """
    times = _times(path, any_frame=True)
    if not times.shown or times.hidden or not times.closed:
        return None
    try:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        reader = decord.VideoReader(str(path), num_threads=1)
        first = reader[0].asnumpy()
    except Exception:  # not installed, or a codec that it cannot read: its own errors
        return None
    return reader if len(reader) == len(times.shown) and np.array_equal(first, read_frame(path, 0)) else None
