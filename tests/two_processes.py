"""What each of two processes does in a test of the loop; started by torchrun as: two_processes.py DATA FOLDER.

A run without a stop; the same run, ended by a SIGTERM to the second process alone; and its resumption, which the first
process ends with a SIGKILL when a checkpoint is written but for its name.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from training_runs import fusion_config

from signgen.training import checkpoints
from signgen.training.run import run_stage

KILLED_AT = 5


def kill_in_checkpoint(folder: Path) -> None:
    if int(folder.stem.split("-")[1]) == KILLED_AT:
        assert any(folder.iterdir())
        os.kill(os.getpid(), signal.SIGKILL)


def terminate_after(step: int) -> Callable[[int], None]:
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        if done == step and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)

    return advance


def main(data: Path, folder: Path) -> None:
    accumulate = {"accumulate": 2}
    run_stage(fusion_config(data, folder / "whole", optim=accumulate))
    stopped = fusion_config(data, folder / "stopped", optim=accumulate, save_minutes=0.0)
    result = run_stage(stopped, advance=terminate_after(2))
    assert (result["steps"], result["finished"]) == (2, False), result
    checkpoints.flush = kill_in_checkpoint
    run_stage(stopped, resume=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
