"""Systems that the PHOENIX14T benchmark compares, and the frames that they may take as the source.

A system is named ``copy``, ``autoencoder``, or ``<model>-<steps>`` with an optional ``-nocva`` (cross-view attention
taken out: no view sees another), ``-alone`` (each frame in a window of its own, with the source but no other frame)
or ``-nofusion`` (the null condition in place of the fusion embedding). All three switch a part of the trained model
off; nothing is trained anew without it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_clips import CHUNK, no_fusion, pieces, reconstruct, without_cross_view

from signgen.dataset.phoenix import Clip
from signgen.errors import InputError
from signgen.keypoints import Keypoints, read_keypoints
from signgen.model import SignGenPipeline
from signgen.rendering import render
from signgen.rendering.source import Source
from signgen.video import VideoWriter, read_frames, read_image

SOURCES = ("first", "middle", "least-similar")
PARTS = ("nocva", "alone", "nofusion")
_SYSTEM = re.compile(rf"(?P<model>.+?)-(?P<steps>[1-9]\d{{0,3}})(?:-(?P<part>{'|'.join(PARTS)}))?")
_THUMBNAIL = (26, 21)  # rows and columns that frames are compared on
_EVERY = 5  # frames of other clips that may become the least similar source


@dataclass(frozen=True)
class System:
    """One line of the table; ``steps`` and ``part`` are None for those that do not sample."""

    name: str
    steps: int | None = None
    part: str | None = None

    @classmethod
    def parse(cls, name: str, model: str) -> System:
        """The system of that name, with ``model`` as the only model there is.

        Raises:
            InputError: no such system.
        """
        if name in ("copy", "autoencoder"):
            return cls(name)
        found = _SYSTEM.fullmatch(name)
        if found is None or found["model"] != model:
            allowed = f"use copy, autoencoder, {model}-<steps>, and {model}-<steps>-" + "|".join(PARTS)
            raise InputError("--systems", f"got {name!r}", allowed)
        return cls(name, int(found["steps"]), found["part"])

    @property
    def uses_source(self) -> bool:
        """Whether another source gives another video."""
        return self.name != "autoencoder"


class Models:
    """The pipeline, loaded when first asked for, whole or with a part switched off."""

    def __init__(self, model: str, **options: Any) -> None:
        self.model, self._options = model, options
        self._loaded: dict[bool, SignGenPipeline] = {}

    def get(self, part: str | None = None) -> SignGenPipeline:
        without = part == "nocva"
        if without not in self._loaded:
            pipeline = SignGenPipeline.from_pretrained(self.model, **self._options)
            self._loaded[without] = without_cross_view(pipeline) if without else pipeline
        return self._loaded[without]

    def sha256(self) -> str:
        return self.get().weights_sha256()


def part_options(system: System, pipeline: SignGenPipeline) -> dict[str, Any]:
    """Options of `render` that make the system what its name says."""
    options: dict[str, Any] = {"steps": system.steps}
    if system.part == "alone":
        options |= {"window": 2, "overlap": 0}
    if system.part == "nofusion":
        options |= no_fusion(pipeline)
    return options


def make_clip(system: System, clip: Clip, source: Source, models: Models, output: Path, seed: int) -> None:
    """Writes the system's frames of one clip into the folder ``output`` as PNG, whole or not at all."""
    folder = f"{output}/"  # a clip's name may hold a dot; the slash says that it is a folder
    if system.steps is not None:
        pipeline = models.get(system.part)
        keypoints = read_keypoints(clip.keypoints).keypoints
        options = part_options(system, pipeline)
        render(keypoints, source=source, model=pipeline, output=folder, seed=seed, **options)
        return
    true = read_frames(clip.folder)
    frames = _copies(true, source.image) if system.name == "copy" else _reconstructed(true, models.get())
    with VideoWriter(folder, source.size, 25.0) as writer:
        for frame in frames:
            writer.write(frame)


def _copies(true: Iterator[np.ndarray], image: np.ndarray) -> Iterator[np.ndarray]:
    return (image for _ in true)


def _reconstructed(true: Iterator[np.ndarray], pipeline: SignGenPipeline) -> Iterator[np.ndarray]:
    for piece in pieces(true):
        whole = np.concatenate([piece, np.repeat(piece[-1:], CHUNK - len(piece), 0)])  # one shape: the same numbers
        yield from reconstruct(pipeline, whole)[: len(piece)]


# ---- sources -------------------------------------------------------------------------------------------------------


class SourceFrames:
    """Where the source of each clip comes from.

    Args:
        clips: of the whole split; the least similar frame is looked for among all clips of the signer.
    """

    def __init__(self, clips: tuple[Clip, ...]) -> None:
        self._clips = clips
        self._thumbnails: dict[str, np.ndarray] = {}

    def place(self, clip: Clip, kind: str) -> tuple[Clip, int]:
        """The clip and the number of the frame that is the source."""
        if kind == "first":
            return clip, 0
        if kind == "middle":
            return clip, len(clip.frames) // 2
        shown = self._small(clip)  # (T,h,w,3)
        best = max(
            (float(np.abs(shown - frame).mean()), other.name, number)
            for other in self._clips
            if other.speaker == clip.speaker
            for number, frame in self._candidates(other)
        )
        return next(other for other in self._clips if other.name == best[1]), best[2]

    def load(self, clip: Clip, kind: str) -> Source:
        """The source frame with its keypoints."""
        origin, number = self.place(clip, kind)
        keypoints: Keypoints = read_keypoints(origin.keypoints).keypoints[number : number + 1]
        return Source(read_image(origin.frames[number]), keypoints, f"{origin.name} frame {number}", "image")

    def _small(self, clip: Clip) -> np.ndarray:
        """All frames of a clip as thumbnails float32 (T,h,w,3), read once."""
        if clip.name not in self._thumbnails:
            frames = (torch.from_numpy(frame).permute(2, 0, 1).float() for frame in read_frames(clip.folder))
            small = [torch.nn.functional.adaptive_avg_pool2d(frame, _THUMBNAIL) for frame in frames]
            self._thumbnails[clip.name] = torch.stack(small).permute(0, 2, 3, 1).half().numpy()
        return self._thumbnails[clip.name].astype(np.float32)

    def _candidates(self, clip: Clip) -> Iterator[tuple[int, np.ndarray]]:
        small = self._small(clip)
        return ((number, small[number]) for number in range(0, len(small), _EVERY))


def clips_sha256(clips: tuple[Clip, ...]) -> str:
    """What tells one list of clips from another: their names and how many frames they have."""
    text = "\n".join(f"{clip.name} {len(clip.frames)}" for clip in clips)
    return hashlib.sha256(text.encode()).hexdigest()
