"""Eight-bit networks by NNCF's post-training quantisation: half of the time again, nearly the same frames."""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np

from signgen.errors import missing_extra

NARROW = 16  # channels of a convolution that reads or writes latents or pictures


def check_installed() -> None:
    """Raises `InputError` where NNCF is missing."""
    if find_spec("nncf") is None:
        raise missing_extra("nncf", "cpu")


def quantised(model: Any, samples: list[dict[str, np.ndarray]], edges: bool = False) -> Any:
    """An OpenVINO model in eight bits, with the ranges of activations that ``samples`` of its inputs show.

    Args:
        edges: in eight bits where it begins and ends, too.
    """
    check_installed()
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # activations on both sides of zero: SiLU's are not symmetric
    names = [] if edges else [node.get_friendly_name() for node in model.get_ops() if _is_edge(node)]
    kept = nncf.IgnoredScope(names=names)
    with redirect_stdout(sys.stderr):  # its bars; standard output belongs to --json
        return nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), preset=preset, ignored_scope=kept)


def _is_edge(node: Any) -> bool:
    """Whether a layer reads or writes latents, pictures or embeddings: eight bits of those are seen as flicker.

    These layers are few and narrow; in full they take back a fifth of what all others gain.
    """
    name, kind = node.get_friendly_name(), node.get_type_name()
    if kind == "MatMul":
        return "time_emb" in name or "class_embedding" in name
    if kind != "Convolution":
        return False
    return "conv_in" in name or "conv_out" in name or min(list(node.input(1).get_shape())[:2]) <= NARROW
