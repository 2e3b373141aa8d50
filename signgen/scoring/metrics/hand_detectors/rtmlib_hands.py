"""RTMPose for hands through rtmlib, from a local ONNX file."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import Unsupported
from signgen.extraction.packages import INSTALL, fingerprint, import_or_say, weights_file
from signgen.scoring.metrics.hand_detectors.interface import as_hand, before_padding, detect_each

INPUT = (256, 256)  # width, height of the published hand models
WANTED = "the ONNX file of an RTMPose hand model, such as rtmpose-m_simcc-hand5 at 256x256"


class RTMLibHands:
    """RTMPose for hands.

    Args:
        model: rtmlib's ``RTMPose`` with 21 joints.
        label: of the package and the weights, for the signature.
    """

    found_from = 0.0  # it always gives its best guess

    def __init__(self, model: Any, label: str) -> None:
        self.model = model
        self.signature = f"rtmlib,{label}"

    def detect(self, frames: Any, boxes: Any) -> np.ndarray:
        """See `HandDetector.detect`. The score is the peak of the two classifications that give x and y."""
        return detect_each(frames, boxes, self._look)

    def _look(self, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
        # RGB: RTMPose is trained on it, and rtmlib normalises the channels in the order in which they come.
        points, scores = self.model(frame, bboxes=[before_padding(box).tolist()])
        return as_hand(points, scores, "rtmlib")


def load_rtmlib(weights: str | Path | None) -> RTMLibHands:
    """RTMPose with a local ONNX file.

    Raises:
        InputError: rtmlib or onnxruntime is not installed, or the file is missing or no model.
    """
    path = weights_file(weights, "rtmlib", WANTED)
    rtmlib = import_or_say("rtmlib", INSTALL["rtmlib"])
    import_or_say("onnxruntime", INSTALL["rtmlib"])
    try:
        with redirect_stdout(sys.stderr):  # it prints what it loads, and stdout may be a JSON object
            model = rtmlib.RTMPose(str(path), model_input_size=INPUT, backend="onnxruntime", device="cpu")
    except Exception as error:  # onnxruntime's own exception classes have no common base that is public
        raise Unsupported(path, f"is no ONNX model ({error})", f"give {WANTED}") from error
    return RTMLibHands(model, f"rtmpose,input:{INPUT[0]}x{INPUT[1]},weights:{fingerprint(path)}")
