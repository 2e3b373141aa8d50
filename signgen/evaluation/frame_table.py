"""One line per frame: ``--csv``."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import TracebackType

from signgen.evaluation.scores import METRICS, ON_REQUEST
from signgen.evaluation.scoring import ClipSums

SYSTEMS = ("generated", "against")
# Those that have a value for each frame; a step's value stands at its second frame.
PER_FRAME = tuple(name for name in METRICS if name not in {"fid", "background_deviation", *ON_REQUEST})


class FrameTable:
    """Writes a CSV file clip by clip; an empty field is a value that is not defined.

    Columns: system (``generated`` or ``against``), clip, frame (from 0), hands (that count in hand SSIM), and the
    metrics, in full precision.
    """

    def __init__(self, path: Path) -> None:
        # surrogateescape: a clip's name that is no Unicode is written as its bytes are
        self._file = path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(["system", "clip", "frame", "hands", *PER_FRAME])

    def add(self, sums: ClipSums) -> None:
        """The lines of one clip."""
        hands = sums.per_frame.get("hands")
        columns = [sums.per_frame.get(name) for name in PER_FRAME]
        for frame in range(sums.frames):
            values = ["" if c is None or math.isnan(c[frame]) else repr(float(c[frame])) for c in columns]
            count = "" if hands is None else int(hands[frame])
            self._writer.writerow([SYSTEMS[sums.system], sums.name, frame, count, *values])

    def __enter__(self) -> FrameTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
