"""A picture of hands for the eye: true above, generated below, with what the judges say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from legibility_scores import NEAR, Reading

from signgen.keypoints import Keypoints
from signgen.scoring.metrics.hands import CROP, KNUCKLES, hand_crop

EVERY = 13  # labelled hands from one that is shown to the next: no two of a hold
COLUMNS, SCALE, LINE = 14, 2, 12  # hands in a row, enlargement, pixels of a line of words


@dataclass
class HandSheet:
    """Collects pairs of hands from clip after clip.

    Attributes:
        shapes: names of the shapes.
        cells: pictures uint8 (H,W,3) of one size.
    """

    shapes: tuple[str, ...]
    cells: list[np.ndarray] = field(default_factory=list)

    def add(
        self,
        frames: tuple[np.ndarray, np.ndarray],
        readings: tuple[Reading, Reading],
        labels: np.ndarray,
        keypoints: Keypoints,
    ) -> None:
        """Takes some labelled hands of a clip: true and generated frames (T,H,W,3), and what was read in them."""
        labelled = (labels >= 0) & ~np.isnan(readings[0].distance)
        for frame, side in np.argwhere(labelled)[EVERY // 2 :: EVERY]:
            centre = tuple(float(value) for value in keypoints.xy[frame, KNUCKLES[side]])
            hands = [hand_crop(shown[frame], (centre[0], centre[1])) for shown in frames]
            words = [self._name(labels[frame, side])]
            words += [f"{self._name(r.shape[frame, side])} {r.distance[frame, side]:.1f}" for r in readings]
            good = readings[1].shape[frame, side] == labels[frame, side], readings[1].distance[frame, side] <= NEAR
            self.cells.append(_cell(hands, words, sum(good)))

    def _name(self, shape: int) -> str:
        return self.shapes[shape]

    def write(self, path: Path) -> None:
        """The sheet: shape held, then shape seen and distance in px of the true and of the generated hand.

        The lowest line is green where both judges are content with the generated hand, red where neither is.
        """
        from PIL import Image

        blank = np.zeros((2 * SCALE * CROP + 3 * LINE, SCALE * CROP, 3), np.uint8)
        cells = [*self.cells, *[blank] * (-len(self.cells) % COLUMNS)] or [blank]
        rows = [np.concatenate(cells[i : i + COLUMNS], axis=1) for i in range(0, len(cells), COLUMNS)]
        Image.fromarray(np.concatenate(rows)).save(path)


def _cell(hands: list[np.ndarray], words: list[str], content: int) -> np.ndarray:
    """Two hands (CROP,CROP,3), enlarged, over three lines of words; ``content``: how many judges are."""
    from PIL import Image, ImageDraw

    big = [hand.repeat(SCALE, 0).repeat(SCALE, 1) for hand in hands]
    plate = np.zeros((3 * LINE, SCALE * CROP, 3), np.uint8)
    image = Image.fromarray(np.concatenate([*big, plate]))
    draw, colours = ImageDraw.Draw(image), ((255, 90, 80), (255, 200, 60), (110, 255, 110))
    for line, text in enumerate(words):
        colour = colours[content] if line == len(words) - 1 else (255, 255, 255)
        draw.text((3, 2 * SCALE * CROP + line * LINE), text, fill=colour)
    return np.asarray(image)
