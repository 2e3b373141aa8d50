"""The model, loaded and warmed in the background while its users look at the page."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from signgen.errors import RunError, SignGenError

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

WARM_FRAMES = 2
log = logging.getLogger(__name__)


def load_in_background(load: Callable[[], SignGenPipeline]) -> Future[SignGenPipeline]:
    """Begins to load, in a thread; a `SignGenError` of ``load`` reaches everybody who waits for the model."""
    model: Future[SignGenPipeline] = Future()

    def run() -> None:
        begun = time.monotonic()
        try:
            model.set_result(load())
            log.info("model loaded in %.1f s", time.monotonic() - begun)
        except SignGenError as error:
            log.info("model refused: %s", error.code)
            model.set_exception(error)
        except Exception as error:
            log.exception("model failed")
            got = f"{type(error).__name__}: {error}"
            model.set_exception(RunError("model", got, "the server's log says more"))

    threading.Thread(target=run, name="signgen-model", daemon=True).start()
    return model


def wait_for(model: Future[SignGenPipeline], check: Callable[[], None]) -> SignGenPipeline:
    """The model, as soon as it is there; ``check`` is called while it is loaded and may raise."""
    while not wait([model], timeout=0.2).done:
        check()
    return model.result()


def load_warm(model: str, place: Path, device: str, dtype: str, backend: str) -> SignGenPipeline:
    """Loads the model and renders two frames with it, so that everything a first render would wait for is there.

    Args:
        model: ``"mini"`` or a folder.
        place: folder for the two frames; nothing is left there.
        device, dtype, backend: as in `signgen.rendering.RenderSettings`.
    """
    from signgen.app.clips import EXAMPLES
    from signgen.rendering import RenderSettings, load_model, plan_render, run_plan

    settings = RenderSettings(frames=slice(0, WARM_FRAMES), device=device, dtype=dtype, backend=backend)
    pipeline = load_model(model, settings)
    with tempfile.TemporaryDirectory(prefix="warm-", dir=place) as folder:
        warm = RenderSettings(frames=slice(0, WARM_FRAMES))
        run_plan(plan_render(warm, EXAMPLES[0].path, output=Path(folder) / "warm.mp4"), pipeline)
    return pipeline
