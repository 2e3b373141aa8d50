"""A Chromium for tests that look at pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str:
    """The program's path, which ``SIGNGEN_CHROMIUM`` may give; skips where there is none."""
    found = os.environ.get("SIGNGEN_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium found: set SIGNGEN_CHROMIUM to the path of one")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium under playwright; skips where one of them is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = chromium()
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=_FLAGS)
        yield opened
        opened.close()
