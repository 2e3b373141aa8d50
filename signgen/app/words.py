"""Errors and warnings in the words of the page: its fields instead of options, no folder of the server."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from signgen.errors import SignGenError

# Options of the command line -> what the page calls them.
FIELDS = {
    "--frame-size": "“Frame size”",
    "--fps": "“Frames per second”",
    "--clip": "“Clip”",
    "--frames": "“Part”",
    "--source-keypoints": "“Keypoints of the picture”",
    "--source": "the signer",
    "--align": "“Fit the skeleton to the signer”",
    "--smooth": "“Smooth”",
    "--seed": "“Seed”",
    "--keypoints": "“Keypoints of the true video”",
    "--lengths": "“Lengths differ”",
    "--sizes": "“Sizes differ”",
    "--no-fill-hands": "“Complete lost hands”",
}
_ELSEWHERE = {"see `signgen convert --help` for the formats": "“If the file does not say it” lists the formats"}
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def error_words(error: SignGenError) -> str:
    """One sentence for the user; plain text."""
    subject = Path(error.subject).name if "/" in error.subject or "\\" in error.subject else error.subject
    return page_words(f"{subject}: {error.got}; {error.advice}")


def page_words(text: str) -> str:
    """Plain text in which options are called what the page calls them."""
    text = " ".join(text.split())
    for there, here in _ELSEWHERE.items():
        text = text.replace(there, here)
    return _OPTION.sub(lambda found: FIELDS.get(found.group(), found.group()), text)


def notes(warnings: list[str]) -> str:
    """Warnings as an HTML list; empty if there are none."""
    items = "".join(f"<li>{escape(page_words(warning))}</li>" for warning in warnings)
    return f'<ul class="sg-notes">{items}</ul>' if items else ""
