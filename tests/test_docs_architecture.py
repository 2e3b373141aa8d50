"""docs/architecture.md names files and packages that exist, and its picture agrees with the order of imports."""

from __future__ import annotations

import re

from docs_pages import ROOT
from test_imports import FLOW, MODULES, _imports, _room

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE = PAGE[PAGE.index("```mermaid") : PAGE.index("```\n", PAGE.index("```mermaid"))]
SMALL = {"quick_start"}  # rooms that the picture leaves out: they hold no data


def arrows() -> set[tuple[str, str]]:
    """(from, to) of each arrow of the picture; ``a --> b --> c`` is two."""
    chains = [re.findall(r"\w+", line) for line in PICTURE.splitlines() if "-->" in line]
    return {pair for chain in chains for pair in zip(chain, chain[1:], strict=False)}


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`([\w/]+\.(?:py|yaml|md))`", PAGE))
    assert len(named) > 40
    missing = [name for name in named if not (ROOT / "signgen" / name).exists() and not (ROOT / name).exists()]
    assert not missing, sorted(missing)


def test_every_package_is_in_the_picture() -> None:
    alone = set(re.findall(r"^ +(\w+)$", PICTURE, flags=re.MULTILINE)) - {"end"}
    assert alone | {name for pair in arrows() for name in pair} == set(FLOW) - SMALL


def test_every_arrow_is_an_import_along_the_flow() -> None:
    imports = {(_room(other), _room(module)) for module, path in MODULES.items() for other, _ in _imports(path)}
    imports.add(("commands", "cli"))  # which imports a command by its name, when it is called
    for tail, head in arrows():
        assert FLOW.index(tail) < FLOW.index(head), f"{tail} --> {head} runs against the order of packages"
        assert (tail, head) in imports, f"no file of {head} imports from {tail}"
