"""What a path given to `evaluate` holds: one clip, a folder of clips, or a split of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import Damaged, Empty, InputError, Mismatch, Missing, NotFound
from signgen.keypoints import ReadResult, read_keypoints
from signgen.keypoints.many_clips import ClipFile, OneOfMany
from signgen.keypoints.units import check_placed
from signgen.video import VideoInfo, probe, read_frames, read_image
from signgen.video.images import SUFFIXES, frame_files, missing_number, natural_key
from signgen.video.reading import VIDEO_SUFFIXES

_WANTED = "give a video, a folder of frames, a folder of clips, or a data set in PHOENIX14T's layout"


@dataclass(frozen=True)
class VideoClip:
    """One video.

    Attributes:
        name: by which it is matched.
        path: video file or folder of frames.
        entry: the data set's own entry of this clip, where it is of one; its frames are listed there.
    """

    name: str
    path: Path
    entry: Clip | None = None

    @cached_property
    def info(self) -> VideoInfo:
        """Size, rate and number of frames; reads little of a folder and all packets of a file.

        Raises:
            InputError: it is no video, or has no frame, or a folder lacks some in between: those behind would be
                compared with wrong ones.
        """
        if self.entry is None and self.path.is_dir():
            lacking = missing_number(frame_files(self.path))
            if lacking is not None:
                raise Damaged(self.path, f"lacks frame {lacking}", "give all frames, or number them anew")
        if (listed := self._listed) is None:
            return probe(self.path)
        height, width = read_image(listed[0]).shape[:2]
        return VideoInfo(width, height, None, len(listed))

    @property
    def _listed(self) -> Sequence[Path] | None:
        """The frames that a data set lists of it; None where there is none, or its clips are videos."""
        return None if self.entry is None or self.entry.folder.is_file() else self.entry.frames

    def read(self, stop: int) -> Iterator[np.ndarray]:
        """Yields the first ``stop`` frames, each (H,W,3) uint8 RGB.

        Raises:
            InputError: while iterating: damaged, of another size than its first frame, or at its end too early.
        """
        shape, number = (self.info.height, self.info.width, 3), 0
        listed = self._listed
        frames = read_frames(self.path, 0, stop) if listed is None else map(read_image, listed[:stop])
        for frame in frames:
            if frame.shape != shape:
                got = f"frame {number} is {frame.shape[1]}x{frame.shape[0]}, the first {shape[1]}x{shape[0]}"
                raise Damaged(self.path, got, "all frames of a clip must have one size")
            yield frame
            number += 1
        if number < stop:
            raise Damaged(self.path, f"breaks off after {number} of {stop} frames", "repair it, or render it again")


@dataclass(frozen=True)
class ClipSet:
    """The clips under one path.

    Attributes:
        path: as it was given.
        clips: in the corpus file's order, or in natural order of their names.
        single: the path is itself one video, which needs no name to be matched.
        split: of a data set, else None.
    """

    path: Path
    clips: tuple[VideoClip, ...]
    single: bool = False
    split: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(clip.name for clip in self.clips)


def find_clips(path: str | Path, split: str | None = None, partial: bool = False) -> ClipSet:
    """The clips under a path.

    Args:
        path: a video; a folder of frames; a folder of videos and of folders of frames; a data set.
        split: which split of a data set; ``test`` where there is one, or the only one, when not given.
        partial: clips of a data set whose folder is missing are none of its clips, as in one that is being rendered.

    Raises:
        InputError: nothing of that kind is there.
    """
    path = Path(path)
    if path.is_file():
        return ClipSet(path, (VideoClip(path.stem, path),), single=True)
    if not path.is_dir():
        raise NotFound(path, "no such file or folder", _WANTED)
    index = _index(path)
    if index is not None:
        split = split or _default_split(index)
        return ClipSet(path, tuple(_of_data_set(index, split, partial)), split=split)
    if _has_frames(path):
        return ClipSet(path, (VideoClip(path.absolute().name, path),), single=True)
    clips = tuple(_inside(path))
    if not clips:
        raise Empty(path, "holds neither frames nor clips", _WANTED)
    return ClipSet(path, clips)


def _index(path: Path) -> PhoenixIndex | None:
    try:
        return PhoenixIndex(path)
    except InputError:  # of its constructor: no corpus file there
        return None


def _default_split(index: PhoenixIndex) -> str:
    if "test" in index.splits or len(index.splits) == 1:
        return "test" if "test" in index.splits else index.splits[0]
    raise Missing(index.root, f"has the splits {', '.join(index.splits)}", "say which with --split")


def _of_data_set(index: PhoenixIndex, split: str, partial: bool) -> Iterator[VideoClip]:
    for clip in index.clips(split):
        if clip.folder.exists() or not partial:
            yield VideoClip(clip.name, clip.folder, clip)


def _has_frames(folder: Path) -> bool:
    return any(f.suffix.lower() in SUFFIXES and not f.name.startswith(".") for f in folder.iterdir())


def _inside(folder: Path) -> Iterator[VideoClip]:
    """Videos and folders of frames directly in a folder; everything else is ignored."""
    seen: dict[str, Path] = {}
    for entry in sorted(folder.iterdir(), key=natural_key):
        if entry.name.startswith("."):
            continue
        clip = _clip_at(entry)
        if clip is None:
            continue
        if clip.name in seen:
            got = f"holds two clips of the name {clip.name}: {seen[clip.name].name} and {entry.name}"
            raise Mismatch(folder, got, "keep one of them there")
        seen[clip.name] = entry
        yield clip


def _clip_at(entry: Path) -> VideoClip | None:
    if entry.is_file():
        return VideoClip(entry.stem, entry) if entry.suffix.lower() in VIDEO_SUFFIXES else None
    if not entry.is_dir():
        return None
    for folder in (entry, entry / "1"):  # PHOENIX14T's corpus files speak of a folder 1 in each clip's
        if folder.is_dir() and _has_frames(folder):
            return VideoClip(entry.name, folder)
    return None


# Which keypoints belong to which clip, and reading them for the reference's frames.


KEYPOINT_SUFFIXES = (".npz", ".json", ".pose", ".pkl", ".npy", ".txt")


@dataclass(frozen=True)
class KeypointFile:
    """One clip's keypoints.

    Attributes:
        path: a file or folder. clip: the clip's name, where there may be several.
        held: the clip of a file of many, which was read once for all of them.
    """

    path: Path
    clip: str | None = None
    held: OneOfMany | None = None

    def examine(self, size: tuple[int, int]) -> ReadResult:
        """The keypoints, with what the reader has to say of the file; frames pair by number, so no rate is missed.

        Args:
            size: (width, height) of the frame where the file names none.

        Raises:
            InputError: as `read_keypoints`, or the file does not say where in the frame the signer stands.
        """
        result = self._read()
        check_placed(result, str(self.path), "the true frames'")
        if result.size_known and result.fps_known:
            return result
        frame_size = None if result.size_known else size
        fps = None if result.fps_known else result.keypoints.fps
        return self._read(frame_size, fps)

    def _read(self, frame_size: tuple[int, int] | None = None, fps: float | None = None) -> ReadResult:
        if self.held is not None:
            return self.held.read(frame_size, fps)
        return read_keypoints(self.path, clip=self.clip, frame_size=frame_size, fps=fps)


def file_of_many(given: Path | None) -> ClipFile | None:
    """What ``--keypoints`` says, opened, if it is a file of several clips, as those of MSKA and SLRT: reading it anew
    for each clip would take hours for a data set's."""
    if given is None or not given.is_file():
        return None
    file = ClipFile(given)
    return file if file.several else None


