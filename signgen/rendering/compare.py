"""The side-by-side video: source | pose | generated, and the original where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from signgen.errors import InputError
from signgen.keypoints import Keypoints
from signgen.rendering.compositing import resized
from signgen.rendering.framing import Framing


class CompareSheet:
    """Puts the panels of one frame in a row.

    Args:
        source: uint8 (H,W,3), the source in the output's frame.
        driving: keypoints on the canvas, all frames of the clip.
        framing: canvas and output.
        style: style of the pose drawing.
        original: frames of the true video from the first rendered one on, or None.
    """

    def __init__(
        self,
        source: np.ndarray,
        driving: Keypoints,
        framing: Framing,
        style: str,
        original: Iterator[np.ndarray] | None = None,
    ) -> None:
        self._source = source
        self._driving, self._framing, self._style, self._original = driving, framing, style, original

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the sheet."""
        width, height = self._framing.output
        return width * (3 if self._original is None else 4), height

    def row(self, index: int, generated: np.ndarray) -> np.ndarray:
        """uint8 (H, panels*W, 3) for frame ``index`` of the clip; frames must come in order."""
        panels = [self._source, self._pose(index), generated]
        if self._original is not None:
            panels.append(resized(next(self._original), self._framing.output))
        return np.concatenate(panels, axis=1)

    def _pose(self, index: int) -> np.ndarray:
        from signgen.pose_image import draw_frame

        frame = self._framing.to_output(self._driving[index : index + 1])
        return draw_frame(frame.xy[0], frame.confidence[0], self._framing.output, self._style)


def open_original(path: Path, start: int, stop: int) -> Iterator[np.ndarray]:
    """The true video's frames ``start`` to ``stop - 1``; `InputError` if it has fewer."""
    from signgen.video import probe, read_frames

    frames = probe(path).frames
    if frames is not None and frames < stop:
        raise InputError(path, f"has {frames} frames, the keypoints go to frame {stop}", "give the clip's own video")
    return read_frames(path, start, stop)
