"""What a page's commands need before they can run: its stage, and helpers to make small files.

The stage of ``docs/some-page.md`` is ``STAGE`` in ``tests/docs_stages/some_page.py``, README.md's in ``readme.py``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "signgen" / "assets" / "examples" / "weather.pose"
CHECKOUT = ("benchmarks", "tools", "notebooks", "constraints.txt")


def nothing(folder: Path) -> None:
    """The preparation of a page that needs no file."""


@dataclass(frozen=True)
class Stage:
    """How a page is run.

    Attributes:
        prepare: puts the files that the page takes for granted into the page's folder.
        replacements: (shown, run): text that is replaced in the page's blocks before they run, for figures that would
            take too long. Each must occur in the page, so that none is left behind when the page changes.
        environment: variables that the page takes for granted, such as ``{"PHOENIX": "phoenix"}``.
        leaves: patterns of files that must be there, and not be empty, after the last block.
        not_run: (beginning of a block, reason): as the comment ``<!-- not run: reason -->`` in the page, for pages
            that should not show it.
        check: looks at what the commands left; asserts.
    """

    prepare: Callable[[Path], None] = nothing
    replacements: tuple[tuple[str, str], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    leaves: tuple[str, ...] = ()
    not_run: tuple[tuple[str, str], ...] = ()
    check: Callable[[Path], None] = nothing


def checkout(folder: Path) -> None:
    """Links to what a checkout of the repository has beside README.md; every page gets them."""
    for name in CHECKOUT:
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)


def keypoint_file(path: Path, frames: int = 4, start: int = 20) -> Path:
    """The first frames of the example as MMPose JSON, ``.pose`` or ``.npz``, by the path's suffix; 210x260, 25 fps."""
    from signgen.keypoints import read_keypoints, write_keypoints

    path.parent.mkdir(parents=True, exist_ok=True)
    write_keypoints(read_keypoints(EXAMPLE).keypoints[start : start + frames], path)
    return path


def video_file(path: Path, frames: np.ndarray, fps: float = 25.0) -> Path:
    """A video of ``frames``, uint8 (T, H, W, 3)."""
    from signgen.video import VideoWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, (frames.shape[2], frames.shape[1]), fps) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def drawn_clips(folder: Path, clips: int = 2, frames: int = 8, split: str = "test", signers: int = 2) -> Path:
    """A data set in PHOENIX14T's layout as `signgen synthesize` writes it; drawn once for all pages, then copied."""
    shutil.copytree(_drawn(clips, frames, split, signers), folder, dirs_exist_ok=True)
    return folder


@cache
def _drawn(clips: int, frames: int, split: str, signers: int) -> Path:
    from signgen.synthetic.dataset import Plan, pick_signers, write_dataset

    folder = Path(mkdtemp(prefix="drawn-clips-"))
    write_dataset(folder, Plan(0, split, pick_signers(str(signers), split), (frames, frames)), clips)
    return folder


def clip_frames(data_set: Path, number: int = 0, split: str = "test") -> np.ndarray:
    """The frames of a data set's clip, uint8 (T, H, W, 3)."""
    from signgen.synthetic.dataset import FRAMES_FOLDER
    from signgen.video import frame_files, read_image

    clip = sorted((data_set / FRAMES_FOLDER / split).iterdir())[number]
    return np.stack([read_image(path) for path in frame_files(clip)])


def clip_keypoints(data_set: Path, path: Path, number: int = 0) -> Path:
    """A data set's clip's keypoints in a file of their own, of the format of the path's suffix."""
    from signgen.keypoints import read_keypoints, write_keypoints

    own = sorted((data_set / "keypoints").glob("*.npz"))[number]
    write_keypoints(read_keypoints(own).keypoints, path)
    return path


def rendered_copies(folder: Path, data_set: Path, split: str = "test", levels: float = 6.0) -> Path:
    """Stands in for a model's renders of a data set: its clips as videos, under noise; ``<clip>.mp4`` each."""
    from signgen.synthetic.dataset import FRAMES_FOLDER

    rng = np.random.default_rng(0)
    for number, clip in enumerate(sorted((data_set / FRAMES_FOLDER / split).iterdir())):
        frames = clip_frames(data_set, number, split)
        noisy = np.clip(frames + rng.normal(0, levels, frames.shape), 0, 255).astype(np.uint8)
        video_file(folder / f"{clip.name}.mp4", noisy)
    return folder


def picture_of_signer(path: Path, name: str = "alma") -> Path:
    """Stands in for a photo: a built-in signer's picture, and a JSON of its name beside it with the keypoints."""
    from signgen.keypoints import write_keypoints
    from signgen.package import SIGNERS
    from signgen.rendering.source import load_source

    shutil.copy(SIGNERS / f"{name}.png", path)
    keypoints = load_source(name).keypoints
    assert keypoints is not None
    write_keypoints(keypoints, path.with_suffix(".json"))
    return path


def tiny_model(folder: Path) -> Path:
    """A model's folder with a few thousand random weights, for pages in which ``mini`` would take too long."""
    from tiny_pipeline import save_pipeline

    return save_pipeline(folder)
