"""The page in a real browser: files are uploaded, rendered, played, fetched and scored; attacks are tried.

Needs Gradio, playwright and a Chromium, whose path may be given as SIGNGEN_CHROMIUM.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browsers
import numpy as np
import pytest
from PIL import Image
from tiny_pipeline import save_pipeline

from signgen.app.clips import EXAMPLES
from signgen.app.context import COOKIE
from signgen.app.server import _composes
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.video import VideoWriter, probe, read_frames

PHONE = {"width": 390, "height": 844}
PATIENCE = 120_000  # ms after which a test gives up
PART = 9  # frames rendered
LONG = 1500  # frames that no machine renders while a button is clicked
ONE, OTHER = "one-visitors-key-of-32-characters", "another-visitors-key-of-as-many"
PLAYER = "document.querySelector('.sg-player').dataset"


@contextmanager
def served(tmp_path_factory, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A server of its own, on a free port, perhaps still starting: the browser can start meanwhile."""
    for package in ("gradio", "playwright"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    browsers.chromium()
    folder = tmp_path_factory.mktemp("app")
    log = tmp_path_factory.mktemp("log") / "stderr.txt"  # no pipe: one that nobody reads fills up
    command = [sys.executable, "-m", "signgen", "app", "--port", "0", "--json", "--max-frames", str(LONG), *options]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (
        log.open("w") as stream,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True, env=environment) as server,
    ):
        server.log = log
        try:
            yield server
        finally:
            server.terminate()
            server.communicate(timeout=60)
    errors = log.read_text()
    assert server.returncode == 0, errors
    assert f"signgen{os.sep}app{os.sep}" not in errors, errors  # no callback of ours failed
    assert list(folder.glob(".signgen-*")) == []  # uploads and results are gone


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[subprocess.Popen[str]]:
    with served(tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def browser(server) -> Iterator[Any]:
    with browsers.browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def address(server, browser) -> str:
    """Where the page is, as soon as it is there."""
    line = server.stdout.readline()
    if not line:
        pytest.fail(f"the server did not start: {server.log.read_text()}")
    return json.loads(line)["url"]


@pytest.fixture(scope="module")
def desk(browser) -> Iterator[Any]:
    """One user's browser; each test has a page of its own in it, and what is fetched stays in its cache."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context


@contextmanager
def opened(context: Any, address: str) -> Iterator[Any]:
    """The page, which must have asked nobody but its server and must have complained about nothing."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.wait_for_selector(".sg-player")
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert complaints == []


@pytest.fixture
def page(desk, address) -> Iterator[Any]:
    with opened(desk, address) as page:
        yield page


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """The first example as a user's own file in another format."""
    path = tmp_path_factory.mktemp("own") / "clip.json"
    write_keypoints(read_keypoints(EXAMPLES[0].path).keypoints, path)
    return path


def until(page: Any, condition: str) -> None:
    page.wait_for_function(condition, timeout=PATIENCE)


def until_status(page: Any, text: str) -> None:
    """Waits until the status of the render says so; the page updates its parts one after the other."""
    until(page, f"document.querySelector('#render-status').innerText.includes({json.dumps(text)})")


def colours(page: Any, canvas: str) -> int:
    """How many different colours a canvas of the player shows."""
    return page.evaluate(
        """name => {
            const canvas = document.querySelector(`.sg-player [data-sg="${name}"]`);
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(data.buffer)).size;
        }""",
        canvas,
    )


def upload(page: Any, field: str, *paths: Path) -> None:
    page.set_input_files(f"#{field} input[type=file]", [str(path) for path in paths])


def fetched(page: Any, button: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.click(f"#{button}")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_uploaded_file_is_shown_rendered_played_and_fetched(page, sample, tmp_path):
    upload(page, "keypoints", sample)
    until(page, f"{PLAYER}.state === 'skeleton'")
    until_status(page, f"{len(read_keypoints(sample).keypoints)} frames")
    assert colours(page, "pose") > 20
    until(page, f"Number({PLAYER}.frame) > 2")  # it moves
    assert page.inner_text("[data-sg=hint]") == "Press Render"

    page.click("text=Options")
    page.get_by_label("Part", exact=True).fill(f"10:{10 + PART}")
    page.get_by_label("Bela").check(force=True)
    page.click("#render")
    until(page, f"Number({PLAYER}.rendered) > 0 && Number({PLAYER}.frame) > 1")
    assert colours(page, "video") > 200
    page.wait_for_selector("#results video", state="visible")
    until(page, f"{PLAYER}.state === 'whole'")
    assert page.evaluate(f"{PLAYER}.rendered") == str(PART)
    until_status(page, "This video is generated.")

    page.evaluate("document.querySelector('#video video').play()")
    until(page, "document.querySelector('#video video').currentTime > 0.05")
    assert page.evaluate("document.querySelector('#video video').videoWidth") == 210

    video, compare = fetched(page, "get-video", tmp_path), fetched(page, "get-compare", tmp_path)
    assert (probe(video).frames, probe(video).size) == (PART, (210, 260))
    assert (probe(compare).frames, probe(compare).size) == (PART, (630, 260))
    text = fetched(page, "get-manifest", tmp_path).read_text()
    manifest = json.loads(text)
    assert (manifest["generated"], manifest["source"], manifest["output"]) == (True, "bela", video.name)
    assert manifest["configuration"]["frames"] == [10, 10 + PART]
    assert ".signgen-" not in text
    with zipfile.ZipFile(fetched(page, "get-poses", tmp_path)) as poses:
        assert poses.namelist() == [f"images{number:04d}.png" for number in range(1, PART + 1)]


def test_example_is_rendered_by_one_click(page):
    page.click("#example-1")
    until(page, f"Number({PLAYER}.rendered) > 0")
    page.wait_for_selector(f"#signer input[value={EXAMPLES[1].signer}]:checked", state="attached")


def test_render_is_stopped(page, tmp_path):
    clip = read_keypoints(EXAMPLES[1].path).keypoints
    every = np.arange(LONG) % len(clip)
    long = Keypoints(clip.xy[every], clip.confidence[every], clip.width, clip.height, clip.fps, "long")
    write_keypoints(long, tmp_path / "long.npz")
    upload(page, "keypoints", tmp_path / "long.npz")
    until_status(page, f"{LONG} frames")
    page.click("#render")
    until(page, f"Number({PLAYER}.rendered) > 0")
    page.wait_for_selector("#render:disabled")
    page.click("#stop")
    until(page, f"{PLAYER}.state === 'part'")
    until_status(page, "Stopped")
    page.wait_for_selector("#render:enabled")
    page.wait_for_selector("#stop", state="hidden")
    assert not page.is_visible("#results")


def test_page_is_used_by_keyboard(page):
    page.focus("#signer input[value=alma]:checked")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#signer input[value=bela]:checked", state="attached")
    page.focus("#example-2")
    page.keyboard.press("Enter")
    until(page, f"Number({PLAYER}.rendered) > 1")
    page.focus("[data-sg=play]")
    page.keyboard.press("Space")
    assert page.inner_text("[data-sg=play]") == "Play"
    before = page.evaluate(f"{PLAYER}.frame")
    page.focus("[data-sg=seek]")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{PLAYER}.frame") == "1", before
    page.wait_for_selector("#render:enabled")  # the render ends, now or before


def test_everything_has_a_name_for_screen_readers(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, canvas, iframe, video")]
            .filter(one => one.checkVisibility())
            .filter(one => !(one.innerText || one.ariaLabel || one.title || one.labels?.length || one.closest("label")))
            .map(one => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_bad_file_is_one_clear_line_and_the_next_takes_its_place(page, tmp_path):
    bad = tmp_path / "notes.json"
    bad.write_text('{"hello": 1}')
    upload(page, "keypoints", bad)
    words = page.wait_for_selector("#render-status [role=alert]").inner_text()
    assert words.startswith("notes.json: JSON that is not keypoints")
    assert "/" not in words.split(";")[0]
    page.click("#render")
    until_status(page, "nothing is chosen yet")
    for example in (EXAMPLES[0], EXAMPLES[1], EXAMPLES[0]):
        upload(page, "keypoints", example.path)
        until_status(page, f"{Path(example.file).stem}: ")
        until(page, f"{PLAYER}.state === 'skeleton'")
        until(page, "document.querySelectorAll('#keypoints a[download]').length === 1")


def test_the_last_choice_of_a_signer_wins(page, tmp_path):
    Image.fromarray(np.full((104, 84, 3), 90, np.uint8)).save(tmp_path / "me.png")
    chosen = "document.querySelector('#signer input:checked')?.value"
    until(page, f"{chosen} === 'alma'")
    page.click("text=Use a picture of your own")
    upload(page, "picture", tmp_path / "me.png")
    assert "me.png is used" in page.wait_for_selector(".sg-picture").inner_text()
    until(page, f"{chosen} === undefined")
    page.get_by_label("Bela").check(force=True)
    page.wait_for_selector(".sg-picture", state="detached")
    until(page, f"{chosen} === 'bela'")
    page.locator("#picture").get_by_text("me.png").wait_for(state="detached")
    Image.fromarray(np.full((104, 84, 3), 60, np.uint8)).save(tmp_path / "side.png")
    upload(page, "picture", tmp_path / "me.png", tmp_path / "side.png")
    page.wait_for_selector(".sg-picture img:nth-of-type(2)")
    assert "me.png, side.png are used" in page.inner_text(".sg-picture")


def test_another_background_is_offered_where_the_model_composes(page, browser, tmp_path_factory, tmp_path):
    assert page.locator("#background").count() == 1  # the model that ships does
    assert not _composes(save_pipeline(tmp_path_factory.mktemp("plain") / "tiny"))
    model = save_pipeline(tmp_path_factory.mktemp("composing") / "tiny", refined=True, composed=True)
    Image.fromarray(np.full((50, 40, 3), (200, 30, 60), np.uint8)).save(tmp_path / "studio.png")
    with served(tmp_path_factory, "--model", str(model)) as server, browser.new_context() as context:
        with opened(context, json.loads(server.stdout.readline())["url"]) as page:
            upload(page, "keypoints", EXAMPLES[0].path)
            until(page, f"{PLAYER}.state === 'skeleton'")
            page.click("text=Options")
            page.get_by_label("Part", exact=True).fill("0:3")
            assert not page.is_visible("#background-colour")

            def rendered(choice: str) -> dict[str, Any]:
                page.get_by_label(choice, exact=True).check()
                shown = "(document.querySelector('#video video')?.currentSrc ?? '')"
                before = page.evaluate(shown)
                page.click("#render")
                until(page, f"{shown} && {shown} !== {json.dumps(before)}")  # each job has a folder of its own
                page.wait_for_selector("#render:enabled")
                until_status(page, "This video is generated.")
                manifest = json.loads(fetched(page, "get-manifest", tmp_path).read_text())
                video = fetched(page, "get-video", tmp_path)
                assert video.name == manifest["output"]
                first = next(read_frames(video))  # the next video has the same name
                return {"background": manifest["configuration"]["background"], "video": video, "frame": first}

            nothing = rendered("None")
            assert (nothing["background"], nothing["video"].suffix) == ("none", ".webm")
            until(page, "document.querySelector('#video video').videoWidth > 0")
            page.get_by_label("A picture", exact=True).check()
            page.wait_for_selector("#background-picture", state="visible")
            page.click("#render")
            until_status(page, "“Background”: no picture is chosen yet")
            upload(page, "background-picture", tmp_path / "studio.png")
            page.locator("#background-picture").get_by_text("studio.png").wait_for()
            picture = rendered("A picture")
            assert (picture["background"], picture["video"].suffix) == ("studio.png", ".mp4")
            page.get_by_label("A colour", exact=True).check()
            page.wait_for_selector("#background-colour", state="visible")
            page.wait_for_selector("#background-picture", state="hidden")
            colour = rendered("A colour")
            assert colour["background"] == "#00b140"
            assert rendered("The signer's own")["background"] == "source"
        assert (picture["frame"] != colour["frame"]).any()


def test_a_person_is_learned_with_consent_alone_and_from_a_video_that_is_long_enough(page, tmp_path):
    with VideoWriter(tmp_path / "anna.mp4", (210, 260), 25) as writer:
        for _ in range(10):
            writer.write(np.full((260, 210, 3), 90, np.uint8))
    page.get_by_role("tab", name="Your own signer").click()
    upload(page, "person", tmp_path / "anna.mp4")
    page.locator("#person").get_by_text("anna.mp4").wait_for()
    page.click("#learn")
    said = page.wait_for_selector("#learn-status [role=alert]").inner_text()
    assert said == "“Who agreed, and to what”: is not given; write it, and tick that the person agreed"
    page.fill("#consent textarea", "Anna, for this test")
    page.check("#agreed input")
    page.click("#learn")
    until(page, "document.querySelector('#learn-status').innerText.includes('has 10 frames')")
    assert page.inner_text("#learn-status").startswith("anna.mp4: has 10 frames; give 24 to 20000")


def test_two_videos_are_scored(page, tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (4, 64, 64, 3), dtype=np.uint8).repeat(2, axis=0)
    for name, change in (("made.mp4", 30), ("true.mp4", 0)):
        with VideoWriter(tmp_path / name, (64, 64), 25) as writer:
            for frame in frames:
                writer.write(np.clip(frame.astype(int) + change, 0, 255).astype(np.uint8))
    page.get_by_role("tab", name="Score").click()
    upload(page, "generated", tmp_path / "made.mp4")
    upload(page, "reference", tmp_path / "true.mp4")
    until(page, "document.querySelectorAll('#generated a, #reference a').length >= 2")
    page.click("#score")
    page.wait_for_selector(".sg-scores", state="visible")
    assert "SSIM wang" in page.inner_text(".sg-scores")
    report = page.frame_locator(".sg-report")
    report.locator("#stage[data-drawn]").wait_for()
    text = fetched(page, "get-report", tmp_path).read_text()
    assert "made.mp4 against true.mp4" in text
    assert ".signgen-" not in text


def test_fits_a_phone(browser, address):
    phone = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    with phone as context, opened(context, address) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        small = page.evaluate(
            """() => [...document.querySelectorAll("#example-0, #render, [data-sg=play], #signer label")]
                .filter(one => one.getBoundingClientRect().height < 40).map(one => one.outerHTML.slice(0, 80))"""
        )
        assert small == []


# --- attacks --------------------------------------------------------------------------------------------------------


def ask(address: str, path: str, data: object = None, key: str = "", **headers: str) -> tuple[int, str]:
    """Status and text of an answer."""
    body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    cookie = {"Cookie": f"{COOKIE}={key}"} if key else {}
    request = urllib.request.Request(address + path, body, {"Content-Type": "application/json", **cookie, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def sent(address: str, key: str, name: str, content: bytes, **headers: str) -> tuple[int, str]:
    """Sends a file as the page does; status, and its path on the server or why it is not taken."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    status, text = ask(address, "gradio_api/upload", head.encode() + content + b"\r\n--x--\r\n", key, **kind, **headers)
    return status, json.loads(text)[0] if status == 200 else text


def test_no_file_of_the_machine_is_served(address, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("top secret")
    for path in (
        f"gradio_api/file={secret}",
        f"gradio_api/file=../{secret}",
        f"live/{secret}",
        f"report/..%2f{secret}",
    ):
        for key in ("", ONE):
            status, text = ask(address, path, key=key)
            assert status in (403, 404), path
            assert "top secret" not in text


def test_a_file_is_for_its_visitor_alone(address):
    status, path = sent(address, ONE, "a.json", b"mine")
    assert status == 200
    assert ask(address, f"gradio_api/file={path}", key=ONE) == (200, "mine")
    for key in ("", OTHER):
        status, text = ask(address, f"gradio_api/file={path}", key=key)
        assert status in (403, 404)
        assert "mine" not in text
    named = {"path": path, "meta": {"_type": "gradio.FileData"}}
    call = {"data": [[named]], "fn_index": 0, "session_hash": "other"}
    assert ask(address, "gradio_api/queue/join", call, OTHER)[0] == 403
    assert ask(address, "gradio_api/queue/join", call, ONE)[0] != 403


def test_no_file_of_the_machine_is_read(address, tmp_path):
    """A made-up request that names a file that nobody uploaded."""
    secret = tmp_path / "secret.json"
    secret.write_text('{"version": 1.3, "people": []}')
    named = {"path": str(secret), "orig_name": "secret.json", "meta": {"_type": "gradio.FileData"}}
    for number in range(4):
        call = {"data": [[named], None], "fn_index": number, "session_hash": "made-up"}
        assert ask(address, "gradio_api/queue/join", call, ONE)[0] == 403


def test_another_name_for_this_machine_is_refused(address):
    assert ask(address, "", Host="evil.example")[0] == 421
    assert ask(address, "gradio_api/info", Host="evil.example:80")[0] == 421


def test_another_website_cannot_send_files(browser, address, tmp_path):
    """A page of another origin, in a browser that has been on ours."""
    (tmp_path / "evil.html").write_text(
        f"""<form method="post" enctype="multipart/form-data" action="{address}gradio_api/upload" target="seen">
        <textarea name="files">x</textarea></form><iframe name="seen"></iframe>
        <script>fetch("{address}gradio_api/upload", {{method: "POST", mode: "no-cors", credentials: "include",
        body: new FormData(document.forms[0])}}).finally(() => document.forms[0].submit())</script>"""
    )
    with browser.new_context() as context:
        context.new_page().goto(address)
        answers: list[int] = []
        page = context.new_page()
        page.on("response", lambda answer: answers.append(answer.status) if "upload" in answer.url else None)
        page.goto((tmp_path / "evil.html").as_uri())
        end = time.monotonic() + PATIENCE / 1000
        while not answers and time.monotonic() < end:
            page.wait_for_timeout(100)
        page.wait_for_timeout(500)  # the form's answer, too
    assert answers
    assert set(answers) == {403}
    assert sent(address, ONE, "a", b"x", Origin="http://evil.example")[0] == 403
    assert sent(address, ONE, "a", b"x", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert sent(address, ONE, "a", b"x", Origin=address.rstrip("/"))[0] == 200


def test_routes_that_the_page_does_not_need_are_closed(address):
    for path in ("config", "gradio_api/info", "gradio_api/process_recording", "gradio_api/openapi.json", "monitoring"):
        assert ask(address, path, key=ONE)[0] == 404
        assert ask(address, path, {}, key=ONE)[0] == 404
