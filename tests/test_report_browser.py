"""The report in a real browser: it is opened from disk, played, clicked and typed at, and its pixels are read.

Needs playwright and a Chromium, whose path may be given as SIGNGEN_CHROMIUM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browsers
import pytest
from report_maker import FRAMES, HOSTILE, OFFSET, level, make_clip, make_result, write_report

from signgen.scoring.report.pictures import Limits

CLOSE = 4  # levels that WebP may be off
PHONE = {"width": 360, "height": 740}
PATIENCE = 60_000  # ms after which a test gives up
AHEAD = 12  # frames that the page decodes after the one that is due


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Three clips: ``b`` is the worst by its second metric, ``c`` is cut to frames 12 to 17."""
    clips = [make_clip("a", worst=7), make_clip("b", worst=20), make_clip("c", worst=15)]
    path = tmp_path_factory.mktemp("report") / "report of #1?.html"
    return write_report(path, make_result(["a", "b", "c"], against=True), clips)


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """A page of its own, which must have asked for nothing but the file and must have complained about nothing."""
    with browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        yield page
        assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
        assert complaints == []


@pytest.fixture
def page(browser, report) -> Iterator[Any]:
    with opened(browser, report) as page:
        drawn(page, 0)
        yield page


def drawn(page: Any, frame: int) -> None:
    """Waits until a frame is on the canvases; then slider, text, curves and every pixel must agree with it."""
    page.wait_for_selector(f'#stage[data-drawn="{frame}"]')
    assert page.input_value("#frame") == str(frame)
    assert page.inner_text("#readout").startswith(f"frame {frame} / ")
    cursors = page.eval_on_selector_all(".cursor", "lines => lines.map(line => line.getAttribute('d'))")
    assert cursors == [f"M{frame + 0.5} 0V100"] * 2
    for panel, expected in (
        ("true", level(frame)),
        ("generated", level(frame, True)),
        ("pose", 255 - level(frame)),
        ("source", 200),
    ):
        assert abs(grey(page, panel) - expected) <= CLOSE, f"{panel} does not show frame {frame}"


def grey(page: Any, panel: str) -> float:
    """Mean grey of a canvas; fails where its pixels are not all alike."""
    low, high = page.evaluate(
        """panel => {
            const canvas = document.querySelector(`#stage [data-panel="${panel}"] canvas`);
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            const greys = data.filter((value, index) => index % 4 < 3);
            return [Math.min(...greys), Math.max(...greys)];
        }""",
        panel,
    )
    assert high - low <= 2 * CLOSE
    return (low + high) / 2


def click_curve(page: Any, metric: str, frame: int) -> None:
    box = in_sight(page, metric)
    page.mouse.click(box["x"] + box["width"] * (frame + 0.5) / FRAMES, box["y"] + box["height"] / 2)


def in_sight(page: Any, metric: str) -> dict[str, float]:
    """Scrolls a curve to the lower end of the window, where nothing covers it, and says where it is."""
    curve = page.locator(f'.curve[data-metric="{metric}"] svg')
    curve.evaluate("one => one.scrollIntoView({ block: 'end' })")
    return curve.bounding_box()


