"""Long texts, read little by little: JSON whose items are decoded one after the other, and lines of numbers."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from signgen.errors import Damaged, TooLarge
from signgen.keypoints.budget import MOST_FRAMES, OBJECT, Budget

_WINDOW = 1 << 20  # bytes that are read at a time
_LONGEST_ITEM = 16 << 20  # characters of one frame, or of one value that is no list
_ADVICE = "the file may be cut; write or download it again"
_TOKEN = 16  # characters at the end of a window in which a word such as -Infinity may be cut
_MANY = 16  # numbers in a list from which it is kept as an array
_DECODER = json.JSONDecoder()
_SPACES = re.compile(r"[ \t\r\n]*")


# --- JSON -----------------------------------------------------------------------------------------------------
def read_json(stream: BinaryIO, subject: str, budget: Budget) -> Any:
    """The value of a JSON text; a list that is longer than what is read at a time is a `JsonList`.

    JSON lines, one value a line, are a list as well (`JsonLines`).

    Lists below the keys of an object are decoded item by item, and keep their numbers as arrays: so they take about as
    much memory as the points in them.

    Raises:
        InputError: damaged, or too much.
        UnicodeDecodeError: it does not begin with text.
    """
    text = _Text(stream, subject)
    start = text.next()
    if text.has_lines():
        return JsonLines(stream, subject)
    if start == "[" and not text.ended:
        return JsonList(stream, subject)
    if start != "{" or text.ended:
        value = text.value()
        text.expect_end()
        return value
    content: dict[str, Any] = {}
    for key in _keys(text):
        if text.next() == "[":
            content[key] = [_compact(item, budget) for item in _counted(_items(text), budget)]
        else:
            content[key] = _compact(text.value(), budget)
    text.expect_end()
    return content


class JsonList(Sequence[Any]):
    """A list in a JSON text whose items are decoded, one by one, whenever somebody goes through it. Never empty."""

    def __init__(self, stream: BinaryIO, subject: str) -> None:
        self._stream, self._subject = stream, subject
        self._length: int | None = None

    def __iter__(self) -> Iterator[Any]:
        text = _Text(self._stream, self._subject)
        for count, item in enumerate(self._items(text)):
            if count >= MOST_FRAMES:
                raise TooLarge(self._subject, f"a list of more than {MOST_FRAMES:,} frames", "split it into clips")
            yield item
        text.expect_end()

    def _items(self, text: _Text) -> Iterator[Any]:
        return _items(text)

    def __getitem__(self, index: Any) -> Any:
        """One item, found by going through those before it; readers look at the first."""
        for place, item in enumerate(self):
            if place == index:
                return item
        raise IndexError(index)

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def __bool__(self) -> bool:
        return True


class JsonLines(JsonList):
    """The values of a text of JSON lines."""

    def _items(self, text: _Text) -> Iterator[Any]:
        while text.next():
            yield text.value()


def whole(value: Any) -> Any:
    """A value of `read_json` as Python's own."""
    return list(value) if isinstance(value, JsonList) else value


