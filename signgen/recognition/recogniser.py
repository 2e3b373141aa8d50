"""`Recogniser`: video in, glosses out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signgen.errors import InputError
from signgen.recognition.decoding import beam_search, best_path
from signgen.recognition.frames import small_frames
from signgen.recognition.network import GlossNetwork, NetworkSize

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "recogniser"
_VERSION = 1  # of how frames become glosses: bump it whenever the same weights give other words
_FRAMES = 64  # looked at in one go


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
            raise InputError("recogniser", got, "there is one output per gloss, and one for none")

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
                raise InputError(path, "not found", "train a recogniser with tools/train_recogniser.py")
        try:
            config = json.loads(settings.read_text(encoding="utf-8"))
            size: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config["size"].items()}
            network = GlossNetwork(len(config["glosses"]), NetworkSize(**size))
            network.load_state_dict(load_file(weights))
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
            raise InputError(folder, "holds another network", "train it with tools/train_recogniser.py") from error
        return cls(network, config["glosses"], beam)

    def save(self, folder: str | Path) -> None:
        """Writes ``model.safetensors`` (float16) and ``config.json``, each whole."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() if v.is_floating_point() else v for k, v in self.network.state_dict().items()}
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors.tmp")
        (folder / "model.safetensors.tmp").chmod(0o644)
        config = {"size": asdict(self.network.size), "glosses": list(self.glosses)}
        (folder / "config.json.tmp").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        for name in ("model.safetensors", "config.json"):
            os.replace(folder / f"{name}.tmp", folder / name)

    @property
    def signature(self) -> str:
        """What a word error rate must be printed with: network, decoding and a digest of the weights."""
        digest = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + value.detach().half().cpu().numpy().tobytes())
        return f"CTC recogniser v{_VERSION}, {len(self.glosses)} glosses, beam {self.beam}, {digest.hexdigest()[:12]}"

    @torch.inference_mode()
    def log_probs(self, frames: Iterable[np.ndarray], fps: float = 25.0) -> np.ndarray:
        """(L, 1 + G) log probabilities of blank and glosses at each instant; see `recognise`."""
        size = self.network.size
        small = small_frames(frames, fps, size.height, size.width)
        if not len(small):
            return np.zeros((0, len(self.glosses) + 1), np.float32)
        pixels = torch.from_numpy(small).permute(0, 3, 1, 2)  # (T,3,h,w)
        parts = [self.network.encode_frames(part.float() / 255) for part in pixels.split(_FRAMES)]
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
