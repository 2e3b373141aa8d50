"""Fixtures for data that lives beside the repository and is never committed into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Several test processes share the cores: threads that spin while they wait would take them from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples in every run: what is found once is fixed, and a landing does not depend on luck.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SIGNGEN_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real sample files: ``SIGNGEN_SHARED``, else ``../shared`` beside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no sample data in {SHARED}: set SIGNGEN_SHARED to the folder that holds data/")
    return SHARED


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of reference numbers: ``SIGNGEN_GOLDEN``, else ``golden`` in the shared folder, else tests/data/golden."""
    given = os.environ.get("SIGNGEN_GOLDEN")
    if given is not None:
        return Path(given)
    full = SHARED / "golden"
    return full if full.is_dir() else ROOT / "tests" / "data" / "golden"
