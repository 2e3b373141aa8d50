"""The canvas of a model that works at another size than the frames: aspect kept, points where the pictures are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from signgen.errors import BadValue
from signgen.model.networks.canvas import fit_canvas, fit_frames, fit_points, from_canvas


def test_phoenix_frames_on_the_papers_canvas() -> None:
    fit = fit_canvas(210, 260, (416, 512))
    assert fit == ((414, 512), (1, 1, 0, 0))
    # A pipeline with frames of 414x512 pads them to the same canvas, so that training and rendering agree.
    assert fit_canvas(414, 512).padding == fit.padding


@pytest.mark.parametrize(("size", "canvas"), [((210, 260), (512, 512)), ((64, 48), (32, 32)), ((33, 70), (416, 512))])
def test_frame_and_padding_fill_the_canvas(size: tuple[int, int], canvas: tuple[int, int]) -> None:
    fit = fit_canvas(*size, canvas)
    inner = fit.inner
    assert min(fit.padding) >= 0
    assert fit.size == canvas
    assert inner[0] / size[0] == pytest.approx(inner[1] / size[1], rel=0.03)
    assert fit_frames(torch.zeros(1, 3, size[1], size[0]), canvas).shape == (1, 3, canvas[1], canvas[0])


def test_without_a_canvas_frames_are_padded_only() -> None:
    frames = torch.rand(1, 3, 26, 21) * 2 - 1
    assert fit_canvas(21, 26) == ((21, 26), (1, 2, 3, 3))
    assert fit_frames(frames).shape == (1, 3, 32, 24)
    assert torch.equal(from_canvas(fit_frames(frames), 21, 26), frames)


def test_points_stay_on_what_they_point_at() -> None:
    frame = torch.full((1, 3, 52, 42), -1.0)
    frame[..., 30:34, 10:14] = 1
    canvas = (88, 104)
    moved = fit_points(np.array([[11.5, 31.5, 0.7]], np.float32), 42, 52, canvas)[0]
    ys, xs = torch.nonzero(fit_frames(frame, canvas)[0, 0] > 0, as_tuple=True)
    assert moved[0] == pytest.approx(float(xs.float().mean()), abs=0.01)
    assert moved[1] == pytest.approx(float(ys.float().mean()), abs=0.01)
    assert moved[2] == np.float32(0.7)


@pytest.mark.parametrize("canvas", [(100, 512), (8, 16), (416,), (8192, 512)])
def test_a_canvas_that_cannot_be_is_refused(canvas: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match="^canvas:"):
        fit_canvas(210, 260, canvas)
