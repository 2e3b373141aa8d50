"""Configurations: frozen dataclasses filled from YAML and from ``key=value`` settings.

An unknown key is an error that names the one that was probably meant; values are checked against the annotated types.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from signgen.errors import BadValue, Damaged, Missing, NotFound, TooLarge
from signgen.package import PRESETS

T = TypeVar("T")
MAX_BYTES = 1 << 20  # a configuration is a page of text; anything larger is the wrong file


def load(cls: type[T], path: str | Path, settings: Iterable[str] = ()) -> T:
    """Reads a file or a preset, applies ``settings`` (``a.b=value``), builds the dataclass ``cls``."""
    return build(cls, merge(read_yaml(path), settings), subject=str(path))


def preset_names() -> list[str]:
    """Names of the configurations that ship with the package, such as ``mini/denoiser``."""
    return sorted(path.relative_to(PRESETS).with_suffix("").as_posix() for path in PRESETS.rglob("*.yaml"))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML mapping as a dict. ``path``: a file, or the name of a preset where there is no such file.

    Raises:
        InputError: the file is missing, too large, no YAML, or no mapping.
    """
    import yaml

    if not Path(path).is_file() and str(path) in preset_names():
        path = PRESETS / f"{path}.yaml"
    path = Path(path)
    if not path.is_file():
        advice = f"give the path of a YAML file, or a preset: {', '.join(preset_names())}"
        raise NotFound(path, "no such configuration file", advice)
    if path.stat().st_size > MAX_BYTES:
        raise TooLarge(path, "is larger than 1 MiB", "give a YAML configuration file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no UTF-8, no such day, brackets without end
        raise Damaged(path, f"is not YAML ({' '.join(str(error).split())[:120]})", "correct the file") from None
    if not isinstance(content, dict):
        got = "is empty" if content is None else f"holds a {type(content).__name__}"
        raise Damaged(path, got, "a configuration is a mapping of names to values")
    return content


def merge(content: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """``content`` with each ``a.b=value`` of ``settings`` put in its place; values are read as YAML."""
    import yaml

    merged = _own(content)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise BadValue("--set", f"got {setting!r}", "write it as key=value, such as steps=1000")
        *parents, last = key.split(".")
        target = merged
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise BadValue("--set", f"{parent!r} in {key!r} is no group of settings", "see its configuration")
        try:
            target[last] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise BadValue("--set", f"got {setting!r}", "its value is no YAML: quote it, or close brackets") from None
    return merged


def _own(content: Mapping[str, Any]) -> dict[str, Any]:
    """A copy down to the last group, so that no setting reaches whoever gave ``content``."""
    return {key: _own(value) if isinstance(value, Mapping) else value for key, value in content.items()}


def build(cls: type[T], content: Mapping[str, Any], subject: str = "configuration") -> T:
    """An instance of the dataclass ``cls`` from ``content``; unknown or missing keys are an `InputError`."""
    hints = typing.get_type_hints(cls)
    check_keys(subject, content, list(hints), _nested(hints))
    missing = [name for name in _required(cls) if name not in content]
    if missing:
        raise Missing(subject, f"lacks {', '.join(missing)}", "see the presets in signgen/presets for an example")
    return cls(**{key: _convert(hints[key], value, f"{subject}: {key}") for key, value in content.items()})


def _required(cls: type) -> list[str]:
    """Fields without a default."""
    none = dataclasses.MISSING
    return [field.name for field in dataclasses.fields(cls) if field.default is none and field.default_factory is none]


def check_keys(subject: object, given: Iterable[Any], known: Sequence[str], elsewhere: Sequence[str] = ()) -> None:
    """`InputError` for a key of ``given`` that is not ``known``, with the name that was probably meant.

    Args:
        elsewhere: names with dots that are settings, too, but of a group: ``optim.lr`` for someone who wrote ``lr``.
    """
    unknown = sorted({str(key) for key in given} - set(known))
    if not unknown:
        return
    got = f"unknown key {', '.join(map(repr, unknown))}"
    name, colon, _ = unknown[0].partition(":")
    if colon and name in known:
        raise BadValue(subject, got, f"write a blank after the colon: {unknown[0].replace(':', ': ', 1)}")
    initials = "".join(word[:1] for word in unknown[0].split("_"))  # lr for learning_rate
    near = [path for path in elsewhere if path.rpartition(".")[2] == unknown[0]]
    near += [name for name in known if name == initials]
    near += difflib.get_close_matches(unknown[0], known, 1) or difflib.get_close_matches(unknown[0], elsewhere, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise BadValue(subject, got, f"{meant}keys are {', '.join(known)}")


def _nested(hints: Mapping[str, Any]) -> list[str]:
    """Names with dots of the settings of groups."""
    groups = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    return [f"{name}.{field.name}" for name, hint in groups.items() for field in dataclasses.fields(hint)]


def _convert(hint: Any, value: Any, subject: str) -> Any:
    """``value`` as the annotated type, or an `InputError` naming what was expected."""
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(typing.cast(type, hint), value, subject)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(next(a for a in arguments if a is not type(None)), value, subject)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, subject) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4 as a string
        except ValueError:
            pass
    wrong_bool = hint is int and isinstance(value, bool)
    if hint is Any or (isinstance(hint, type) and isinstance(value, hint) and not wrong_bool):
        return value
    raise BadValue(subject, f"got {value!r}", f"expected {_words(hint)}")


def _words(hint: Any) -> str:
    """A type for people who write YAML."""
    if dataclasses.is_dataclass(hint):
        names = ", ".join(field.name for field in dataclasses.fields(hint))
        return f"a group of settings, some of {names}"
    if typing.get_origin(hint) is tuple:
        return f"a list, such as [1, 2], each {_words(typing.get_args(hint)[0])}"
    plain = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return plain.get(hint, "a group of settings")


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved configuration as plain data, for manifests and logs."""
    return dataclasses.asdict(config)


def save(config: Any, path: str | Path) -> None:
    """Writes the resolved configuration as YAML."""
    import yaml

    Path(path).write_text(yaml.safe_dump(to_dict(config), sort_keys=False), encoding="utf-8")
