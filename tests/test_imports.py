"""Data flows one way: a module imports only from rooms to its left. And the command line starts without weight."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "signgen"

# Rooms in the order of the flow; rooms of one rank may use each other.
RANKS = {
    "errors": 0, "config": 0, "lean": 0, "video": 0, "keypoints": 0,
    "pose_image": 1,
    "models": 2, "diffusion": 2, "base_weights": 2,
    "sources": 3, "pipeline": 3,
    "rendering": 4, "render": 4, "export": 4,
    "synthetic": 5, "data": 5, "metrics": 5,
    "training": 6, "augment": 6, "recognition": 6, "extract": 6,
    "evaluation": 7, "doctor": 7,
    "commands": 8, "cli": 8, "app": 8,
}  # fmt: skip


def _imports(path: Path) -> list[tuple[str, int]]:
    """(room, line) of every import from signgen in a file, those inside functions included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("signgen."):
            found.append((node.module.split(".")[1], node.lineno))
        elif isinstance(node, ast.ImportFrom) and node.module == "signgen":
            found += [(alias.name, node.lineno) for alias in node.names if alias.name in RANKS]
        elif isinstance(node, ast.Import):
            found += [(a.name.split(".")[1], node.lineno) for a in node.names if a.name.startswith("signgen.")]
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_the_left(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    assert room in RANKS, f"{room} has no place in the flow: add it to RANKS"
    wrong = [f"line {line}: {other}" for other, line in _imports(path) if RANKS[other] > RANKS[room]]
    assert not wrong, f"{path.name} ({room}) imports from its right: {wrong}"


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
