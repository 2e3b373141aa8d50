"""RTMPose, DWPose and RTMW for whole bodies through rtmlib, from a local ONNX file."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from signgen.errors import Damaged, Mismatch, Unsupported
from signgen.extraction.estimator import as_bodies
from signgen.extraction.packages import INSTALL, fingerprint, import_or_say, weights_file

WANTED = "the ONNX file of a whole-body model of RTMPose's family, such as rtmpose-m_simcc-coco-wholebody at 256x192"
USUAL_INPUT = (192, 256)  # width, height


class RTMLibWholeBody:
    """A SimCC estimator with 133 points.

    Args:
        model: rtmlib's ``RTMPose``.
        label: of the package and the weights, for the signature.
    """

    def __init__(self, model: Any, label: str) -> None:
        self.model = model
        self.signature = f"rtmlib,{label}"

    def look(self, frames: np.ndarray, box: np.ndarray, *, follows: bool) -> np.ndarray:
        """See `Estimator.look`. The score is the peak of the two classifications that give x and y; it may exceed 1."""
        # RGB: RTMPose is trained on it, and rtmlib normalises the channels in the order in which they come.
        ready = [self.model.preprocess(frame, box.tolist()) for frame in frames]
        outputs = self._run(np.stack([image.transpose(2, 0, 1) for image, _, _ in ready]).astype(np.float32))
        found = [
            self.model.postprocess([output[i : i + 1] for output in outputs], centre, scale)
            for i, (_, centre, scale) in enumerate(ready)
        ]
        return as_bodies([points[0] for points, _ in found], [scores[0] for _, scores in found], "rtmlib")

    def _run(self, images: np.ndarray) -> list[np.ndarray]:
        """(N, 3, H, W) to the model's outputs, in batches of the size that the file allows, the last one filled up."""
        session = self.model.session
        place = session.get_inputs()[0]
        size = len(images) if not isinstance(place.shape[0], int) else place.shape[0]
        whole = np.concatenate([images, np.repeat(images[-1:], -len(images) % size, axis=0)])
        parts = [session.run(None, {place.name: whole[i : i + size]}) for i in range(0, len(whole), size)]
        return [np.concatenate(outputs)[: len(images)] for outputs in zip(*parts, strict=True)]


def load_rtmlib(weights: str | Path | None, device: str) -> RTMLibWholeBody:
    """A whole-body model from a local ONNX file; its input size is what the file says.

    Raises:
        InputError: rtmlib or onnxruntime is not installed, the file is missing or no such model, or the device is not
            there.
    """
    path = weights_file(weights, "rtmlib", WANTED, role="estimator")
    rtmlib = import_or_say("rtmlib", INSTALL["rtmlib"])
    import_or_say("onnxruntime", INSTALL["rtmlib"])
    try:
        with redirect_stdout(sys.stderr):  # it prints what it loads, and stdout may be a JSON object
            model = rtmlib.RTMPose(str(path), model_input_size=USUAL_INPUT, backend="onnxruntime", device=device)
    except Exception as error:  # onnxruntime's own exception classes have no common base that is public
        raise Damaged(path, f"is no ONNX model ({str(error)[:200]})", f"give {WANTED}") from error
    if device == "cuda" and "CUDAExecutionProvider" not in model.session.get_providers():  # it takes the CPU instead
        got = "got cuda, and onnxruntime finds no CUDA here"
        raise Unsupported("--device", got, "install onnxruntime-gpu in onnxruntime's place, or leave it out")
    width, height = model.model_input_size = _input_size(model.session, path)
    return RTMLibWholeBody(model, f"simcc,input:{width}x{height},weights:{fingerprint(path)}")


def _input_size(session: Any, path: Path) -> tuple[int, int]:
    """(width, height) of the model's input; the usual one where the file leaves it open."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or len(outputs) != 2:
        got = f"has {len(inputs)} inputs and {len(outputs)} outputs"
        raise Mismatch(path, got, f"one input and the two outputs of SimCC are needed: give {WANTED}")
    height, width = shape[2:]
    return (width, height) if isinstance(width, int) and isinstance(height, int) else USUAL_INPUT
