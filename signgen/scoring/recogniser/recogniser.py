"""`Recogniser`: video in, glosses out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from signgen import package
from signgen.errors import BadValue, Mismatch, NotFound
from signgen.files import Staging
from signgen.scoring.recogniser.network import GlossNetwork, NetworkSize
from signgen.video.tensors import channels_first, to_frames, to_unit

WEIGHTS = package.WEIGHTS / "recogniser"
_VERSION = 1  # of how frames become glosses: bump it whenever the same weights give other words
_FRAMES = 64  # looked at in one go
RATE = 12.5  # frames a second that are looked at; a sign takes about a second
CHUNK = 32  # frames that are scaled at a time
BLANK = 0


class Recogniser:
    """A trained network and the words it knows.

    Args:
        network: `GlossNetwork`.
        glosses: its words, in the order of its outputs 1, 2, ...
        beam: beginnings kept by the beam search; 1: the best path.
    """

    def __init__(self, network: GlossNetwork, glosses: Iterable[str], beam: int = 8) -> None:
        self.network, self.glosses, self.beam = network.eval(), tuple(glosses), beam
        if self.network.head.out_features != len(self.glosses) + 1:
            got = f"{len(self.glosses)} glosses for {self.network.head.out_features} outputs"
            raise Mismatch("recogniser", got, "there is one output per gloss, and one for none")

    @classmethod
    def load(cls, folder: str | Path | None = None, beam: int = 8) -> Recogniser:
        """The recogniser of a folder that `save` wrote; None: the one that comes with signgen.

        Raises:
            InputError: the folder holds no recogniser, or weights of another network.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folder = WEIGHTS if folder is None else Path(folder)
        weights, settings = folder / "model.safetensors", folder / "config.json"
        for path in (weights, settings):
            if not path.is_file():
                raise NotFound(path, "not found", "train a recogniser with tools/train_recogniser.py")
        try:
            config = json.loads(settings.read_text(encoding="utf-8"))
            size: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config["size"].items()}
            network = GlossNetwork(len(config["glosses"]), NetworkSize(**size))
            network.load_state_dict(load_file(weights))
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
            raise Mismatch(folder, "holds another network", "train it with tools/train_recogniser.py") from error
        return cls(network, config["glosses"], beam)

    def save(self, folder: str | Path) -> None:
        """Writes ``model.safetensors`` (float16) and ``config.json``, both or none."""
        from safetensors.torch import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() if v.is_floating_point() else v for k, v in self.network.state_dict().items()}
        config = {"size": asdict(self.network.size), "glosses": list(self.glosses)}
        files = {
            "model.safetensors": save({k: v.contiguous() for k, v in state.items()}),
            "config.json": (json.dumps(config, indent=1) + "\n").encode(),
        }
        with Staging() as staging:
            for name, data in files.items():
                staging.place(folder / name).write_bytes(data)

    @property
    def signature(self) -> str:
        """What a word error rate must be printed with: network, decoding and a digest of the weights."""
        digest = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + value.detach().half().cpu().numpy().tobytes())
        return f"CTC recogniser v{_VERSION}, {len(self.glosses)} glosses, beam {self.beam}, {digest.hexdigest()[:12]}"

    def shrink(self, frames: np.ndarray) -> np.ndarray:
        """Frames uint8 (N,H,W,3) in the size in which the network looks at them."""
        return shrink(frames, self.network.size.height, self.network.size.width)

    @torch.inference_mode()
    def log_probs(self, frames: Iterable[np.ndarray], fps: float = 25.0) -> np.ndarray:
        """(L, 1 + G) log probabilities of blank and glosses at each instant; see `recognise`."""
        size = self.network.size
        small = small_frames(frames, fps, size.height, size.width)
        if not len(small):
            return np.zeros((0, len(self.glosses) + 1), np.float32)
        parts = []
        for start in range(0, len(small), _FRAMES):
            before = min(start, size.reach)  # frames that are looked at again, for the sake of their neighbours
            piece = to_unit(small[start - before : start + _FRAMES + size.reach])  # (T',3,h,w)
            features = self.network.encode_frames(piece, torch.tensor([len(piece)]))
            parts.append(features[before : before + _FRAMES])
        local, lengths = self.network.local(torch.cat(parts)[None], torch.tensor([len(small)]))
        return self.network.logits(local, lengths)[0].log_softmax(-1).numpy()

    def recognise(self, frames: Iterable[np.ndarray], fps: float = 25.0) -> list[str]:
        """The glosses that are signed in a video.

        Args:
            frames: an array (T,H,W,3), or single frames (H,W,3) one after the other; uint8 RGB of any size, the
                signer as large in them as in the training data.
            fps: frames per second.
        """
        scores = self.log_probs(frames, fps)
        if not len(scores):
            return []
        labels = best_path(scores) if self.beam <= 1 else beam_search(scores, self.beam)
        return [self.glosses[label - 1] for label in labels]


