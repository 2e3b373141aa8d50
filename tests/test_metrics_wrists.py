from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from signgen.errors import BadValue, NotFound
from signgen.model.networks.wrist_finder import (
    MIRRORED,
    POINTS,
    WristFinder,
    load_wrist_finder,
    peaks,
    report,
    to_cells,
    to_pixels,
)
from signgen.scoring.metrics import WristDistance


class Painted(WristFinder):
    """Finds the brightest red place (left wrist) and green place (right wrist), without a network."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        maps = nn.functional.avg_pool2d(frames[:, :2], 4)
        return (maps[:, [0, 1, 0, 1, 0, 1]] + 1e-6).log()  # belief in proportion to the light


def spots(width: int, height: int, left: tuple[int, int], right: tuple[int, int], scale: float = 1) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    frame = np.zeros((height, width, 3), np.uint8)
    for channel, (cx, cy) in enumerate((left, right)):
        frame[..., channel] = 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (3 * scale) ** 2))
    return frame[None]


def keypoints(left: tuple[int, int], right: tuple[int, int], scores: tuple[float, float]) -> tuple[np.ndarray, ...]:
    xy, confidence = np.zeros((1, 133, 2), np.float32), np.zeros((1, 133), np.float32)
    xy[0, 9], xy[0, 10] = left, right
    confidence[0, 9:11] = scores
    return xy, confidence


@pytest.mark.parametrize(("size", "scale"), [((210, 260), 1.0), ((211, 257), 1.0), ((420, 520), 2.0)])
def test_positions_come_back_in_the_pixels_of_the_frame(size: tuple[int, int], scale: float) -> None:
    left, right = (int(150 * scale), int(80 * scale)), (int(41 * scale), int(201 * scale))
    xy, confidence = Painted().find(spots(*size, left, right, scale))
    assert xy[0, :2] == pytest.approx(np.array([left, right]), abs=0.6 * scale)
    assert (confidence[0, :2] > 0.9).all()


def test_distance_counts_only_visible_wrists_inside_the_frame() -> None:
    frame = spots(210, 260, (150, 80), (41, 201))
    metric = WristDistance(Painted())
    metric.update(frame, *keypoints((153, 84), (41, 201), (0.5, 0.49)))
    assert float(metric.compute()) == pytest.approx(5, abs=0.6)
    metric.update(frame, *keypoints((153, 84), (230, 201), (0.2, 1.0)))
    assert (int(metric.wanted), int(metric.found)) == (1, 1)


def test_a_wrist_that_is_not_drawn_is_not_found() -> None:
    metric = WristDistance(Painted())
    metric.update(np.zeros((1, 260, 210, 3), np.uint8), *keypoints((150, 80), (41, 201), (1, 1)))
    assert metric.share_found() == 0
    assert np.isnan(float(metric.compute()))


def test_peak_is_sharper_than_a_cell_and_coordinates_round_trip() -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    logits = -((x - 11.3) ** 2 + (y - 7.6) ** 2)
    cells, confidence = peaks(logits[None, None])
    assert cells[0, 0].tolist() == pytest.approx([11.3, 7.6], abs=0.1)
    assert confidence.item() > 0.9
    assert to_cells(to_pixels(cells)).numpy() == pytest.approx(cells.numpy(), abs=1e-5)
    assert peaks(torch.zeros(1, 1, 20, 30))[1].item() == pytest.approx(9 / 600)  # the corner of a flat map


def test_network_is_small_and_keeps_its_shape() -> None:
    finder = WristFinder().eval()
    assert sum(p.numel() for p in finder.parameters()) <= 300_000
    assert finder(torch.rand(2, 3, 264, 216)).shape == (2, len(POINTS), 66, 54)
    assert [MIRRORED[i] for i in MIRRORED] == list(range(len(POINTS)))


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not found"):
        load_wrist_finder(tmp_path)
    with pytest.raises(BadValue, match="^frames:"):
        WristFinder().eval().find(np.zeros((260, 210, 3), np.uint8))


def test_shipped_weights_say_how_good_they_are() -> None:
    finder, measured = load_wrist_finder(), report()
    assert measured["parameters"] == sum(p.numel() for p in finder.parameters())
    for split in ("dev", "test"):
        assert measured[split]["true"]["share_within_5px"] > 0.8
        assert measured[split]["true"]["mean_px"] < 4
