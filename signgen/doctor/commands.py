"""How to get an optional part of signgen: one line to type, also where it takes two steps."""

from __future__ import annotations

from signgen.metrics.hand_detectors.mediapipe_hands import INSTALL as MEDIAPIPE
from signgen.metrics.hand_detectors.mmpose_imports import INSTALL as MMPOSE
from signgen.metrics.hand_detectors.rtmlib_hands import INSTALL as RTMLIB

TWO_STEPS = {"mediapipe": MEDIAPIPE, "mmpose": MMPOSE, "rtmlib": RTMLIB}  # the extra, then the estimator alone


def install_command(extra: str) -> str:
    """The whole line that installs what an extra of signgen stands for."""
    return TWO_STEPS.get(extra, f'pip install "signgen[{extra}]"')
