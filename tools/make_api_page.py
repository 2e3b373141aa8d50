"""Writes docs/api.md from the docstrings of the public names.

    python tools/make_api_page.py

`tests/test_docs_api.py` fails where the page is not what this writes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import signgen

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"
WIDTH = 100  # of a signature
HEAD = """# Python

Everything here is imported from `signgen` itself: `from signgen import render`. The import is quick; torch is loaded
when a function needs it. All names are typed. What a command does, its function does: same defaults, same errors.
Only `jobs` differs: a function works in one process unless you say otherwise (`personalise`: all cores).

This page is written by `python tools/make_api_page.py` from the docstrings. A test runs each example, but for
`personalise`, which takes an hour. The examples
take for granted the files `clip.pose`, `true.mp4`, `generated.mp4`, `recording.mp4`, a data set `drawn` and a model
`my-model`.
"""
GROUPS = {
    "Keypoints": ("read_keypoints", "write_keypoints", "Keypoints", "edit", "draw_pose"),
    "Video": ("render", "live", "load_source", "extract", "evaluate"),
    "Data and models": ("augment", "train", "personalise", "SignGenPipeline", "export"),
    "Errors": ("InputError", "RunError"),
}
# What functions take as further options, and what they give back.
FURTHER = {
    "Options": (
        ("signgen.rendering", "RenderSettings"),
        ("signgen.extraction", "ExtractSettings"),
        ("signgen.extraction", "EstimatorSettings"),
        ("signgen.augmentation.settings", "Settings"),
        ("signgen.training.config", "TrainConfig"),
        ("signgen.personal", "Recipe"),
    ),
    "Results": (
        ("signgen.keypoints", "ReadResult"),
        ("signgen.editing", "EditResult"),
        ("signgen.editing", "Span"),
        ("signgen.rendering.source", "Source"),
        ("signgen.rendering", "RenderResult"),
        ("signgen.extraction", "ExtractResult"),
        ("signgen.scoring", "EvaluationResult"),
        ("signgen.personal", "PersonalResult"),
    ),
}
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):$")
TITLES = {"Args": "Arguments"}
ITEM = re.compile(r"^((?:\*\*)?\w+(?:, \w+)*): ")


def page() -> str:
    """The text of docs/api.md."""
    parts = [HEAD.rstrip()]
    for title, names in GROUPS.items():
        parts += [f"## {title}", *(text for name in names for text in described(getattr(signgen, name), name))]
        if title == "Errors":
            parts.append(error_codes())
    for title, places in FURTHER.items():
        parts.append(f"## {title}")
        for module, name in places:
            parts += described(getattr(import_module(module), name), f"{module}.{name}", title != "Options", False)
    return "\n\n".join(parts) + "\n"


def described(thing: Any, name: str, with_methods: bool = True, signature: bool = True) -> Iterator[str]:
    """Heading, signature, docstring and, for classes, the methods."""
    yield f"### `{name}`"
    exception = inspect.isclass(thing) and issubclass(thing, BaseException)
    if signature and not exception:
        yield f"```text\n{signature_of(thing, name)}\n```"
    yield from sections(inspect.cleandoc(thing.__doc__))
    if with_methods and inspect.isclass(thing) and not exception:
        lines = [f"- `{method}`: {summary}" for method, summary in methods(thing)]
        if lines:
            yield "**Methods**"
            yield "\n".join(lines)


def signature_of(thing: Any, name: str) -> str:
    """``name(argument: type = default, ...) -> type``, one argument a line where it is long."""
    signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
    shown, keyword = list[str](), False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword:
            shown.append("*")
            keyword = True
        shown.append(_parameter(parameter))
    returns = "" if inspect.isclass(thing) else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(shown)}){returns}"
    return line if len(line) <= WIDTH else f"{name}(\n" + "".join(f"    {part},\n" for part in shown) + f"){returns}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{stars}{parameter.name}{kind}{default}"


def sections(text: str) -> Iterator[str]:
    """A docstring's paragraphs and sections as Markdown."""
    title, lines = "", list[str]()
    for line in [*text.splitlines(), "Example:"]:  # a last title ends the section before
        heading = SECTION.match(line)
        if heading is None:
            lines.append(line)
            continue
        body = inspect.cleandoc("\n".join(["", *lines]))
        if body:
            yield from _section(title, body)
        title, lines = heading[1], []


def _section(title: str, body: str) -> Iterator[str]:
    if not title:
        yield _code(body)
    elif title == "Example":
        yield f"```pycon\n{body}\n```"
    else:
        yield f"**{TITLES.get(title, title)}**"
        yield _code(_items(body))


def _items(body: str) -> str:
    """Each entry ``name: text`` as a line of a list; text that goes on stays with its entry."""
    items = list[str]()
    for line in body.splitlines():
        begins = ITEM.match(line)
        if begins:
            items.append(f"- `{begins[1]}`: {line[begins.end() :]}")
        elif items and line.startswith(" "):
            items[-1] += f"\n  {line.strip()}"
        else:
            items.append(line)
    return "\n".join(items)


def _code(text: str) -> str:
    return text.replace("``", "`")


def methods(cls: type) -> Iterator[tuple[str, str]]:
    """(name with arguments, first sentence) of what signgen itself defines, in the order of the source."""
    seen = set[str]()
    for owner in cls.__mro__:
        if not owner.__module__.startswith("signgen"):
            continue
        for name, value in vars(owner).items():
            function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            if name in seen or (name.startswith("_") and name != "__call__"):
                continue
            text = inspect.getdoc(function) if inspect.isfunction(function) or isinstance(value, property) else None
            if text:
                seen.add(name)
                yield _call(name, value, function), _code(text.split("\n\n")[0].replace("\n", " "))


def _call(name: str, value: Any, function: Any) -> str:
    if isinstance(value, property):
        return name
    arguments = [argument for argument in inspect.signature(function).parameters if argument not in ("self", "cls")]
    return f"{'pipeline' if name == '__call__' else name}({', '.join(arguments)})"


def error_codes() -> str:
    """A table of the kinds of bad input."""
    from signgen.errors import InputError

    rows = [f"| `{kind.code}` | `{kind.__name__}` | {inspect.getdoc(kind)} |" for kind in InputError.__subclasses__()]
    return "\n".join(["| code | class, in `signgen.errors` | when |", "|---|---|---|", *rows])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
