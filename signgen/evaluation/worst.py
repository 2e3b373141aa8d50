"""Which clips a report shows: the worst by their hands, or by their frames where no hand was scored."""

from __future__ import annotations

import heapq
from dataclasses import replace

from signgen.evaluation.scoring import ClipSums


class WorstClips:
    """Keeps the worst clips of the first system with their values per frame, and forgets all others.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._heap: list[tuple[float, int, ClipSums]] = []  # the best of the worst on top
        self._seen = 0

    def add(self, sums: ClipSums) -> None:
        """Takes a clip; to be called before its values per frame are let go."""
        if sums.system != 0 or not self.count:
            return
        self._seen += 1
        heapq.heappush(self._heap, (-quality(sums), -self._seen, replace(sums, moments={})))
        if len(self._heap) > self.count:
            heapq.heappop(self._heap)

    @property
    def choice(self) -> str:
        """How they were chosen, in words."""
        return f"the {self.count} lowest by Hand SSIM, or by SSIM wang where no hand was scored"

    def clips(self) -> list[ClipSums]:
        """The worst first."""
        return [sums for _, _, sums in sorted(self._heap, key=lambda item: (-item[0], -item[1]))]


def quality(sums: ClipSums) -> float:
    """The clip's hand SSIM, else its SSIM, else its PSNR."""
    values = sums.values()
    return next((v for name in ("hand_ssim", "ssim_wang", "psnr") if (v := values.get(name)) is not None), 0.0)
