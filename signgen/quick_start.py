"""A quick start for a process that only renders: torch and diffusers without what a render never calls.

Importing diffusers' UNet imports transformers, scipy's statistics and torch's compiler as well, on a CPU three times
the time that torch itself takes, before the first frame. A model whose parts are all signgen's own needs none of
them. While diffusers is imported they are kept out by Python's own means: a name that is None in ``sys.modules``
counts as not installed, and diffusers has a way for each of them being absent. torch's compiler is put off instead
of kept out: it is imported when anybody asks it for more than to leave a function alone.

diffusers remembers for good what it did not find, so this is for the command line's own process, never for a
program that imports signgen.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from signgen.package import WEIGHTS

COMPILER = "torch._dynamo"
LEFT_OUT = ("transformers", "scipy", "peft")
_SCHEDULERS = ("DDIMScheduler", "DDPMScheduler")  # need none of what is left out
_INDEX = "model_index.json"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
SPINS = "10000"  # some two tenths of a millisecond; fewer cost an idle machine more than they gain a busy one
_allowed = False


class PutOff(ModuleType):
    """Stands in for torch's compiler where nothing is compiled; for any other question it is the real module."""

    def __init__(self) -> None:
        super().__init__(COMPILER)
        spec = find_spec(COMPILER)
        self.__path__ = list(spec.submodule_search_locations or ()) if spec is not None else []
        self.eval_frame = SimpleNamespace(OptimizedModule=type("OptimizedModule", (), {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]
        return getattr(import_module(COMPILER), name)

    @staticmethod
    def disable(fn: Callable | None = None, recursive: bool = True, **_: Any) -> Callable:
        """The compiler's ``disable``: the function itself, or a decorator that gives it back."""
        return fn if fn is not None else lambda function: function

    @staticmethod
    def allow_in_graph(fn: Any) -> Any:
        return fn


def allow() -> None:
    """Says that this process is the command's own, before torch is imported.

    Its threads then go to sleep soon where they wait for each other. By default OpenMP lets them spin for as long as
    a time slice, which gains a twentieth on an idle machine and makes a render two to ten times slower as soon as any
    other work runs on the same cores: a thread that spins takes the time of the one it waits for.
    """
    global _allowed
    _allowed = True
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    _keep_memory()


def _keep_memory() -> None:
    """Lets glibc keep the memory of large tensors for the next ones, instead of giving it back and asking again.

    Each time it asks, the system clears every page again: a twentieth of a render's processor time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    # Older releases allow 32 MiB, and answer 0 to more. The other setting alone would do harm: after it glibc no longer
    # raises the threshold of 128 KiB itself.
    if mallopt(M_MMAP_THRESHOLD, 2**30) or mallopt(M_MMAP_THRESHOLD, 2**25):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def start(model: str | Path) -> bool:
    """Imports the pipeline the quick way, if this process is `allow`-ed to and ``model`` needs no more.

    Args:
        model: as in `SignGenPipeline.from_pretrained`.

    Returns:
        Whether it did; if not, everything is imported the usual way when it is used.
    """
    if not _allowed or {"diffusers", COMPILER} & set(sys.modules) or not only_own_parts(model):
        return False
    with _uncollected():
        import_module("torch")
        with _kept_out():
            import_module("signgen.model.pipeline")
    return True


def only_own_parts(model: str | Path) -> bool:
    """True for a model folder all of whose networks are signgen's; False also where that cannot be read."""
    packaged = WEIGHTS / str(model)
    folder = packaged if packaged.is_dir() else Path(model)
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        parts = [part for part in index.values() if isinstance(part, list) and len(part) == 2]
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
    return bool(parts) and all(_own(*part) for part in parts)


def _own(library: Any, kind: Any) -> bool:
    """Whether a [library, class] of a model index, or a pair of numbers, needs nothing of what is left out."""
    if isinstance(library, str):
        return library.startswith("signgen.") or (library == "diffusers" and kind in _SCHEDULERS)
    return True


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: what is imported stays, and looking through it again and again takes a quarter."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


@contextmanager
def _kept_out() -> Iterator[None]:
    """The compiler is put off for good, what is left out comes back when the block ends."""
    sys.modules[COMPILER] = PutOff()
    before = {name: sys.modules.get(name) for name in LEFT_OUT}
    sys.modules.update(dict.fromkeys(LEFT_OUT))  # type: ignore[arg-type]
    # diffusers asks which distribution every installed module belongs to, and takes a name not listed for its own.
    distributions = metadata.packages_distributions
    metadata.packages_distributions = dict
    try:
        yield
    finally:
        metadata.packages_distributions = distributions
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
