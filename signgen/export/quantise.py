"""Eight-bit networks by NNCF's post-training quantisation, for CPUs without bfloat16 units."""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np

from signgen.errors import missing_extra

QUANTISED = ("decoder",)  # what keeps its quality; see `benchmarks/RESULTS.md`


def check_installed() -> None:
    """Raises `InputError` where NNCF is missing."""
    if find_spec("nncf") is None:
        raise missing_extra("nncf", "cpu")


def quantised(model: Any, samples: list[dict[str, np.ndarray]]) -> Any:
    """An OpenVINO model in eight bits, with the ranges of activations that ``samples`` of its inputs show."""
    check_installed()
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    preset = nncf.QuantizationPreset.MIXED  # activations on both sides of zero: SiLU's are not symmetric
    with redirect_stdout(sys.stderr):  # its bars; standard output belongs to --json
        return nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), preset=preset)
