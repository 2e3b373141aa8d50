"""Configurations: types, unknown keys, settings from the command line, round trips; and every shipped file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signgen import config
from signgen.config import PRESETS, preset_names
from signgen.errors import InputError
from signgen.training.config import TrainConfig


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
    deep = {"optim": {"decay": {"last": 1}}}
    assert config.merge(deep, ["optim.decay.last=2"]) == {"optim": {"decay": {"last": 2}}}
    assert deep == {"optim": {"decay": {"last": 1}}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"name": "a", "cuont": 1}, "unknown key 'cuont'; did you mean count[?] keys are name, count"),
        ({"name": "a", "zebra": 1}, "unknown key 'zebra'; keys are name, count"),
        ({"name": "a", "rate": 1}, "unknown key 'rate'; did you mean inner.rate[?]"),
        ({"name": "a", 1: 1}, "unknown key '1'; keys are"),
        ({"name": "a", "count:3": None}, "unknown key 'count:3'; write a blank after the colon: count: 3"),
        ({"name": "a", "count": "three"}, "count: got 'three'; expected a whole number"),
        ({"name": "a", "count": True}, "got True; expected a whole number"),
        ({"name": "a", "inner": {"sizes": "80x104"}}, r"got '80x104'; expected a list, such as \[1, 2\]"),
        ({"name": "a", "inner": 3}, "inner: got 3; expected a group of settings, some of rate, sizes"),
        ({"count": 1}, "configuration: lacks name; see the presets"),
        ({"name": "a", "inner": {"rat": 1}}, "inner: unknown key 'rat'; did you mean rate[?]"),
    ],
)
def test_wrong_content_says_what_is_known(content: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        config.build(Outer, content)


@pytest.mark.parametrize("setting", ["count", "=3", "name.x=1", "name=2024-02-30"])
def test_wrong_settings(setting: str) -> None:
    with pytest.raises(InputError, match="--set"):
        config.merge({"name": "a"}, [setting])


def test_broken_files(tmp_path: Path) -> None:
    broken = (("a.yaml", "a: [", "not YAML"), ("b.yaml", "- 1", "holds a list"), ("e.yaml", "", "is empty"))
    broken += (("d.yaml", "a: 2024-13-01", "not YAML .month must be"), ("f.yaml", "[" * 5000, "not YAML"))
    for name, text, words in broken:
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=words):
            config.read_yaml(tmp_path / name)
    with pytest.raises(InputError, match="no such configuration file.* a preset: .*mini/denoiser"):
        config.read_yaml(tmp_path / "c.yaml")


def test_a_preset_is_found_by_its_name_and_a_file_of_that_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.read_yaml("mini/denoiser") == config.read_yaml(PRESETS / "mini" / "denoiser.yaml")
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "denoiser").write_text("steps: 3")
    assert config.read_yaml("mini/denoiser") == {"steps": 3}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("optim.learning_rate=1", "unknown key 'learning_rate'; did you mean lr"),
        ("lr=1", "did you mean optim.lr"),
        ("optim.lr=-1", "optim.lr, optim.clip: got -1.0, 1.0; both must be above 0"),
        ("optim.lr=.nan", "both must be above 0"),
        ("optim.accumulate=0", "optim.accumulate: got 0; it must be 1 or more"),
        ("optim.ema=2", "optim.decay, optim.ema"),
        ("log_steps=0", "log_steps: got 0; it must be 1 or more"),
        ("loss.drop=2", "loss.drop: got 2.0; it is a share"),
        ("start.clpi=x", "start: unknown key 'clpi'; did you mean clip"),
        ("data=null", "data: got None; expected text"),
    ],
)
def test_a_training_that_cannot_be_is_refused(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        config.load(TrainConfig, PRESETS / "phoenix14t" / "fusion.yaml", [setting])


def test_save_and_load_agree(tmp_path: Path) -> None:
    saved = Outer("a", 9, True, Inner(0.25, (4, 5)))
    path = tmp_path / "saved.yaml"
    path.write_text("")
    config.save(saved, path)
    content = config.read_yaml(path)
    assert config.build(Outer, content) == saved


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_configuration_is_valid(name: str) -> None:
    assert config.load(TrainConfig, name).steps > 0
