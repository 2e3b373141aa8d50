"""Configurations and tensors of model folders, read with care, and put into modules without anything left over."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from diffusers.utils import logging
from torch import Tensor, nn

from signgen.errors import Damaged, Mismatch, NotFound, TooLarge

MAX_CONFIG_BYTES = 1 << 20
LISTED = 8  # names shown in an error


def add_weights(digest: Any, module: nn.Module, prefix: str = "", left_out: tuple[str, ...] = ()) -> None:
    """Gives names and numbers of a module's weights to a digest of `hashlib`, as float32 whatever they are kept in.

    Args:
        prefix: before each name. left_out: weights whose names begin so are passed over.
    """
    for name, value in sorted(module.state_dict().items()):
        if not name.startswith(left_out):
            digest.update(f"{prefix}{name}".encode())
            digest.update(value.detach().float().cpu().numpy().tobytes())


@contextmanager
def no_bars() -> Iterator[None]:
    """Hides the progress bars of diffusers and transformers while it lasts; transformers is not imported for it."""
    places: list[Any] = [logging]
    if sys.modules.get("transformers") is not None:  # a model of signgen's own parts does without
        places.append(import_module("transformers.utils.logging"))
    shown = [place for place in places if place.is_progress_bar_enabled()]
    for place in shown:
        place.disable_progress_bar()
    try:
        yield
    finally:
        for place in shown:
            place.enable_progress_bar()


def read_settings(folder: str | Path, name: str = "config.json") -> dict[str, Any]:
    """``config.json``, or another such file, of a model's folder in the layout of diffusers and transformers.

    Raises:
        InputError: it is missing, too large, or no JSON object.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise NotFound(folder, f"holds no {name}", "give a model's folder in the layout of the hub")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise TooLarge(path, "is larger than 1 MiB", "a model's configuration is a page of text")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Damaged(path, "is no JSON object", "get the file again")
    return content


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """A safetensors file, memory-mapped.

    Raises:
        InputError: it is missing, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise NotFound(path, "no such file", "weights are read from safetensors files only")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise Damaged(path, f"cannot be read ({reason})", "get the file again") from None


def fill(module: nn.Module, state: Mapping[str, Tensor], subject: object, fresh: Iterable[str] = ()) -> Any:
    """Fills ``module`` and returns it.

    Args:
        state: tensors by name.
        subject: what the error names.
        fresh: places that keep their start values where ``state`` has nothing for them.

    Raises:
        InputError: names without a place, places without a tensor, or other shapes; all are listed.
    """
    wanted = {key: value.shape for key, value in module.state_dict().items()}
    missing = sorted(set(wanted) - set(state) - set(fresh))
    unused = sorted(set(state) - set(wanted))
    misshapen = sorted(key for key in set(state) & set(wanted) if state[key].shape != wanted[key])
    shown = [f"{key} {tuple(state[key].shape)} for {tuple(wanted[key])}" for key in misshapen]
    found = {"missing": missing, "unused": unused, "other shape": shown}
    problems = [f"{word} {some(names)}" for word, names in found.items() if names]
    if problems:
        raise Mismatch(subject, ", ".join(problems), "give the weights of this very part")
    module.load_state_dict(dict(state), strict=False)
    return module


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
