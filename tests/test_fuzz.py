"""Spoiled files of every format: one line or a valid clip, in little time and memory; and those that once were not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.runner import run, said_of

FINDS = sorted((Path(__file__).parent / "fuzz" / "finds").glob("[!.]*"))


def test_a_thousand_spoiled_files():
    outcome = run(range(1000))
    assert outcome.wrong == []
    assert outcome.counts["accepted"] > 50, "nearly all are refused: the mutations are too coarse"
    assert outcome.counts["damaged"] > 100


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.name)
def test_what_was_found_is_mended(path):
    said = said_of(path)
    assert ":" not in said, said
