"""Tables: CSV, and parquet where pyarrow is installed. Rows are read some at a time."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import Damaged, TooLarge, damage, missing_extra
from signgen.keypoints.budget import Budget

PARQUET = b"PAR1"  # its first bytes
_LONGEST_LINE = 1 << 20  # bytes
_AT_A_TIME = 1 << 18  # numbers
_SEPARATORS = ",;\t"
_FEWEST = 4  # columns of a line of text that is taken for a row of a table
_ADVICE = "write or download it again"


class Table(ABC):
    """Columns of numbers and texts.

    Attributes:
        names: of the columns; empty for rows of numbers without a heading.
        width: how many columns there are.
    """

    names: tuple[str, ...] = ()
    width = 0

    def __init__(self, stream: BinaryIO, subject: str, budget: Budget) -> None:
        self._stream, self.subject, self.budget = stream, subject, budget

    @abstractmethod
    def rows(self, numbers: Sequence[int], texts: Sequence[int] = ()) -> Iterator[tuple[np.ndarray, list[list[str]]]]:
        """Some rows at a time: float64 (n, columns), NaN where nothing is written, and a list of texts a column.

        Args:
            numbers, texts: which columns, by place.
        """

    def first(self, column: int) -> str:
        """What stands first in a column."""
        for _, texts in self.rows((), (column,)):
            return texts[0][0] if texts[0] else ""
        return ""


class Csv(Table):
    """Text with commas, semicolons or tabs between the columns."""

    def __init__(self, stream: BinaryIO, subject: str, budget: Budget) -> None:
        super().__init__(stream, subject, budget)
        self._separator = max(_SEPARATORS, key=self._line(0).count)
        first = next(self._records(), [])
        self.width = len(first)
        self.names = tuple(name.strip() for name in first) if _is_heading(first) else ()

    def _line(self, start: int) -> str:
        self._stream.seek(start)
        return self._stream.readline(_LONGEST_LINE).decode("utf-8-sig")

    def _lines(self) -> Iterator[str]:
        place = 0
        while True:
            self._stream.seek(place)  # others may read the same file meanwhile
            lines = self._stream.readlines(_LONGEST_LINE)
            if not lines:
                return
            place += sum(map(len, lines))
            for line in lines:
                if len(line) > _LONGEST_LINE:
                    raise TooLarge(self.subject, "a line of more than 1 MiB", "give one frame or landmark a line")
                yield line.decode("utf-8-sig")

    def _records(self) -> Iterator[list[str]]:
        with damage(self.subject, "a damaged table", _ADVICE, csv.Error, UnicodeDecodeError):
            yield from (record for record in csv.reader(self._lines(), delimiter=self._separator) if record)

    def rows(self, numbers: Sequence[int], texts: Sequence[int] = ()) -> Iterator[tuple[np.ndarray, list[list[str]]]]:
        records = self._records()
        if self.names:
            next(records)
        size = max(1, _AT_A_TIME // self.width)
        while batch := list(islice(records, size)):
            if any(len(record) != self.width for record in batch):
                count = next(len(record) for record in batch if len(record) != self.width)
                raise Damaged(self.subject, f"a row of {count} columns in a table of {self.width}", _ADVICE)
            with damage(self.subject, "a table with text where numbers should be", _ADVICE, ValueError):
                values = [[record[i] or "nan" for i in numbers] for record in batch]
                found = np.array(values, np.float64).reshape(len(batch), len(numbers))
            yield found, [[record[i] for record in batch] for i in texts]


class Parquet(Table):
    """A parquet file, by pyarrow."""

    def __init__(self, stream: BinaryIO, subject: str, budget: Budget) -> None:
        super().__init__(stream, subject, budget)
        self.names = tuple(self._file.schema_arrow.names)
        self.width = len(self.names)

    @cached_property
    def _file(self) -> Any:
        try:
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise missing_extra("pyarrow, which reads parquet,", "parquet") from None
        with damage(self.subject, "a damaged parquet file", _ADVICE, Exception):
            self._stream.seek(0)
            return ParquetFile(self._stream)

    def rows(self, numbers: Sequence[int], texts: Sequence[int] = ()) -> Iterator[tuple[np.ndarray, list[list[str]]]]:
        wanted = [self.names[i] for i in (*numbers, *texts)]
        size = max(1, _AT_A_TIME // max(1, len(wanted)))
        # What a damaged file makes the library raise is almost anything.
        with damage(self.subject, "a damaged parquet file", _ADVICE, Exception):
            for batch in self._file.iter_batches(size, columns=wanted, use_threads=False):
                self.budget.spend("numbers", len(batch) * len(wanted))  # a few bytes can say one number for ever
                columns = [batch.column(name) for name in wanted]
                found = [one.cast("double").to_numpy(zero_copy_only=False) for one in columns[: len(numbers)]]
                values = np.stack(found, 1) if found else np.zeros((len(batch), 0))
                yield values, [list(map(str, one.to_pylist())) for one in columns[len(numbers) :]]


def is_csv(head: str) -> bool:
    """Whether a text begins with a line of several columns."""
    line = head.split("\n", 1)[0]
    return max(map(line.count, _SEPARATORS)) >= _FEWEST - 1


def _is_heading(record: list[str]) -> bool:
    """A record with a name in it, or one that counts the columns."""
    filled = [field for field in record if field]
    return not all(map(_is_number, filled)) or [*map(str, range(len(filled)))] == filled


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
