"""The model, loaded and warmed in the background while its users look at the page."""

from __future__ import annotations

import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.errors import RunError, SignGenError

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

WARM_FRAMES = 2


@dataclass(frozen=True)
class ModelChoice:
    """What to load, as in `signgen.rendering.RenderSettings`."""

    model: str = "mini"
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"


class Model:
    """A pipeline that will be there.

    Args:
        load: makes it; its `SignGenError` is shown to everybody who asks for the model.
    """

    def __init__(self, load: Callable[[], SignGenPipeline]) -> None:
        self._load = load
        self._done = threading.Event()
        self._pipeline: SignGenPipeline | None = None
        self._error: SignGenError | None = None

    def start(self) -> None:
        """Begins to load, in a thread."""
        threading.Thread(target=self._run, name="signgen-model", daemon=True).start()

    @property
    def ready(self) -> bool:
        """Whether it is loaded, or could not be."""
        return self._done.is_set()

    def get(self, check: Callable[[], None]) -> SignGenPipeline:
        """The pipeline, waited for; ``check`` is called meanwhile and may raise."""
        while not self._done.wait(0.2):
            check()
        if self._error is not None:
            raise self._error
        assert self._pipeline is not None, "done without an error"
        return self._pipeline

    def _run(self) -> None:
        try:
            self._pipeline = self._load()
        except SignGenError as error:
            self._error = error
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._error = RunError("model", f"{type(error).__name__}: {error}", "the server's log tells more")
        finally:
            self._done.set()


def load_warm(choice: ModelChoice, place: Path) -> SignGenPipeline:
    """Loads the model and renders two frames with it, so that everything a first render would wait for is there.

    Args:
        choice: which, and on what.
        place: folder for the two frames; nothing is left there.
    """
    from signgen.app.examples import EXAMPLES
    from signgen.rendering import RenderSettings, load_model, plan_render, run_plan

    settings = RenderSettings(
        frames=slice(0, WARM_FRAMES), device=choice.device, dtype=choice.dtype, backend=choice.backend
    )
    pipeline = load_model(choice.model, settings)
    with tempfile.TemporaryDirectory(prefix="warm-", dir=place) as folder:
        warm = RenderSettings(frames=slice(0, WARM_FRAMES))
        run_plan(plan_render(warm, EXAMPLES[0].path, output=Path(folder) / "warm.mp4"), pipeline)
    return pipeline
