"""Keypoints from video, with mmpose, rtmlib or MediaPipe.

No estimator is a part of signgen; each is an extra that is imported only when it is asked for.
"""

from __future__ import annotations

from pathlib import Path

from signgen.extraction import run
from signgen.extraction.loading import ESTIMATORS, EstimatorSettings
from signgen.extraction.people import Box
from signgen.extraction.run import BATCH, Extracted, ExtractResult, ExtractSettings, Progress, extract_keypoints

__all__ = [
    "ESTIMATORS",
    "EstimatorSettings",
    "ExtractResult",
    "ExtractSettings",
    "Extracted",
    "extract",
    "extract_keypoints",
]


def extract(
    source: str | Path,
    output: str | Path | None = None,
    *,
    estimator: str = "auto",
    weights: str | Path | None = None,
    config: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    dtype: str = "auto",
    fps: float | None = None,
    frames: slice | None = None,
    person: int | None = None,
    box: Box | None = None,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> ExtractResult:
    """Finds the keypoints of one person in a video and writes them, as ``signgen extract`` does.

    Beside the file lies ``<output>.header``, which holds frame size and rate. Both are written whole or not at all.

    Args:
        source: a video file or a folder of frames.
        output: ``.json`` (MMPose's), ``.pose`` or ``.npz``; None: the source's stem + ``.json`` in the current folder.
        estimator: ``mmpose``, ``rtmlib``, ``mediapipe``, or ``auto``: what the weights are for, MediaPipe without any.
        weights: a local file: a checkpoint for mmpose, an ONNX file for rtmlib.
        config: mmpose's configuration, where the checkpoint's name does not say which.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``auto``, ``torch`` or ``openvino``, for mmpose's network.
        dtype: ``auto``, ``float32`` or, with OpenVINO, ``bfloat16``.
        fps: rate of a folder of frames, or a rate to take the video at.
        frames: which frames, counted at that rate.
        person: which person, from 1 at the left of the picture; None: the largest.
        box: (x0, y0, x1, y1) in pixels, where that person is.
        batch: frames at a time.
        progress: called as ``progress(frames done, frames in all)``.

    Raises:
        InputError: bad source, output or options, an estimator that is not installed, or nobody in any frame.

    Example:
        >>> from signgen import extract
        >>> result = extract("recording.mp4", "found.json", person=1)
        >>> result.frames, result.width, result.height
        (4, 320, 240)
    """
    chosen = EstimatorSettings(estimator, weights, config, device, engine, dtype)
    return run.extract(source, output, ExtractSettings(chosen, fps, frames, person, box, batch), progress)
