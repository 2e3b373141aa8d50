"""Writes the table of formats in docs/formats.md from the formats' own records.

    python tools/make_formats_page.py

`tests/test_convert_formats.py` fails where the table is not what this writes.
"""

from __future__ import annotations

from pathlib import Path

from signgen.keypoints.formats.registry import FORMATS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
BEGIN, END = "<!-- written by tools/make_formats_page.py from signgen/keypoints/formats -->\n", "\n<!-- end -->"
NAMES = {"any": "yes", "files": "in file names", "file": ""}


def table() -> str:
    """One row a format: what writes it, how it is known, and what it holds beside points."""
    rows = ["| `--from`, `--to` | comes from | recognised by | size | rate | names |", "|---|---|---|---|---|---|"]
    for name, format in FORMATS.items():
        held = ("yes" if format.size else "", "yes" if format.fps else "", NAMES[format.clip_name])
        rows.append("| " + " | ".join((f"`{name}`", format.origin, format.content, *held)) + " |")
    return "\n".join(rows).replace("|  |", "| |").replace("|  |", "| |") + "\n"


def page() -> str:
    """The text of docs/formats.md with this table."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
