"""What one file may make signgen build: counted while it is built, whatever the size of the file is.

A few hundred bytes can say "this list, ten times" nine times over. So no reader calls `np.array` on what a file gives:
`Budget.numbers` looks first how much that would be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from signgen.errors import Damaged, TooLarge

MOST_PEOPLE = 100  # in a frame
MOST_FRAMES = 2_500_000  # of a clip: 27 hours at 25 frames a second
MOST_MEMORY = 576 << 20  # bytes of everything that a file holds beside arrays of points
OBJECT = 96  # bytes that a small object takes, with its place in a list and in a memo
DEEPEST = 8  # lists within lists


class Budget:
    """How much may still be built of one file.

    Args:
        subject: the file, for the message.
        size: bytes that it has, unpacked. It cannot hold more numbers than bytes: what would become more says the
            same things again and again.
    """

    def __init__(self, subject: str, size: int) -> None:
        self.subject = subject
        self._left = {"bytes": MOST_MEMORY, "numbers": 4_000_000 + 4 * size}

    def spend(self, kind: str, count: int) -> None:
        """Counts ``bytes`` or ``numbers``.

        Raises:
            TooLarge: they are used up.
        """
        self._left[kind] -= count
        if self._left[kind] < 0:
            advice = "split it, or write the points as arrays (npz, npy, .pose)"
            raise TooLarge(self.subject, f"content that would become too many {kind} in memory", advice)

    def numbers(self, value: Any) -> np.ndarray:
        """float64 array of a number, an array, or nested lists of them.

        Raises:
            TooLarge: more numbers than the budget, each counted as often as it would be built.
            Damaged: lists that are nested too deeply.
            TypeError, ValueError, OverflowError: what is in it is no number, or the lists are ragged.
        """
        level = [value] if isinstance(value, (list, tuple, np.ndarray)) else []
        for _ in range(DEEPEST):
            for item in level:
                self.spend("numbers", item.size if isinstance(item, np.ndarray) else len(item))
            level = [inner for item in level for inner in _lists(item)]
            if not level:
                return np.asarray(value, dtype=np.float64)
        raise Damaged(self.subject, f"lists nested more than {DEEPEST} deep", "give points of x, y for each person")


def _lists(value: Any) -> list[Any]:
    """Lists and arrays that are items of a list, or of an array of objects."""
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.dtype.hasobject else ()
    return [item for item in value if isinstance(item, (list, tuple, np.ndarray))]