def until(page: Any, condition: str) -> None:
    """Waits for a condition; the page's own policy forbids playwright's way of doing that, which evaluates in it."""
    for _ in range(PATIENCE // 50):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def stop_the_clock(page: Any) -> None:
    """From here on the page's time passes only in ``page.clock.run_for``; an hour ahead, so that no machine is late."""
    page.clock.install(time=0)
    page.clock.pause_at(3_600_000)


def hold_pictures(page: Any) -> None:
    """Nothing is decoded until ``openGate()``; ``decoded`` counts what is decoded after it."""
    page.evaluate(
        """() => {
            const decode = window.createImageBitmap;
            const gate = new Promise((open) => (window.openGate = open));
            window.decoded = 0;
            window.createImageBitmap = async (blob) => {
                await gate;
                const bitmap = await decode(blob);
                window.decoded += 1;
                return bitmap;
            };
        }"""
    )


def test_buttons_step_and_stop_at_the_ends(page):
    page.click("#next")
    drawn(page, 1)
    page.click("#back")
    page.click("#back")
    drawn(page, 0)
    page.click("#last")
    drawn(page, FRAMES - 1)
    page.click("#next")
    drawn(page, FRAMES - 1)
    page.click("#first")
    drawn(page, 0)


def test_plays_at_the_rate_of_the_clip_and_at_a_quarter_of_it(browser, report):
    with opened(browser, report) as page:
        for frame in range(FRAMES):  # decodes them all, so that only the clock decides what is shown
            page.locator("#frame").fill(str(frame))
            drawn(page, frame)
        page.click("#first")
        drawn(page, 0)
        stop_the_clock(page)
        page.click("#play")
        assert page.get_attribute("#play", "aria-label") == "Pause"
        page.clock.run_for(230)  # 5.75 frames at 25 a second
        drawn(page, 5)
        page.select_option("#speed", "0.25")
        page.clock.run_for(560)  # 3.5 frames more, and what was left over
        drawn(page, 9)
        page.click("#play")
        page.clock.run_for(2000)
        drawn(page, 9)
        assert page.get_attribute("#play", "aria-label") == "Play"


def test_loops_when_asked_and_else_stops_at_the_end(browser, report):
    with opened(browser, report) as page:
        for frame in range(FRAMES):
            page.locator("#frame").fill(str(frame))
            drawn(page, frame)
        stop_the_clock(page)
        page.click("#play")  # from the last frame on it starts over
        page.clock.run_for(1000)
        page.clock.run_for(100)
        assert int(page.get_attribute("#stage", "data-drawn")) in (2, 3)
        page.uncheck("#loop")
        page.clock.run_for(2000)
        drawn(page, FRAMES - 1)
        assert page.get_attribute("#play", "aria-label") == "Play"


def test_waits_for_pictures_rather_than_skipping_any(browser, report):
    with opened(browser, report) as page:
        drawn(page, 0)
        hold_pictures(page)
        stop_the_clock(page)
        page.click("#play")
        page.clock.run_for(2000)  # fifty frames are due, and none is there
        drawn(page, 0)
        page.evaluate("window.openGate()")
        until(page, f"window.decoded === 3 * {AHEAD + 1}")  # of the frame that is due, too
        page.clock.run_for(20)
        drawn(page, 1)


def test_curve_shows_values_gaps_and_the_worst_frame(page):
    assert page.eval_on_selector_all(".curve", "all => all.map(curve => curve.dataset.metric)") == [
        "ssim_wang",
        "hand_ssim",
    ]
    strokes = page.get_attribute('.curve[data-metric="hand_ssim"] .line', "d").split("M")[1:]
    assert [float(stroke.split()[0]) for stroke in strokes] == [0.5, 4.5, 6.5]
    assert [stroke.count("L") for stroke in strokes] == [1, 0, FRAMES - 7]
    assert page.locator('.curve[data-metric="ssim_wang"] .overall').count() == 0
    assert page.locator('.curve[data-metric="hand_ssim"] .overall').count() == 1
    label = page.get_attribute('.curve[data-metric="hand_ssim"] svg', "aria-label")
    assert label.startswith("Hand SSIM, 24 frames, from 0.5000 to ")
    assert label.endswith("worst at frame 7")


def test_click_in_a_curve_moves_everything_there(page):
    click_curve(page, "hand_ssim", 17)
    drawn(page, 17)
    assert "0.6667" in page.inner_text('.curve[data-metric="hand_ssim"] .curve-value')
    click_curve(page, "hand_ssim", 3)
    drawn(page, 3)
    page.mouse.move(5, 5)
    assert page.inner_text('.curve[data-metric="hand_ssim"] .curve-value') == "not defined"


def test_drag_in_a_curve_scrubs_and_hover_only_tells(page):
    box = in_sight(page, "ssim_wang")
    unit, y = box["width"] / FRAMES, box["y"] + 20
    page.mouse.move(box["x"] + 7.5 * unit, y)
    assert page.inner_text('.curve[data-metric="ssim_wang"] .curve-value') == "frame 7 0.5000"
    drawn(page, 0)
    page.mouse.down()
    page.mouse.move(box["x"] + 12.5 * unit, y, steps=4)
    drawn(page, 12)
    page.mouse.move(box["x"] - 40, y)  # beyond the curve, still held
    page.mouse.up()
    drawn(page, 0)


def test_worst_button_goes_to_the_worst_frame(page):
    page.click('.curve[data-metric="ssim_wang"] .worst')
    drawn(page, 7)
    assert page.inner_text("#said") == "a, frame 7"


def test_keys(page):
    page.focus("#stage")
    for key, frame in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", FRAMES - 1),
        ("Shift+ArrowLeft", FRAMES - 11),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        drawn(page, frame)
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Play"


def test_keys_leave_other_controls_alone(page):
    page.focus("#gain")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#gain") == "5"
    page.focus("#loop")
    page.keyboard.press("Space")
    assert not page.is_checked("#loop")
    assert page.get_attribute("#play", "aria-label") == "Play"
    page.focus(".definition summary")
    page.keyboard.press("End")
    drawn(page, 0)
    page.focus("#frame")
    page.keyboard.press("ArrowRight")
    drawn(page, 1)


def test_every_control_is_reached_by_tab_and_its_focus_is_seen(page):
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
                const at = document.activeElement;
                return [at.id || at.className || at.tagName, getComputedStyle(at).outlineStyle];
            }"""
        )
        if name == "BODY":
            break
        reached.append(name)
        assert outline != "none", f"{name} hides its focus"
    order = ["skip", "sort", "clip", "stage", "play", "frame", "speed", "gain", "worst", "jump"]
    assert [reached.index(name) for name in order] == sorted(reached.index(name) for name in order)


def test_difference_follows_the_gain(page):
    assert abs(grey(page, "difference") - 4 * OFFSET) <= 4 * 2
    page.locator("#gain").fill("10")
    assert abs(grey(page, "difference") - 10 * OFFSET) <= 10 * 2
    assert "white from 26 levels" in page.inner_text("#gain-value")


def test_panels_can_be_put_away(page):
    page.uncheck('input[data-panel="pose"]')
    assert not page.is_visible('#stage [data-panel="pose"]')
    page.uncheck('input[data-panel="difference"]')
    page.click("#next")
    page.check('input[data-panel="difference"]')
    drawn(page, 1)
    assert abs(grey(page, "difference") - 4 * OFFSET) <= 4 * 2


def test_picture_of_the_gallery_opens_its_clip_and_frame(page):
    page.click('.jump[data-clip="1"][data-frame="20"] >> nth=0')
    drawn(page, 20)
    assert page.inner_text("#clip-title") == "b"
    assert page.evaluate("document.activeElement.id") == "stage"
    assert page.get_attribute("#clip-list li[data-clip='1'] button", "aria-pressed") == "true"
    assert page.get_attribute("#clip-list li[data-clip='0'] button", "aria-pressed") == "false"
    until(page, "document.getElementById('stage').getBoundingClientRect().top < innerHeight / 2")


def test_clips_are_chosen_and_sorted(page):
    listed = "all => all.map(one => one.innerText.split('\\n').slice(0, 2).join(' '))"
    assert page.eval_on_selector_all(".clip", listed) == ["a 0.5000", "b 0.6000", "c 0.7000"]
    page.select_option("#sort", "psnr")
    assert page.eval_on_selector_all(".clip", listed) == ["c 28.00 dB", "b 29.00 dB", "a 30.00 dB"]
    page.click(".clip >> nth=1")
    drawn(page, 0)
    assert page.inner_text("#clip-title") == "b"


def test_another_clip_counts_as_drawn_only_when_its_pictures_are_there(page):
    hold_pictures(page)
    page.click(".clip >> nth=1")
    assert page.inner_text("#clip-title") == "b"
    assert page.get_attribute("#stage", "data-drawn") is None
    assert [grey(page, panel) for panel in ("true", "generated", "pose")] == [0, 0, 0]
    assert page.get_attribute('#stage [data-panel="true"] canvas', "aria-label") == "Truth"
    page.evaluate("window.openGate()")
    drawn(page, 0)


def test_cut_clip_stays_inside_what_is_embedded(browser, tmp_path):
    clip = make_clip("c", worst=15, limits=Limits(frames=6), pose=None)
    path = write_report(tmp_path / "r.html", make_result(["c"]), [clip])
    with opened(browser, path) as page:
        page.wait_for_selector('#stage[data-drawn="12"]')
        assert page.inner_text("#clip-cut") == "Frames 12–17 of 24 are embedded."
        assert not page.is_visible('#stage [data-panel="pose"]')
        click_curve(page, "ssim_wang", 2)
        page.wait_for_selector('#stage[data-drawn="12"]')
        click_curve(page, "ssim_wang", 22)
        page.wait_for_selector('#stage[data-drawn="17"]')
        assert abs(grey(page, "true") - level(17)) <= CLOSE
        greyed = page.eval_on_selector_all(
            ".curve >> nth=0 >> .outside", "all => all.map(r => r.getAttribute('width'))"
        )
        assert greyed == ["12", "6"]


def test_fits_a_phone(browser, report):
    with opened(browser, report, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        drawn(page, 0)
        page.eval_on_selector_all("details", "all => all.forEach(one => (one.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        wide = page.evaluate(
            """() => [...document.querySelectorAll("body *")]
                .filter(one => !one.closest(".scroll, .sr, .skip, thead"))
                .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
                .map(one => one.tagName + "." + one.className)"""
        )
        assert wide == []
        small = page.evaluate(
            """() => [...document.querySelectorAll(".controls button, .clip, select")]
                .filter(one => one.getBoundingClientRect().height < 40).map(one => one.id)"""
        )
        assert small == []
        page.tap("#next")
        drawn(page, 1)


def test_dark_mode_reduced_motion_and_paper(browser, report):
    luminance = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b) / 3"
    with opened(browser, report, color_scheme="dark", reduced_motion="reduce") as page:
        drawn(page, 0)
        assert page.evaluate(luminance) < 40
        assert not page.is_checked("#loop")
    with opened(browser, report, color_scheme="light") as page:
        drawn(page, 0)
        assert page.evaluate(luminance) > 240
        assert page.is_checked("#loop")
        page.emulate_media(media="print")
        assert not page.is_visible(".controls")
        assert page.is_visible("#stage canvas >> nth=0")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.is_visible(".definition details code >> nth=0")
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert page.locator("details[open]").count() == 0


def test_names_of_strangers_run_nothing(browser, tmp_path):
    clip = make_clip(HOSTILE, per_frame={HOSTILE: make_clip("a").per_frame["ssim_wang"]})
    result = make_result([HOSTILE], metrics={HOSTILE: 1.0}, warnings=(HOSTILE,), signatures={HOSTILE: HOSTILE})
    path = write_report(tmp_path / "r.html", result, [clip], title=HOSTILE, choice=HOSTILE)
    with opened(browser, path) as page:
        page.wait_for_selector('#stage[data-drawn="0"]')
        page.click(".worst")
        assert page.evaluate("window.pwned") is None
        assert "onerror" in page.inner_text("#clip-title")
        assert page.locator("img[src=x]").count() == 0


def test_page_without_clips_or_scores_still_opens(browser, tmp_path):
    bare = write_report(tmp_path / "bare.html", make_result([]))
    with opened(browser, bare) as page:
        assert page.locator("#viewer").count() == 0
        assert page.is_visible("table.scores")
    alone = make_clip("a", 7, source=None, pose=None, per_frame={}, hands=())
    with opened(browser, write_report(tmp_path / "alone.html", make_result([]), [alone])) as page:
        page.wait_for_selector('#stage[data-drawn="0"]')
        assert page.locator(".curve").count() == 0
        assert page.locator(".jump").count() == 0
