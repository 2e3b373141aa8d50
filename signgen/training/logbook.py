"""What a run writes while it runs: means, contact sheets, both for TensorBoard where it is installed, and a log.

``log.jsonl`` has the numbers. ``run.log`` says what happened: when the run began, went on and ended, its checkpoints
and warnings; standard error says the same.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from signgen.files import place_file, whole, writing
from signgen.training.checkpoints import LOG, RunState, total
from signgen.training.config import TrainConfig

ABSENT = 'tensorboard is not installed: figures go to log.jsonl alone; pip install "signgen[logs]"'
ADVICE = "free some space, then go on with --resume"


class Logbook:
    """``log.jsonl``, ``sheets/`` and ``tensorboard/`` of a run; only the main process writes.

    A line holds means since the line before it, over all processes. Lines are at multiples of ``log_steps``, and at the
    end of a session; the latter are dropped when the run goes on, and lines of steps after the resumed checkpoint too.
    So the file is the one that a run without stops would have written.
    """

    def __init__(self, config: TrainConfig, state: RunState, accelerator: Any) -> None:
        self.config, self.state, self.accelerator = config, state, accelerator
        self.output = Path(config.output)
        self.begun, self.first = time.monotonic(), state.step
        self.board: Any = None
        if accelerator.is_main_process:
            _cut(self.output / "log.jsonl", state.logged)
            self.board = _board(self.output / "tensorboard", state.logged) if config.tensorboard else None

    def add(self, loss: float, figures: dict[str, float]) -> None:
        """One step of this process."""
        for name, value in {"loss": loss, **figures}.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value

    def line(self, last: bool = False) -> None:
        """Writes the means since the last line and begins new ones, but at the ``last`` line of a session."""
        steps = self.state.step - self.state.logged
        if steps < 1:
            return
        sums = total(self.accelerator, self.state.sums)
        if self.accelerator.is_main_process:
            self._write({name: value / (steps * self.accelerator.num_processes) for name, value in sums.items()})
        if not last:
            self.state.logged, self.state.sums = self.state.step, {}

    def _write(self, means: dict[str, float]) -> None:
        state, config = self.state, self.config
        windows = config.batch * config.optim.accumulate * self.accelerator.num_processes  # of a step
        done = state.step - self.first
        left = (config.steps - state.step) * (time.monotonic() - self.begun) / max(done, 1)
        line = {
            "step": state.step,
            "seconds": round(state.seconds, 1),
            "frames_per_second": round(windows * config.views_before(state.step) / max(state.seconds, 1e-6), 2),
            "seconds_left": round(left, 1),
            **{name: round(value, 6) for name, value in means.items()},
        }
        path = self.output / "log.jsonl"
        with writing(path, ADVICE), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.board is not None:
            for name, value in line.items():
                if name != "step":
                    self.board.add_scalar(name, value, state.step)
            self.board.flush()

    def sheet(self, picture: np.ndarray | None) -> None:
        """Keeps a contact sheet, uint8 (H, W, 3), of the present step."""
        from PIL import Image

        if picture is None or not self.accelerator.is_main_process:
            return
        path = self.output / "sheets" / f"step-{self.state.step:06d}.png"
        with writing(path, ADVICE):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as temporary:
                Image.fromarray(picture).save(temporary)
        if self.board is not None:
            self.board.add_image("sheet", picture, self.state.step, dataformats="HWC")

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


@contextmanager
def run_log(folder: Path, writes: bool) -> Iterator[None]:
    """While it lasts, what is logged goes to ``run.log`` in ``folder`` and to standard error; from one process alone.

    An error ends the command, which says it itself: standard error has it once, the file too.
    """
    handlers: list[logging.Handler] = [logging.NullHandler()]
    if writes:
        with writing(folder / "run.log", ADVICE):
            handlers = [_RunLog(folder / "run.log", encoding="utf-8"), logging.StreamHandler(sys.stderr)]
        handlers[1].addFilter(lambda record: record.levelno < logging.ERROR)
    level = LOG.level
    LOG.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        LOG.addHandler(handler)
    try:
        yield
    except Exception as error:
        LOG.error("%s", error)
        raise
    finally:
        LOG.setLevel(level)
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()


class _RunLog(logging.FileHandler):
    """A full disk costs lines of the log and not the run; standard error has them all the same."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _cut(path: Path, step: int) -> None:
    """Drops the lines after ``step``, and one that a kill left unfinished."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    if kept == lines:
        return
    with writing(path, ADVICE):
        place_file(path, "".join(f"{line}\n" for line in kept).encode())


def _step_of(line: str) -> float:
    """The step of a line; infinity if it says none."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, which hides what an earlier session wrote after ``step``; None where it is absent."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        LOG.warning(ABSENT)
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
