"""Which keypoints belong to which clip, and reading them for the reference's frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signgen.errors import InputError
from signgen.evaluation.clips import ClipSet, VideoClip
from signgen.keypoints import Keypoints, ReadResult, read_keypoints

KEYPOINT_SUFFIXES = (".npz", ".json", ".pose", ".pkl", ".npy", ".txt")


@dataclass(frozen=True)
class KeypointFile:
    """One clip's keypoints: a file or folder, and the clip's name where one file holds several."""

    path: Path
    clip: str | None = None

    def read(self, size: tuple[int, int]) -> Keypoints:
        """The keypoints; ``size`` (width, height) is the frame where their file names none.

        Raises:
            InputError: as `read_keypoints`.
        """
        return self.examine(size).keypoints

    def examine(self, size: tuple[int, int]) -> ReadResult:
        """As `read`, with what the reader has to say of the file; frames pair by number, so a rate is never missed."""
        result = read_keypoints(self.path, clip=self.clip)
        if result.size_known and result.fps_known:
            return result
        frame = {} if result.size_known else {"frame_size": size}
        rate = {} if result.fps_known else {"fps": result.keypoints.fps}
        return read_keypoints(self.path, clip=self.clip, **frame, **rate)


def keypoints_of(reference: ClipSet, clip: VideoClip, given: Path | None) -> KeypointFile | None:
    """The keypoints of a true clip, or None.

    Args:
        given: what ``--keypoints`` says: a file, a folder with one file or folder per clip, or a data set; without
            it the reference's own are taken.
    """
    if given is None:
        return KeypointFile(clip.entry.keypoints) if clip.entry and clip.entry.keypoints else None
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
        raise InputError(given, "no such file or folder", "give a keypoint file, or a folder with one per clip")
    return Path(given)