# What the recogniser sees of a video: small frames, a dozen a second.


def stride_of(fps: float) -> int:
    """Every how many frames of a video one is looked at: 2 at 25 frames a second."""
    if not 0 < fps <= 1000:
        raise BadValue("frames per second", f"got {fps}", "must be above 0 and at most 1000")
    return max(1, round(fps / RATE))


def shrink(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frames uint8 (N,H,W,3) scaled to (N,height,width,3) uint8, smoothed where they become smaller.

    Raises:
        InputError: no uint8 frames (N,H,W,3).
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise BadValue("frames", f"shape {frames.shape}, {frames.dtype}", "frames are uint8 (N,H,W,3) RGB")
    if frames.shape[1:3] == (height, width):
        return frames
    pixels = channels_first(frames).float()  # (N,3,H,W)
    small = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return np.ascontiguousarray(to_frames(small.round_().clamp_(0, 255).byte()))


def small_frames(frames: Iterable[np.ndarray], fps: float, height: int, width: int, first: int = 0) -> np.ndarray:
    """The frames of a video that are looked at.

    Args:
        frames: an array (T,H,W,3), or single frames (H,W,3) one after the other, uint8.
        fps: of the video.
        height, width: of the result.
        first: number of the first frame that is looked at.

    Returns:
        uint8 (T',height,width,3). However long the video, no more than ``CHUNK`` whole frames are held.
    """
    wanted = islice(iter(frames), first, None, stride_of(fps))
    scaled = [shrink(np.stack(piece), height, width) for piece in _pieces(wanted)]
    return np.concatenate(scaled) if scaled else np.empty((0, height, width, 3), np.uint8)


def _pieces(frames: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    while piece := list(islice(frames, CHUNK)):
        yield piece


# From probabilities over blank and glosses at each instant to a sequence of glosses (connectionist temporal
# classification, Graves et al. 2006): neighbours that are equal merge, then blanks go.


def best_path(scores: np.ndarray) -> list[int]:
    """The likeliest label at each instant, merged.

    Args:
        scores: (L, 1 + G), logits or logarithms of probabilities; column 0 is the blank.

    Returns:
        Labels 1 to G.
    """
    return [int(label) for label, _ in groupby(scores.argmax(-1)) if label != BLANK]


def beam_search(log_probs: np.ndarray, width: int = 8) -> list[int]:
    """The likeliest sequence, summed over all its alignments, among the ``width`` best beginnings at each instant.

    Args:
        log_probs: (L, 1 + G) natural logarithms of probabilities; column 0 is the blank.
        width: beginnings kept; with 1 + G of them or more the search of short inputs is exact.

    Returns:
        Labels 1 to G.
    """
    # For each beginning: log probability of its alignments that end in a blank, and of those that end in a label.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for row in log_probs.astype(np.float64):
        grown: dict[tuple[int, ...], tuple[float, float]] = {}
        for labels, (blank, last) in beams.items():
            both = np.logaddexp(blank, last)
            _add(grown, labels, both + row[BLANK], -np.inf)
            if labels:
                _add(grown, labels, -np.inf, last + row[labels[-1]])
            for label in range(1, len(row)):
                before = blank if labels and label == labels[-1] else both
                _add(grown, (*labels, label), -np.inf, before + row[label])
        kept = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:width]
        beams = dict(kept)
    return list(next(iter(beams)))


def _add(beams: dict[tuple[int, ...], tuple[float, float]], labels: tuple[int, ...], blank: float, last: float) -> None:
    was = beams.get(labels, (-np.inf, -np.inf))
    beams[labels] = float(np.logaddexp(was[0], blank)), float(np.logaddexp(was[1], last))
