"""The report's file: what it says, that it holds everything itself, and that nobody's name can run in it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_maker import FRAMES, HOSTILE, SIGNATURE, flat, level, make_clip, make_result, scores, write_report

from signgen.scoring.metrics.hands import hand_crop
from signgen.scoring.metrics.metric import Chunk
from signgen.scoring.metrics.registry import METRICS
from signgen.scoring.report.gallery import APART, worst_frames, worst_hands
from signgen.scoring.report.labels import DIRECTIONS, label, shown
from signgen.scoring.report.pictures import Album, HandCrop, Limits, span, trimmed
from signgen.scoring.report.summary import clip_orders


class Page(HTMLParser):
    """Elements as (tag, attributes, own text), in the order in which they begin."""

    VOID = ("meta", "img", "input", "path", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in self.VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.elements[self._open[-1]][0] == tag, f"</{tag}> closes {self.elements[self._open[-1]]}"
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for index in self._open:  # the text of an element holds that of its children
            self.elements[index][2].append(data)

    def all(self, tag: str, **wanted: str) -> list[tuple[dict[str, str | None], str]]:
        found = [(attributes, "".join(text)) for name, attributes, text in self.elements if name == tag]
        return [item for item in found if all(item[0].get(key) == value for key, value in wanted.items())]

    def json(self, name: str) -> dict:
        return json.loads(self.all("script", id=name)[0][1])

    def texts(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for _, text in self.all(tag)]


def written(path: Path, clips=(), result=None, **options) -> Page:
    result = result or make_result([clip.name for clip in clips])
    return Page(write_report(path / "report.html", result, clips, **options).read_text(encoding="utf-8"))


def decoded(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


# --- one file ---------------------------------------------------------------------------------------------------


def test_asks_for_nothing_outside_itself(tmp_path):
    page = written(tmp_path, [make_clip("a")])
    for tag, attributes, text in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/webp;base64,", "#")), (tag, name, value)
        assert tag not in ("link", "iframe", "object", "base")
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        if tag == "style":
            assert "url(" not in "".join(text)
            assert "@import" not in "".join(text)


def test_policy_allows_its_own_script_and_style_and_nothing_else(tmp_path):
    page = written(tmp_path, [make_clip("a")])
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0][0]["content"]
    scripts = [text for attributes, text in page.all("script") if attributes.get("type") != "application/json"]
    styles = [text for _, text in page.all("style")]
    assert len(scripts) == len(styles) == 1
    for kind, text in (("script", scripts[0]), ("style", styles[0])):
        expected = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{expected}';" in policy
    assert policy.startswith("default-src 'none'; img-src data: blob:;")


def test_names_of_strangers_are_only_text(tmp_path):
    honest = written(tmp_path, [make_clip("a"), make_clip("b")])
    result = make_result([HOSTILE, "b"], warnings=(HOSTILE,), settings={"generated": HOSTILE, HOSTILE: 1})
    words = {"title": HOSTILE, "generated": HOSTILE, "reference": HOSTILE, "choice": HOSTILE}
    page = written(tmp_path, [make_clip(HOSTILE), make_clip("b")], result, **words)
    assert len(page.all("script")) == len(honest.all("script"))
    assert len(page.all("img")) == len(honest.all("img"))
    assert page.json("clip-0")["name"] == HOSTILE
    visible = HOSTILE.replace("\udcff", "?")  # a byte of a file name that is no Unicode
    assert page.texts("h1") == [visible]
    assert visible in page.texts("bdi")


def test_metrics_signatures_and_reasons_of_strangers_are_only_text(tmp_path):
    metrics = {"x": 1.0, HOSTILE: None}
    result = make_result(
        ["a"], metrics=metrics, signatures={"x": HOSTILE}, not_computed={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}
    )
    clip = make_clip("a", per_frame={HOSTILE: scores(3), "ssim_wang": scores(3)})
    page = written(tmp_path, [clip], result)
    assert not page.all("img", src="x")
    assert len(page.all("script")) == 3
    assert page.json("clip-0")["curves"][0]["metric"] == HOSTILE


# --- what it says -----------------------------------------------------------------------------------------------


def test_table_holds_value_interval_direction_counts_signature_and_reason(tmp_path):
    page = written(tmp_path, result=make_result(["a"]))
    rows = {text.split()[0]: text for text in page.texts("tr")[1:]}
    assert "0.7123 0.7001 to 0.7245 ↑ higher is better 40 hands" in rows["Hand"]
    assert rows["Hand"].endswith(f"signature{SIGNATURE}")
    assert "28.46 dB – one clip only ↑ higher is better 1,234 frames" in rows["PSNR"]
    assert "1.228 1.100 to 1.300 → 1 is the truth’s" in rows["Motion"]
    assert "Not computed: inception.pth is not there" in rows["FID"]
    assert list(rows).index("FID") == 3  # what is missing comes last
    counted = page.texts("li")
    assert {"1,234 frames", "40 hands", "8 hands left out", "3 clips were left out: <b>x</b>"} <= set(counted)


def test_says_what_was_compared_and_that_it_is_generated(tmp_path):
    page = written(tmp_path, generated="mini", reference="dev", date="2031-02-03")
    assert page.texts("h1") == ["mini against dev"]
    assert any("Generated media." in text and "synthesised by a computer" in text for text in page.texts("p"))
    facts = page.texts("dd")
    assert {"mini", "dev", "2031-02-03", "signgen 9.8.7", "2.0", "7", "signgen"} <= set(facts)
    assert "measure: detector" in page.texts("dt")


def test_second_system_has_a_table_with_signs_and_p_values(tmp_path):
    page = written(tmp_path, result=make_result(["a"], against=True))
    rows = [text for text in page.texts("tr") if "0.6100" in text or "20.00" in text]
    assert rows[0] == "Hand SSIM 0.7123 0.6100 +0.1023 0.0811 to 0.1234 < 0.001 first, excludes 0"
    assert rows[1] == "PSNR dB 28.46 20.00 \N{MINUS SIGN}3.46 – – neither, no interval"
    assert len(rows) == 2
    assert not any("Compared with" in text for text in written(tmp_path).texts("h3"))


def test_every_metric_has_words_without_its_unit():
    for name in METRICS:
        words = label(name)
        assert words.better in DIRECTIONS
        assert not words.unit or not words.text.endswith(words.unit)
        assert words.text[0].isupper() or words.text == "tOF"
    assert label("new_metric").text == "new metric"
    assert shown("psnr", -1.0) == "\N{MINUS SIGN}1.00"
    assert shown("psnr", None) == "–"


def test_clips_are_sorted_worst_first_by_each_metric():
    clips = [{"hand_ssim": 0.9, "hand_pe": 3.0, "motion_ratio": 0.7}, {"hand_ssim": 0.2, "hand_pe": 1.0}, {}]
    clips[1]["motion_ratio"] = 1.2
    clips[2] = {"hand_pe": 2.0, "flicker": 1.0}
    orders = clip_orders(clips)
    assert next(iter(orders)) == "hand_ssim"
    assert orders["hand_ssim"] == [1, 0, 2]  # without a score last
    assert orders["hand_pe"] == [0, 2, 1]
    assert orders["motion_ratio"] == [0, 1, 2]  # 0.3 from one is worse than 0.2


# --- frames -----------------------------------------------------------------------------------------------------


def test_embedded_frames_are_the_clip_in_order(tmp_path):
    data = written(tmp_path, [make_clip("a")]).json("clip-0")
    assert (data["first"], data["frames"], data["fps"], data["size"]) == (0, FRAMES, 25.0, [48, 64])
    for frame in (0, 11, FRAMES - 1):
        for stream, grey in (("true", level(frame)), ("generated", level(frame, True)), ("pose", 255 - level(frame))):
            picture = decoded(data["streams"][stream][frame])
            assert picture.shape == (64, 48, 3)
            assert np.abs(picture.astype(int) - grey).max() <= 3
    assert np.abs(decoded(data["source"]).astype(int) - 200).max() <= 3


def test_undefined_values_are_gaps_and_infinite_ones_too(tmp_path):
    values = scores(7)
    values[[3, 5]] = np.nan, np.inf
    curve = written(tmp_path, [make_clip("a", per_frame={"psnr": values})]).json("clip-0")["curves"][0]
    assert [i for i, value in enumerate(curve["values"]) if value is None] == [3, 5]
    assert curve["values"][7] == 0.5
    assert (curve["worst"], curve["worst_word"], curve["overall"]) == (7, "Worst", 28.4567)


def test_long_clip_is_cut_around_its_worst_frame_and_the_page_says_so(tmp_path):
    page = written(tmp_path, [make_clip("a", worst=15, limits=Limits(frames=6))])
    data = page.json("clip-0")
    assert data["first"] == 12
    assert {name: len(stream) for name, stream in data["streams"].items()} == dict.fromkeys(
        ("true", "generated", "pose"), 6
    )
    assert data["cut"] == "Frames 12–17 of 24 are embedded."
    assert np.abs(decoded(data["streams"]["true"][0]).astype(int) - level(12)).max() <= 3
    assert len(data["curves"][0]["values"]) == FRAMES  # curves are whole
    assert any("6 of 24 frames" in text for text in page.texts("button"))


def test_page_never_holds_more_than_its_limit():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (FRAMES, 64, 48, 3)).astype(np.uint8)
    noise[:14] = 0  # the first frames are small
    pictures = make_clip("a", worst=13, generated=noise, true=noise, pose=None).pictures
    for kilobytes in (20, 40, 60):
        kept = trimmed(pictures, kilobytes * 1000)
        used = sum(len(text) for stream in kept.streams.values() for text in stream) + len(kept.source)
        assert used <= kilobytes * 1000
        assert kept.holds(13)
        assert 1 < kept.count < FRAMES
    assert trimmed(pictures, 0).count == 1  # a clip shows one frame at least


def test_large_frames_are_scaled_and_the_page_says_so(tmp_path):
    wide = flat([level(i) for i in range(8)], 400, 100)
    clip = make_clip("a", 1, 8, Limits(side=200), generated=wide, true=wide)
    data = written(tmp_path, [clip]).json("clip-0")
    assert data["size"] == [200, 50]
    assert decoded(data["streams"]["true"][0]).shape == (50, 200, 3)
    assert data["cut"] == "Shown at 200×50, scored at 400×100."


@pytest.mark.parametrize(
    ("frames", "worst", "length", "expected"),
    [(10, 5, 4, (3, 6)), (10, 0, 4, (0, 3)), (10, 9, 4, (6, 9)), (10, 9, 0, (9, 9)), (3, 1, 99, (0, 2))],
)
def test_span_keeps_the_worst_frame_and_stays_inside(frames, worst, length, expected):
    assert span(frames, worst, length) == expected


# --- the galleries of pictures --------------------------------------------------------------------------------------


def test_worst_frames_come_worst_first_and_apart():
    clips = [make_clip("a", worst=7), make_clip("b", worst=20)]
    clips[1].per_frame["ssim_wang"][20] = 0.1
    found = worst_frames(clips, 4)
    assert (found[0].clip, found[0].frame, found[0].score) == (1, 20, 0.1)
    assert (found[1].clip, found[1].frame) == (0, 7)
    assert [item.score for item in found] == sorted(item.score for item in found)
    for item in found:
        near = [o for o in found if o is not item and o.clip == item.clip and abs(o.frame - item.frame) < APART * 25]
        assert not near


def test_worst_hands_keep_to_embedded_frames_and_to_each_metric():
    black = np.zeros((4, 4, 3), np.uint8)
    hands = [HandCrop(f, "left", "hand_pe", float(f), black, black) for f in range(FRAMES)]
    clip = make_clip("a", worst=7, limits=Limits(frames=10), hands=[*make_clip("a").pictures.hands, *hands])
    found = worst_hands([clip], 3)
    assert [item.frame for item in found["hand_ssim"]][:1] == [7]
    assert found["hand_pe"][0].frame == 11  # the largest error among frames 2 to 11, not that of frame 23


def test_gallery_shows_the_crops_as_they_are(tmp_path):
    clip = make_clip("a")
    page = written(tmp_path, [clip])
    button = [text for attributes, text in page.all("button") if attributes.get("class") == "jump"]
    assert re.search(r"0\.5000\s+left hand, frame 7\s+a", "\n".join(button))
    pictures = [a["src"].split(",")[1] for a, _ in page.all("img", width="20", height="20")]
    worst = next(hand for hand in clip.pictures.hands if hand.frame == 7)
    assert np.array_equal(decoded(pictures[0]), worst.true)
    assert np.array_equal(decoded(pictures[1]), worst.generated)


# --- gathered while a clip is scored ----------------------------------------------------------------------------


@pytest.mark.parametrize("worst", [0, 3, 11, 19, 23])
@pytest.mark.parametrize("length", [1, 6, 24, 99])
def test_album_keeps_the_frames_around_the_worst_one(worst, length):
    pictures = make_clip("a", worst=worst, limits=Limits(frames=length)).pictures
    assert pictures.worst == worst
    assert (pictures.first, pictures.last) == span(FRAMES, worst, length)
    for index, text in enumerate(pictures.streams["generated"]):
        assert np.abs(decoded(text).astype(int) - level(pictures.first + index, True)).max() <= 3


def test_album_keeps_the_worst_hands_and_their_crops():
    rng = np.random.default_rng(0)
    true, pred = rng.integers(0, 256, (2, 40, 80, 70, 3), dtype=np.uint8)
    xy, scores = rng.uniform(0, 80, (40, 133, 2)), rng.random((40, 2))
    scores[5] = np.nan
    album = Album(40, Limits())
    for start in range(0, 40, 16):
        part = slice(start, start + 16)
        album.add(
            Chunk(pred[part], true[part], xy[part], start=start), {"psnr": np.ones(len(pred[part]))}, scores[part]
        )
    hands = album.pictures().hands
    assert [hand.score for hand in hands] == sorted(scores[~np.isnan(scores)])[:24]
    for hand in hands:
        side = ("left", "right").index(hand.side)
        assert scores[hand.frame, side] == hand.score
        assert np.array_equal(hand.true, hand_crop(true[hand.frame], tuple(xy[hand.frame, (100, 121)[side]])))
        assert hand.generated.shape == hand.true.shape