def keypoints_of(
    reference: ClipSet, clip: VideoClip, given: Path | None, many: ClipFile | None = None
) -> KeypointFile | None:
    """The keypoints of a true clip, or None.

    Args:
        given: what ``--keypoints`` says: a file, a folder with one file or folder per clip, or a data set; without
            it the reference's own are taken.
        many: the same file, opened, if it is one of many clips.
    """
    if given is None:
        return KeypointFile(clip.entry.keypoints) if clip.entry and clip.entry.keypoints else None
    if many is not None:
        return KeypointFile(given, clip.name, many.one(clip.name))
    if given.is_file():
        return KeypointFile(given, None if reference.single else clip.name)
    found = _in_folder(given, clip.name, reference.split)
    if found is None and reference.single:
        return KeypointFile(given)  # a folder of one file per frame
    return found


def _in_folder(folder: Path, name: str, split: str | None) -> KeypointFile | None:
    places = [folder, folder / "keypoints"]
    places += [place / split for place in places if split is not None]
    for place in places:
        for candidate in (*(place / f"{name}{suffix}" for suffix in KEYPOINT_SUFFIXES), place / name):
            if candidate.exists():
                return KeypointFile(candidate)
    return None


def check_given(given: str | Path | None) -> Path | None:
    """``--keypoints`` as a path that is there."""
    if given is None:
        return None
    if not Path(given).exists():
        raise NotFound(given, "no such file or folder", "give a keypoint file, or a folder with one per clip")
    return Path(given)