class _Text:
    """JSON text, of which a window is in memory."""

    def __init__(self, stream: BinaryIO, subject: str) -> None:
        stream.seek(0)
        self._stream, self._place, self.subject = stream, 0, subject
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.at, self.ended = "", 0, False
        self._more()

    def _more(self) -> None:
        if len(self.text) - self.at > _LONGEST_ITEM:
            raise TooLarge(self.subject, "one value of more than 16 MiB", "give a list with an entry for each frame")
        size = max(_WINDOW, len(self.text) - self.at)
        self._stream.seek(self._place)  # others may read the same file meanwhile
        data = self._stream.read(size)
        self._place += len(data)
        self.ended = len(data) < size
        self.text, self.at = self.text[self.at :] + self._decoder.decode(data, final=self.ended), 0

    def next(self) -> str:
        """The next character that is no space, which stays; empty at the end."""
        while True:
            self.at = _SPACES.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self._more()

    def take(self, wanted: str) -> str:
        """The next character, which must be one of these."""
        found = self.next()
        if not found or found not in wanted:
            raise self.damaged(f"{found or 'the end'!r} where {' or '.join(wanted)} should be")
        self.at += 1
        return found

    def value(self) -> Any:
        """The next value."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self.text) - _TOKEN or error.msg.startswith("Unterminated")
                if self.ended or not cut:
                    raise self.damaged(error.msg) from None
            except (ValueError, RecursionError) as error:
                raise self.damaged(str(error)) from None
            else:
                if end < len(self.text) or self.ended:  # else a number may go on
                    self.at = end
                    return value
            self._more()

    def has_lines(self) -> bool:
        """Whether a whole object or list stands in the first line, and another one begins in the next."""
        end = self.text.find("\n", self.at)
        rest = self.text[end:].lstrip()[:1] if end > 0 else ""
        if not rest or rest not in "{[" or self.text[self.at : self.at + 1] != rest:
            return False
        try:
            _, stop = _DECODER.raw_decode(self.text, self.at)
        except (ValueError, RecursionError):
            return False
        return not self.text[stop:end].strip() and stop <= end

    def expect_end(self) -> None:
        if self.next():
            raise self.damaged("more text after its end")

    def damaged(self, what: str) -> Damaged:
        return Damaged(self.subject, f"damaged JSON ({what[:100]})", _ADVICE)


def _items(text: _Text) -> Iterator[Any]:
    """The items of the list that begins here."""
    text.take("[")
    if text.next() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        if text.take(",]") == "]":
            return


def _keys(text: _Text) -> Iterator[str]:
    """The keys of the object that begins here; their values are read between them."""
    text.take("{")
    if text.next() == "}":
        text.take("}")
        return
    while True:
        if text.next() != '"':
            raise text.damaged("a key that is no text")
        key = text.value()
        text.take(":")
        yield key
        if text.take(",}") == "}":
            return


def _counted(items: Iterator[Any], budget: Budget) -> Iterator[Any]:
    for item in items:
        budget.spend("bytes", OBJECT)
        yield item


def _compact(value: Any, budget: Budget) -> Any:
    """The same with long lists of numbers as arrays; counted."""
    if isinstance(value, dict):
        budget.spend("bytes", OBJECT * (2 + 2 * len(value)))
        return {key: _compact(item, budget) for key, item in value.items()}
    if not isinstance(value, list):
        budget.spend("bytes", OBJECT if not isinstance(value, str) else OBJECT + len(value))
        return value
    if len(value) >= _MANY:
        array = _as_array(value)
        if array is not None:
            budget.spend("bytes", 2 * OBJECT + array.nbytes)
            return array
    budget.spend("bytes", OBJECT)
    return [_compact(item, budget) for item in value]


def _as_array(value: list) -> np.ndarray | None:
    """float64 of numbers, or of lists of as many numbers each."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" and array.ndim <= 2 and array.size else None


# --- numbers --------------------------------------------------------------------------------------------------
class Text:
    """Lines of numbers between spaces.

    Attributes:
        whole: all of a short text, else None.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.whole = self.part(0, size) if size <= _WINDOW else None

    def part(self, start: int, stop: int) -> str:
        return b"".join(self._read(start, stop)).decode("utf-8-sig")

    def _read(self, start: int, stop: int | None = None) -> Iterator[bytes]:
        while stop is None or start < stop:
            self._stream.seek(start)
            data = self._stream.read(_WINDOW if stop is None else min(_WINDOW, stop - start))
            if not data:
                return
            yield data
            start += len(data)

    def lines(self) -> Iterator[tuple[int, int]]:
        """Where each line that is not blank begins and ends, in bytes."""
        start = place = 0
        blank = True
        for data in self._read(0):
            at = 0
            while (end := data.find(b"\n", at)) >= 0:
                if not blank or data[at:end].strip():
                    yield start, place + end
                start, at, blank = place + end + 1, end + 1, True
            blank = blank and not data[at:].strip()
            place += len(data)
        if not blank:
            yield start, place

    def fields(self, line: tuple[int, int]) -> Iterator[list[str]]:
        """The words of a line, some at a time."""
        rest = b""
        for data in self._read(*line):
            data = rest + data
            cut = max(data.rfind(b" "), data.rfind(b"\t")) + 1
            if len(data) - cut > _WINDOW:
                cut = len(data)
            rest = data[cut:]
            yield data[:cut].decode("utf-8-sig", "replace").split()
        yield rest.decode("utf-8-sig", "replace").split()
