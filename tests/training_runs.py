"""Tiny training runs for tests of the loop: a cache of noise, and a fusion model that trains on it in a moment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from socket import socket
from typing import Any

import numpy as np

from signgen import config as configuration
from signgen.dataset.cache import build_cache
from signgen.dataset.training_data import cache_folder
from signgen.training.config import TrainConfig

VISION = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 16, "projection_dim": 16,
}  # fmt: skip


def noise_cache(folder: Path, width: int = 40, height: int = 48) -> Path:
    """A data set of three clips of six frames of noise; only its cache is there, which is all that training opens."""
    rng = np.random.default_rng(0)

    def clips() -> Any:
        for number in range(3):
            frames = rng.integers(0, 255, (6, height, width, 3)).astype(np.uint8)
            xy = rng.uniform(5, 35, (6, 133, 2))
            yield f"clip{number}", "s01", frames, np.concatenate((xy, np.ones((6, 133, 1))), -1)

    build_cache(clips(), cache_folder(folder))
    return folder


def fusion_settings(data: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a fusion stage with dropout, so that random numbers other than those of the batches count too."""
    optim = {"warmup": 1, "decay": 0.0, "lr": 1e-3, "ema": 0.9, **changes.pop("optim", {})}
    return {
        "stage": "fusion", "data": str(data), "output": str(output), "steps": 6, "batch": 4, "threads": 1,
        "precision": "no", "sheet_steps": 0, "log_steps": 1, "tensorboard": False,
        "model": {"vision": VISION, "dropout": 0.3}, "optim": optim, **changes,
    }  # fmt: skip


def fusion_config(data: Path, output: Path, **changes: Any) -> TrainConfig:
    return configuration.build(TrainConfig, fusion_settings(data, output, **changes))


def lines(output: Path) -> list[dict[str, Any]]:
    """The log of a run."""
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def curve(output: Path) -> list[tuple[int, float, float]]:
    """(step, loss, recall) of each line of the log, in their order in the file."""
    return [(line["step"], line["loss"], line["recall_at_1"]) for line in lines(output)]


def two_trainings(commands: Path, *arguments: object) -> list[str]:
    """`signgen train` in two processes that work together, as torchrun begins them; what each of them prints.

    Args:
        commands: folder of the quick `signgen`, which saves both the time of their imports.
    """
    with socket() as listener:  # a port that nobody listens to, where they meet
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    place = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [str(commands / "signgen"), "train", *map(str, arguments)]
    processes = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **place, "RANK": rank, "LOCAL_RANK": rank, "CUDA_VISIBLE_DEVICES": ""},
        )
        for rank in "01"
    ]  # fmt: skip
    said = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [text[-2000:] for _, text in said]
    return [text for text, _ in said]


def make(data: Path, output: Path, stage: str, **changes: object) -> TrainConfig:
    """A configuration of two steps on one thread; ``changes`` change it."""
    content = {
        "stage": stage, "data": str(data), "output": str(output), "steps": 2, "batch": 2, "threads": 1,
        "precision": "no", "sheet_steps": 0, "log_steps": 1, "optim": {"warmup": 1, "decay": 0.0}, **changes,
    }  # fmt: skip
    return configuration.build(TrainConfig, content)
