"""docs/api.md is what the docstrings say."""

from __future__ import annotations

import sys

from docs_pages import ROOT

import signgen

sys.path.insert(0, str(ROOT / "tools"))
import make_api_page


def test_the_page_is_what_the_docstrings_say() -> None:
    advice = "write it again: python tools/make_api_page.py"
    assert make_api_page.PAGE.read_text(encoding="utf-8") == make_api_page.page(), advice


def test_every_public_name_is_on_the_page() -> None:
    shown = [name for names in make_api_page.GROUPS.values() for name in names]
    assert sorted(shown) == sorted(name for name in signgen.__all__ if not name.startswith("_"))
