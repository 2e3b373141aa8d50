"""Estimators by name, each imported only when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signgen.errors import BadValue, Mismatch, NotFound
from signgen.extraction.estimator import Estimator

ESTIMATORS = ("mmpose", "rtmlib", "mediapipe")
_BY_SUFFIX = {".pth": "mmpose", ".pt": "mmpose", ".onnx": "rtmlib"}


@dataclass(frozen=True)
class EstimatorSettings:
    """Which estimator looks at the frames.

    Attributes:
        estimator: one of `ESTIMATORS`, or ``auto``: what the weights are for, and MediaPipe without any.
        weights: a local file: a checkpoint for mmpose, an ONNX file for rtmlib.
        config: mmpose's configuration, where the checkpoint's name does not say which.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: what computes mmpose's network: ``auto``, ``torch`` or ``openvino``.
        dtype: ``auto``, ``float32`` or, with OpenVINO, ``bfloat16``.
    """

    estimator: str = "auto"
    weights: str | Path | None = None
    config: str | Path | None = None
    device: str = "auto"
    engine: str = "auto"
    dtype: str = "auto"

    @property
    def chosen(self) -> str:
        """The estimator's name, ``auto`` resolved."""
        if self.estimator != "auto":
            return self.estimator
        return "mediapipe" if self.weights is None else _BY_SUFFIX.get(Path(self.weights).suffix.lower(), "auto")


def load_estimator(settings: EstimatorSettings) -> Estimator:
    """The estimator, ready to look.

    Raises:
        InputError: an unknown name, options that it does not take, a package that is not installed, or weights that are
            missing or do not fit.
    """
    name = settings.chosen
    if name == "auto":
        raise BadValue(
            settings.weights, "its suffix does not say what it is for", "name --estimator, or give .pth or .onnx"
        )
    if name not in ESTIMATORS:
        raise NotFound("estimator", repr(name), f"estimators are {', '.join(ESTIMATORS)}")
    _check(name, settings)
    if name == "mmpose":
        from signgen.extraction.mmpose_wholebody import load_mmpose
        from signgen.model.loading import choose_device

        device = choose_device(settings.device).type
        return load_mmpose(settings.weights, settings.config, device, settings.engine, settings.dtype)
    if name == "rtmlib":
        from signgen.extraction.rtmlib_wholebody import load_rtmlib

        return load_rtmlib(settings.weights, "cpu" if settings.device == "auto" else settings.device)
    from signgen.extraction.mediapipe_holistic import load_mediapipe

    return load_mediapipe()


def _check(name: str, settings: EstimatorSettings) -> None:
    """Options that would have no effect are errors."""
    if name != "mmpose":
        for option, value in (("--engine", settings.engine), ("--dtype", settings.dtype)):
            if value != "auto":
                raise Mismatch(option, f"got {value} with {name}", "it is for --estimator mmpose; leave it out")
        if settings.config is not None:
            raise Mismatch("--config", f"got {settings.config} with {name}", "it is for --estimator mmpose")
    if name == "mediapipe":
        if settings.weights is not None:
            got = f"got weights {settings.weights}"
            raise Mismatch("estimator mediapipe", got, "it uses those of its wheel: give none")
        if settings.device == "cuda":
            raise Mismatch("--device cuda", "got it with mediapipe", "it computes on a CPU; leave it out")
