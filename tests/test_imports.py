"""Data flows one way: a module imports only from rooms before its own, and none in a circle. Help is instant."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "signgen"

# Packages and modules of the top level in the order of the flow: each may import only from those before it.
FLOW = (
    "errors", "package", "config", "quick_start", "signals", "files", "processes", "video", "keypoints", "pose_image",
    "editing", "model", "extraction", "rendering", "streaming", "synthetic", "dataset", "exporter", "scoring",
    "training", "augmentation", "doctor", "personal", "app", "commands", "cli",
)  # fmt: skip
MOST_FILES = 20  # of one level: a person finds a file among so many


def _module(path: Path) -> str:
    return ".".join(("signgen", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {_module(path): path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in FLOW}


def _imports(path: Path) -> list[tuple[str, int]]:
    """(module, line) of every import from signgen's rooms in a file, those inside functions included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "signgen":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.append((name if name in MODULES else node.module, node.lineno))
        elif isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names if alias.name.startswith("signgen.")]
    return [(name, line) for name, line in found if name != "signgen"]


def _room(module: str) -> str:
    return module.split(".")[1]


def test_the_flow_names_every_room_once() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if _holds_code(path)}
    assert len(set(FLOW)) == len(FLOW)
    assert rooms - {"__init__", "__main__"} == set(FLOW)


def _holds_code(path: Path) -> bool:
    return path.suffix == ".py" or any(path.glob("*.py"))


@pytest.mark.parametrize("room", FLOW)
def test_imports_only_from_rooms_before(room: str) -> None:
    before = set(FLOW[: FLOW.index(room) + 1])
    wrong = []
    for module, path in MODULES.items():
        if _room(module) == room:
            wrong += [f"{path.name}:{line}: {other}" for other, line in _imports(path) if _room(other) not in before]
    assert not wrong, f"{room} imports from rooms after it: {wrong}"


def test_no_modules_import_each_other() -> None:
    graph = {module: {other for other, _ in _imports(path)} - {module} for module, path in MODULES.items()}
    tuple(TopologicalSorter(graph).static_order())  # a CycleError names the circle


@pytest.mark.parametrize("package", sorted({path.parent for path in MODULES.values()}), ids=lambda path: path.name)
def test_a_package_is_easy_to_look_through(package: Path) -> None:
    assert len(list(package.glob("*.py"))) <= MOST_FILES
    assert len(package.relative_to(PACKAGE).parts) <= 3


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, signgen.cli as cli\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(cli.main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'numba', 'scipy', 'av', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
