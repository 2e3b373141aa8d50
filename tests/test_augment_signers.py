"""Who signs an augmented data set: numbers, drawn signers, folders of pictures, few of many evenly over looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_pipeline import FRAME, picture, signing

from signgen.augmentation.signers import BODIES, draw_portrait, fingerprint, keep_drawn, load_signers, pick_signers
from signgen.cli import main
from signgen.errors import BadValue, Damaged, Empty, Mismatch, Missing
from signgen.keypoints import write_keypoints
from signgen.keypoints.skeleton import LEFT_HAND, RIGHT_HAND
from signgen.rendering.source import builtin_names
from signgen.synthetic.signer import HELD_OUT, signer_names


def test_eighty_signers_are_all_bodies_that_are_no_mixtures() -> None:
    names = builtin_names()
    eighty = pick_signers("80")
    assert eighty[:8] == tuple(names) == pick_signers("8")
    assert {*eighty[8:], *BODIES} == {f"s{number:02d}" for number in range(1, 81)}
    everybody = pick_signers("200")
    assert len(set(everybody)) == 200
    assert everybody[:80] == eighty
    assert not set(everybody) & set(HELD_OUT)
    assert set(everybody[8:]) < set(signer_names())
    assert pick_signers("20") == eighty[:20]  # fewer are the beginning of more
    assert pick_signers(None) == eighty[:32]  # the measured recipe


@pytest.mark.parametrize("wanted", ["0", "201"])
def test_more_than_there_are_is_refused(wanted: str) -> None:
    with pytest.raises(BadValue) as caught:
        pick_signers(wanted)
    assert caught.value.subject == "--signers"


def test_a_drawn_signer_shows_both_hands_in_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s65").mkdir()  # whatever lies there: a number of signers may have chosen the name
    source = load_signers(("s65",))["s65"]
    assert source.keypoints is not None
    assert (source.size, source.kind, len(source.keypoints)) == ((210, 260), "signer", 1)
    for hand in (LEFT_HAND, RIGHT_HAND):
        assert (source.keypoints.confidence[0, hand] > 0).all()
        assert (source.keypoints.xy[0, hand] > 0).all()
        assert (source.keypoints.xy[0, hand] < source.size).all()
    assert fingerprint(source) == fingerprint(draw_portrait("s65")) != fingerprint(draw_portrait("s44"))
    kept = tmp_path / "signers"
    keep_drawn({"s65": source}, kept)
    again = load_signers(("s65",), kept)["s65"]
    assert fingerprint(again) == fingerprint(source)
    assert (again.name, again.kind, again.notes, again.turned) == (source.name, source.kind, source.notes, 0)
    assert again.keypoints == source.keypoints
    (kept / "s65.npz").write_bytes(b"PK")
    with pytest.raises(Damaged, match="delete it and s65.npz"):
        load_signers(("s65",), kept)


def folder_of(place: Path, colours: dict[str, int], suffix: str = ".npz") -> Path:
    """Pictures of one grey each, with the keypoints of somebody in the middle."""
    place.mkdir()
    for name, grey in colours.items():
        Image.fromarray(np.full_like(picture(), grey)).save(place / f"{name}.png")
        write_keypoints(replace(signing(1), name=name), place / f"{name}{suffix}")
    return place


def test_a_folder_gives_all_or_those_that_differ_most(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "people", {"a": 10, "b": 12, "c": 120, "d": 122, "e": 240})
    assert [Path(name).stem for name in pick_signers(None, place)] == list("abcde")
    three = {Path(name).stem for name in pick_signers("3", place)}
    assert len(three & {"a", "b"}) == len(three & {"c", "d"}) == len(three & {"e"}) == 1
    assert len(set(pick_signers("5", place))) == 5


def test_looks_that_are_all_the_same_are_still_several(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "people", dict.fromkeys("abc", 90))
    assert len(set(pick_signers("3", place))) == 3


@pytest.mark.parametrize("suffix", [".npz", ".json", ".pose"])
def test_keypoints_may_have_any_format(tmp_path: Path, suffix: str) -> None:
    names = pick_signers(None, folder_of(tmp_path / "people", {"a": 90}, suffix))
    (source,) = load_signers(names).values()
    assert source.keypoints is not None
    assert source.size == FRAME
    both = source.keypoints.confidence[0] > 0
    assert np.abs(source.keypoints.xy[0] - signing(1).xy[0])[both].max() < 0.6


def test_what_no_signers_can_be_taken_from_is_refused(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "people", {"a": 90, "b": 100})
    for error, wanted, folder, subject in (
        (Missing, None, tmp_path / "none", "--signers-from"),
        (Mismatch, "alma", place, "--signers"),
        (BadValue, "3", place, "--signers"),
    ):
        with pytest.raises(error) as caught:
            pick_signers(wanted, folder)
        assert caught.value.subject == subject
    (place / "b.npz").unlink()
    with pytest.raises(Missing) as missing:
        pick_signers(None, place)
    assert Path(missing.value.subject) == place / "b.png"
    for path in place.iterdir():
        path.unlink()
    with pytest.raises(Empty) as empty:
        pick_signers(None, place)
    assert Path(empty.value.subject) == place


def test_the_command_says_in_one_line_whose_keypoints_lack(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "people", {"a": 90})
    (place / "a.npz").unlink()
    (tmp_path / "set").mkdir()
    asked = ["augment", str(tmp_path / "set"), str(tmp_path / "out"), "--signers-from", str(place)]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 2
    assert "has no a.npz beside it" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
