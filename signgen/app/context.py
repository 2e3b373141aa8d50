"""What all requests to one server share."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from signgen.app.feed import Feeds
from signgen.app.limits import Limits
from signgen.app.model import Model
from signgen.app.turns import Turns
from signgen.app.workplace import Workplace

MOST_REPORTS = 64


class Reports:
    """Reports that browsers may ask for, under addresses that nobody can guess; the oldest are forgotten."""

    def __init__(self, most: int = MOST_REPORTS) -> None:
        self._most = most
        self._paths: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, path: Path) -> str:
        """The key of a report."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._paths[key] = path
            while len(self._paths) > self._most:
                self._paths.popitem(last=False)
        return key

    def get(self, key: str) -> Path | None:
        """The report of a key, if it is still there."""
        with self._lock:
            path = self._paths.get(key)
        return path if path is not None and path.is_file() else None


@dataclass(frozen=True)
class Context:
    """Attributes:
    workplace: where files are.
    model: what renders.
    limits: what may come in.
    turns: who has the device.
    feeds, reports: what browsers fetch beside the page.
    """

    workplace: Workplace
    model: Model
    limits: Limits
    turns: Turns
    feeds: Feeds = field(default_factory=Feeds)
    reports: Reports = field(default_factory=Reports)
