"""Hand keypoint detectors behind one small interface, for the scores that compare hands.

    detector = load_hand_detector("signgen")
    joints = detector.detect(frames, search_boxes(xy, confidence, width, height))   # (N,2,21,3)

``signgen`` comes with the package; ``mmpose``, ``rtmlib`` and ``mediapipe`` are imported when asked for.
"""

from __future__ import annotations

from pathlib import Path

from signgen.errors import BadValue
from signgen.scoring.metrics.hand_detectors.interface import RULE, HandDetector, found, search_boxes

NAMES = ("signgen", "mmpose", "rtmlib", "mediapipe")
__all__ = ["NAMES", "RULE", "HandDetector", "found", "search_boxes", "load_hand_detector", "report"]


def load_hand_detector(name: str = "signgen", weights: str | Path | None = None) -> HandDetector:
    """A detector by name.

    Args:
        name: ``signgen``, ``mmpose``, ``rtmlib`` or ``mediapipe``.
        weights: local weights: a folder for ``signgen`` (default: those of the package), a checkpoint for ``mmpose``,
            an ONNX file for ``rtmlib``; ``mediapipe`` brings its own.

    Raises:
        InputError: an unknown name, a package that is not installed, or weights that are missing or do not fit.
    """
    if name == "signgen":
        from signgen.scoring.metrics.hand_detectors.builtin import load_builtin

        return load_builtin(weights)
    if name == "mmpose":
        from signgen.scoring.metrics.hand_detectors.mmpose_hands import load_mmpose

        return load_mmpose(weights)
    if name == "rtmlib":
        from signgen.scoring.metrics.hand_detectors.rtmlib_hands import load_rtmlib

        return load_rtmlib(weights)
    if name == "mediapipe":
        from signgen.scoring.metrics.hand_detectors.mediapipe_hands import load_mediapipe

        return load_mediapipe(weights)
    raise BadValue("hand detector", repr(name), f"detectors are {', '.join(NAMES)}")


def report() -> dict:
    """The built-in detector's own error on true frames that it had not seen, as measured when it was trained."""
    from signgen.scoring.metrics.hand_detectors.builtin import report as measured

    return measured()
