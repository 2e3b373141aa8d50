"""Fixtures that many files use, and how tests are spread over processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings

# Several test processes share the cores: threads that spin while they wait would take them from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: what is found once is fixed, and a landing does not depend on luck.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SIGNGEN_SHARED", ROOT.parent / "shared"))


# Files that take longest begin first, so that none is left to run alone at the end.
SLOW = (
    "test_docs.py", "test_wheel.py", "test_notebooks.py", "test_recognition.py", "test_quick_start.py",
    "test_prepare.py",
    "test_distillation.py", "test_app_browser.py", "test_evaluate_command.py", "test_training_survival.py",
    "test_augment.py", "test_bench_sampler.py", "test_benchmark_augmentation.py", "test_synthetic_figure.py",
)  # fmt: skip
# A file's tests share its fixtures and run in one process, but for these: each is long and shares nothing costly.
APART = ("test_docs.py::test_the_commands_of_a_page_work", "test_notebooks.py::test_they_run")
MOST_WORKERS = 8  # each holds torch and its tests' models: about a GiB


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """A process for each core; none beside pytest's own for one file, where their start would take longer."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = {argument.partition("::")[0] for argument in config.args}
    units = len(asked) if all(name.endswith(".py") for name in asked) else MOST_WORKERS
    workers = min(cores, units, MOST_WORKERS)
    return workers if workers > 1 else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out whole files, as ``--dist loadfile`` does, and the tests of `APART` one by one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if any(name in nodeid for name in APART) else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        place = {name: number for number, name in enumerate(SLOW)}
        items.sort(key=lambda item: place.get(item.path.name, len(SLOW)))


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


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """Folder of a ``signgen``, a ``python`` and a notebook ``kernel`` that start at once, see docs_shell.py."""
    from docs_shell import server

    place = "/tmp" if os.path.isdir("/tmp") else None
    with TemporaryDirectory(prefix="docs-", dir=place) as folder, server(Path(folder)) as path:
        yield path
