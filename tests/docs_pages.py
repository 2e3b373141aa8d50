"""What a page of the documentation holds: blocks to run, blocks that only are looked at, links, names of options."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import click

from signgen.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
RUN = ("bash", "python")  # languages of blocks that are run
_FENCE = re.compile(r"^```(\S*)\s*$")
_COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$")
_LINK = re.compile(r"(?<!`)\[[^\]`]*\]\(([^)\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: what stands behind the fence; may be empty.
        text: its lines.
        line: number of its first line in the page, from 1.
        comments: HTML comments on the lines above it.
    """

    language: str
    text: str
    line: int
    comments: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why the block is not run, as its comment ``<!-- not run: reason -->`` says; None for one that is run."""
        if "test-command" in self.comments:
            return "it is the command that runs these tests"
        given = [text.partition(":")[2].strip() for text in self.comments if text.startswith("not run")]
        return given[0] if given else None


def pages() -> list[str]:
    """README.md and docs/*.md, as paths from the repository's root."""
    return ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order.

    Raises:
        ValueError: a block without an end.
    """
    found, comments = list[Block](), list[str]()
    opened: tuple[str, int, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        fence, comment = _FENCE.match(line), _COMMENT.match(line)
        if opened is not None:
            language, start, lines = opened
            if line.rstrip() == "```":
                found.append(Block(language, "\n".join(lines) + "\n", start, tuple(comments)))
                opened, comments = None, []
            else:
                lines.append(line)
        elif fence:
            opened = fence[1], number + 1, []
        elif comment:
            comments.append(comment[1])
        elif line.strip():
            comments = []
    if opened is not None:
        raise ValueError(f"the block of line {opened[1]} has no end")
    return found


def links(text: str) -> list[str]:
    """Targets of the page's links outside of blocks."""
    return _LINK.findall(_prose(text))


def anchors(text: str) -> set[str]:
    """What links into the page may name: its headings as GitHub writes them; a second one alike ends in ``-1``."""
    found, seen = set[str](), Counter[str]()
    for title in re.findall(r"^#+ (.*)$", _prose(text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        name = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def options_in_prose(text: str) -> set[str]:
    """Names of options between back quotes, such as ``--align``."""
    return {name for code in re.findall(r"`([^`\n]+)`", _prose(text)) for name in _OPTION.findall(code)}


def _prose(text: str) -> str:
    kept, inside = list[str](), False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def known_options() -> set[str]:
    """Options of all commands, of pip as the pages use it, and of the programs in benchmarks/ and tools/."""
    found = {"--extra-index-url", "--find-links", "--nproc-per-node", "--num_processes", "--use_fsdp"}
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        for parameter in command.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    for folder in ("benchmarks", "tools"):
        for path in (ROOT / folder).glob("*.py"):
            found |= set(re.findall(r"[\"'](--[a-z][a-z0-9-]*)[\"']", path.read_text(encoding="utf-8")))
    return found | {"--help", "--version"}


def shell_commands(text: str) -> list[list[str]]:
    """The words of each simple command of a bash block; comments, pipes and lists taken apart."""
    commands = list[list[str]]()
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words = list[str]()
        for word in lexer:
            if set(word) <= set(";&|"):
                commands.append(words)
                words = []
            else:
                words.append(word)
        commands.append(words)
    return [words for words in commands if words]


def complaints(text: str) -> list[str]:
    """What is wrong with the commands of a bash block that is not run; empty if each could be.

    Commands of signgen must parse, extras of signgen that pip installs must exist, and so must scripts of this
    repository that python runs.
    """
    return [complaint for words in shell_commands(text) for complaint in _complaint(words)]


def _complaint(words: list[str]) -> list[str]:
    arguments = _signgen_arguments(words)
    if arguments is not None:
        return _parse(arguments)
    if "install" in words:
        return _extras(words)
    scripts = [word for word in words[1:2] if words[0].startswith("python") and word.endswith(".py")]
    return [f"{word}: no such file in the repository" for word in scripts if not (ROOT / word).is_file()]


def _signgen_arguments(words: list[str]) -> list[str] | None:
    """What follows ``signgen`` or ``-m signgen``; None for other commands."""
    for place, word in enumerate(words):
        begins = all("=" in before for before in words[:place]) or words[place - 1] == "-m"
        if word.rpartition("/")[2] == "signgen" and begins:
            return words[place + 1 :]
    return None


def _parse(arguments: list[str]) -> list[str]:
    if arguments and arguments[0] in ("--help", "--version", "-h"):
        return []
    name = arguments[0] if arguments else ""
    command = main.get_command(click.Context(main), name)
    if command is None:
        return [f"signgen {name}: no such command"]
    try:
        command.make_context(name, list(arguments[1:]))
    except click.exceptions.Exit:
        return []
    except Exception as error:  # a usage error, or an InputError of an option's own type
        return [f"signgen {' '.join(arguments)}: {error}"]
    return []


def _extras(words: list[str]) -> list[str]:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    known = set(setup["options.extras_require"])
    wanted = [match[1] for word in words if (match := re.match(r"^(?:signgen|\.)\[([\w,-]+)\]$", word))]
    names = [name for extras in wanted for name in extras.split(",")]
    return [f"pip install: signgen has no extra [{name}]" for name in names if name not in known]
