"""Clips whose motion is replayed from keypoint files instead of invented."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from signgen.errors import BadValue, Mismatch, Missing
from signgen.keypoints import Keypoints, read_keypoints
from signgen.synthetic.dataset import Plan, anatomy_of
from signgen.synthetic.motion.movement import Movement
from signgen.synthetic.motion.score import FPS


@dataclass(frozen=True)
class Motion:
    """One clip: its file as given (``FILE#CLIP`` in a file of several), the file's SHA-256, its glosses if known."""

    path: str
    sha256: str
    glosses: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplayPlan(Plan):
    """A plan whose clip number i replays motion[i mod M]; `frames` is not used, a file has its own length.

    A clip is named after its file; further rounds over the files, with other signers, append -2, -3, ...
    """

    motion: tuple[Motion, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.motion:
            raise Missing("--motion", "no file", "name one or more keypoint files")
        names = [_stem(one.path) for one in self.motion]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Mismatch("--motion", f"several files named {twice[0]}", "give files different names")

    def file(self, index: int) -> Motion:
        """The file of clip `index`."""
        return self.motion[index % len(self.motion)]

    def name(self, index: int) -> str:
        """The clip's name."""
        turn = index // len(self.motion)
        return _stem(self.file(index).path) + (f"-{turn + 1}" if turn else "")

    def length(self, index: int) -> int:
        """Frames of clip `index`, at 25 a second."""
        return len(_keypoints(self.file(index).path)[0])

    def glosses(self, index: int) -> list[str]:
        """Glosses that were given with the file."""
        return list(self.file(index).glosses)

    def warnings(self) -> list[str]:
        """A line for each file that does not say its rate."""
        unknown = [one.path for one in self.motion if not _keypoints(one.path)[1]]
        return [
            f"{path} says no frame rate: taken as {FPS:g} a second (signgen convert --fps gives it)" for path in unknown
        ]

    def perform(self, index: int) -> Movement:
        """The movement of clip `index`."""
        from signgen.synthetic.replay.retarget import Replay
        from signgen.synthetic.signer import load_signer

        signer = self.signer(index)
        camera = self.camera(index)
        keypoints, _ = _keypoints(self.file(index).path)
        return Replay(
            anatomy_of(signer, self.version),
            load_signer(signer, self.version),
            camera,
            keypoints,
            self.streams(index)[1],
        )


def motions(paths: Sequence[str], glosses: Sequence[str] = ()) -> tuple[Motion, ...]:
    """Files or folders of keypoints, read once to check them, with glosses (words separated by spaces) in their order.

    ``FILE#CLIP`` is one clip of a file of several.

    Raises InputError for a file that cannot be read and for more or fewer glosses than files.
    """
    if glosses and len(glosses) != len(paths):
        got = f"{len(glosses)} for {len(paths)} files"
        raise Mismatch("--motion-glosses", got, "give as many as --motion, in the same order, or none")
    words = [tuple(text.split()) for text in glosses] or [()] * len(paths)
    for path, one in zip(paths, words, strict=True):
        _keypoints(path)
        if any("|" in word for word in one):
            raise BadValue("--motion-glosses", " ".join(one), "leave out |, which ends a field of the corpus")
    return tuple(Motion(path, content_sha256(_place(path)[0]), one) for path, one in zip(paths, words, strict=True))


def content_sha256(path: str) -> str:
    """SHA-256 of a file, or of a folder's files in the order of their names, names included."""
    whole, digest = Path(path), hashlib.sha256()
    if whole.is_file():
        digest.update(whole.read_bytes())
        return digest.hexdigest()
    for file in sorted(p for p in whole.iterdir() if p.is_file()):
        digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0" + file.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=16)
def _keypoints(path: str) -> tuple[Keypoints, bool]:
    """At 25 frames a second, and whether the file says its own rate."""
    file, clip = _place(path)
    found = read_keypoints(file, clip=clip)
    return found.keypoints.resample(FPS), found.fps_known


def _place(path: str) -> tuple[str, str | None]:
    """``FILE#CLIP`` as (file, clip); a file whose own name holds # is that file."""
    file, sign, clip = path.rpartition("#")
    return (file, clip) if sign and clip and not Path(path).exists() else (path, None)


def _stem(path: str) -> str:
    """A clip name from a clip's or a file's: letters, digits, point, dash and underscore only."""
    file, clip = _place(path)
    name = Path(file).stem if clip is None else clip.rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "motion"
