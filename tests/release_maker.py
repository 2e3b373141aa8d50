"""Tiny data sets in PHOENIX14T's layout, with keypoints as MSKA, SLRT and signgen itself write them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)  # width, height
Clips = dict[str, dict[str, int]]  # split -> clip -> frames
CLIPS: Clips = {"train": {"a-1": 6, "b-2": 4, "c-3": 9}, "dev": {"d-4": 3}, "test": {"e-5": 5, "f-6": 4}}


def frame_folder(root: Path, split: str, clip: str) -> Path:
    return root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T/features/fullFrame-210x260px" / split / clip


def make_release(root: Path, clips: Clips = CLIPS, size: tuple[int, int] = SIZE) -> Path:
    """Frames of a colour that tells clip and number apart, and the corpus files."""
    manual = root / "PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual"
    manual.mkdir(parents=True)
    for split, names in clips.items():
        rows = ["name|video|start|end|speaker|orth|translation"]
        for place, (name, count) in enumerate(names.items()):
            rows.append(f'{name}|{name}/1/*.png|-1|-1|Signer0{place + 1}|REGEN __ON__|der "regen" kommt')
            folder = frame_folder(root, split, name)
            folder.mkdir(parents=True)
            for number in range(1, count + 1):
                Image.fromarray(picture(name, number, size)).save(folder / f"images{number:04d}.png")
        (manual / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def picture(clip: str, number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H, W, 3): a gradient whose blue is the frame's number and whose red is the clip's letter."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[..., 0], image[..., 2] = ord(clip[0]), number
    image[..., 1] = np.arange(size[0])
    return image


def points(clip: str, frames: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """float32 (T, 133, 3) inside of the frame, the same for the same clip."""
    rng = np.random.default_rng(ord(clip[0]))
    xy = rng.uniform(2, np.array(size) - 2, (frames, 133, 2))
    return np.concatenate((xy, rng.uniform(0.3, 1, (frames, 133, 1))), -1).astype(np.float32)


def all_points(split: str, clips: Clips = CLIPS) -> dict[str, np.ndarray]:
    return {name: points(name, count) for name, count in clips[split].items()}


def write_mska(path: Path, split: str, clips: dict[str, np.ndarray]) -> Path:
    """A plain pickle {<split>/<clip>: {name, gloss, text, num_frames, keypoint: tensor}}, as MSKA's is."""
    import torch

    entries = {
        f"{split}/{name}": {
            "name": f"{split}/{name}", "gloss": "REGEN", "text": "regen .", "num_frames": len(xyc),
            "keypoint": torch.from_numpy(xyc),
        }
        for name, xyc in clips.items()
    }  # fmt: skip
    path.write_bytes(pickle.dumps(entries))
    return path


def write_slrt(path: Path, clips: dict[str, np.ndarray]) -> Path:
    """A plain pickle {name: {keypoints: float16 (T, 133, 3)}}, as SLRT's is."""
    path.write_bytes(pickle.dumps(OrderedDict((n, {"keypoints": p.astype(np.float16)}) for n, p in clips.items())))
    return path


def write_npz(folder: Path, clips: dict[str, np.ndarray], size: tuple[int, int] = SIZE) -> Path:
    """One file a clip, as `signgen synthesize` writes them."""
    folder.mkdir(exist_ok=True)
    for name, xyc in clips.items():
        np.savez(folder / f"{name}.npz", keypoints=xyc, width=size[0], height=size[1], fps=25.0)
    return folder
