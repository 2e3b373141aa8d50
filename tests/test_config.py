"""Configurations: types, unknown keys, settings from the command line, round trips; and every shipped file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signgen import config
from signgen.errors import InputError
from signgen.training.config import TrainConfig

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 3
    flag: bool = False
    inner: Inner = field(default_factory=Inner)


def test_values_take_their_annotated_types() -> None:
    built = config.build(Outer, {"name": "a", "inner": {"rate": "1e-4", "sizes": [5]}})
    assert built == Outer("a", inner=Inner(1e-4, (5,)))


def test_settings_reach_nested_keys_and_leave_the_input_alone() -> None:
    content = {"name": "a", "inner": {"rate": 0.5}}
    assert config.build(Outer, config.merge(content, ["inner.rate=2", "count=7"])) == Outer("a", 7, inner=Inner(2.0))
    assert content == {"name": "a", "inner": {"rate": 0.5}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"name": "a", "cuont": 1}, "unknown key 'cuont'; known keys are name, count"),
        ({"name": "a", "count": "three"}, "got 'three'; expected int"),
        ({"name": "a", "count": True}, "got True; expected int"),
        ({"count": 1}, "name"),
        ({"name": "a", "inner": {"rat": 1}}, "unknown key 'rat'"),
    ],
)
def test_wrong_content_says_what_is_known(content: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        config.build(Outer, content)


@pytest.mark.parametrize("setting", ["count", "=3", "name.x=1"])
def test_wrong_settings(setting: str) -> None:
    with pytest.raises(InputError, match="--set"):
        config.merge({"name": "a"}, [setting])


def test_broken_files(tmp_path: Path) -> None:
    for name, text, words in (("a.yaml", "a: [", "not YAML"), ("b.yaml", "- 1", "holds a list")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=words):
            config.read_yaml(tmp_path / name)
    with pytest.raises(InputError, match="no such configuration file"):
        config.read_yaml(tmp_path / "c.yaml")


def test_save_and_load_agree(tmp_path: Path) -> None:
    saved = Outer("a", 9, True, Inner(0.25, (4, 5)))
    path = tmp_path / "saved.yaml"
    path.write_text("")
    config.save(saved, path)
    content = config.read_yaml(path)
    assert config.build(Outer, content) == saved


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    assert config.load(TrainConfig, path).steps > 0
