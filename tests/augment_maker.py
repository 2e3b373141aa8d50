"""A data set of a few small clips with unusual names and texts, two signers and a tiny model, and runs on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from release_maker import frame_folder, picture
from tiny_pipeline import FRAME, save_pipeline, signing
from tiny_pipeline import picture as portrait

from signgen.augmentation.run import Task, augment
from signgen.augmentation.settings import Settings
from signgen.augmentation.variation import Variation
from signgen.keypoints import Keypoints, write_keypoints

RELEASE = "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
HEADER = "name|video|start|end|speaker|orth|translation"
CLIPS = {
    "train": {"01April_2010_Thursday_heute-6694": 9, "Über München (Süd) 2": 7, "c,3": 8},
    "dev": {"d-4": 3},
    "test": {"e-5": 4},
}
ORTH = "__ON__ loc-NORD REGEN+REGEN FÖHN"
TRANSLATION = "am samstag, so heißt es, \"föhn\" bei 'uns'"


def make_set(root: Path) -> Path:
    """The data set's folder: frames, corpus files and keypoints."""
    manual = root / RELEASE / "annotations" / "manual"
    manual.mkdir(parents=True)
    (root / "keypoints").mkdir()
    for split, clips in CLIPS.items():
        rows = [HEADER]
        for place, (name, count) in enumerate(clips.items()):
            rows.append(f"{name}|{name}/1/*.png|-1|-1|Signer0{place + 1}|{ORTH}|{TRANSLATION}")
            folder = frame_folder(root, split, name)
            folder.mkdir(parents=True)
            for number in range(1, count + 1):
                Image.fromarray(picture(name, number, FRAME)).save(folder / f"images{number:04d}.png")
            write_keypoints(clip_points(name, count), root / "keypoints" / f"{name}.npz")
        (manual / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def clip_points(name: str, count: int) -> Keypoints:
    """Someone a little aside of where the signers stand, another place for each clip."""
    return signing(count).shifted(1 + len(name) % 3, 1)


def make_signers(folder: Path) -> tuple[str, ...]:
    """Two pictures with keypoint files beside them, of people of different proportions."""
    specs = []
    for number, who in enumerate(("ann", "bob")):
        Image.fromarray(np.roll(portrait(), number * 20, axis=2)).save(folder / f"{who}.png")
        person = signing(1)
        middle = np.array(FRAME) / 2
        larger = replace(person, xy=(person.xy - middle) * (1 + 0.1 * number) + middle)
        write_keypoints(larger, folder / f"{who}.npz")
        specs.append(str(folder / f"{who}.png"))
    return tuple(specs)


class Stage:
    """Everything that a run needs, in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset = make_set(root / "set")
        self.signers = make_signers(root)
        self.model = save_pipeline(root / "tiny")

    def settings(self, **more: Any) -> Settings:
        """Two copies with everything varied, unless ``more`` says otherwise."""
        usual = {"copies": 2, "seed": 3, "variation": Variation.parse(["all"], mirror=0.5), "model": str(self.model)}
        return Settings(**{"signers": self.signers, **usual, **more})

    def run(self, name: str, settings: Settings | None = None, **task: Any) -> dict[str, Any]:
        """`augment` into the folder ``name``, in this process."""
        whole = {"dataset": self.dataset, "out": self.root / name, "settings": settings or self.settings(), "jobs": 1}
        return augment(Task(**{**whole, **task}), lambda line: None, no_progress)


@contextmanager
def no_progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    yield lambda n: None


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every file of a data set but those that say when and where it was made; links by what they lead to."""
    files = [path for path in out.rglob("*") if path.is_file()]
    links = [path / inner for path in out.rglob("*") if path.is_symlink() and path.is_dir()
             for inner in sorted(item.name for item in path.iterdir())]  # fmt: skip
    own = {path.relative_to(out).as_posix(): path for path in (*files, *links)}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(own.items())
        if not name.startswith("manifest/") and not name.endswith((".part", "_info.npy"))
    }


def record_contents(out: Path) -> dict[str, dict[str, Any]]:
    """Manifest records without the seconds that they took."""
    from signgen.augmentation.store import read_records

    return {
        name: {k: v for k, v in record.items() if k != "seconds"} for name, record in sorted(read_records(out).items())
    }
