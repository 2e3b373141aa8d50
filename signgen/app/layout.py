"""The page: what is where, and which callback belongs to what."""

from __future__ import annotations

import json
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from signgen.app.clips import EXAMPLES
from signgen.app.context import MIB, Context, Limits
from signgen.app.learning import LONGEST
from signgen.app.live import data_url, strokes
from signgen.app.tabs import BACKGROUNDS, LearnTab, RenderTab, ScoreTab
from signgen.rendering.several import MOST_SOURCES

ASSETS = Path(__file__).parent / "assets"
TITLE = "signgen: keypoints to sign-language video"
_HEAD = """<header class="sg-head"><h1>Keypoints in, sign-language video out</h1>
<p>Give a keypoint file of any common pose estimator, choose who signs it, and watch the video being made.</p>
<p class="sg-notice"><strong>Every video made here is generated.</strong> It is no recording of the person shown, and
file and manifest say so. Do not pass it off as one, and show real people only with their consent.</p></header>"""
_FOOT = """<footer class="sg-foot">Files stay on the machine that serves this page: in a temporary folder, for
{minutes} minutes at most. Nothing is sent anywhere else. Small models place body, arms, hands and face where the
keypoints are; fluent signers should judge what is shown to others.</footer>"""
_FORMATS = "MMPose, OpenPose, RTMLib or COCO-WholeBody JSON, .pose, .skels, .npz, .npy, pickles of known projects"
_CALL: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}  # of every callback
Parts = dict[str, Any]


def asset(name: str) -> str:
    """A text file of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def build_page(context: Context) -> gr.Blocks:
    """The page, not yet served."""
    kept = context.limits.kept_seconds
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(_HEAD, apply_default_css=False)
        with gr.Tabs():
            with gr.Tab("Render"):
                _render_tab(page, context)
            with gr.Tab("Score"):
                _score_tab(context)
            with gr.Tab("Your own signer"):
                _learn_tab(context)
        gr.HTML(_FOOT.format(minutes=round(kept / 60)), apply_default_css=False)
    page.queue(default_concurrency_limit=None, max_size=4 * context.limits.waiting, api_open=False)
    page.max_threads = 40 + 4 * context.limits.waiting  # one for each job that waits or is followed
    return page


# --- first tab ------------------------------------------------------------------------------------------------------


def _render_tab(page: gr.Blocks, context: Context) -> None:
    kept = context.limits.kept_seconds
    parts: Parts = {
        "clip": gr.State(time_to_live=kept),
        "known": gr.State([], time_to_live=kept),
        "person": gr.State(time_to_live=kept),
    }
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            examples = _movement(parts, context.limits)
            _signer(parts, context)
            if context.composes:
                _background(parts, context.limits)
            _options(parts)
        with gr.Column(scale=6, min_width=320):
            parts["player"] = _player()
            parts["status"] = gr.HTML("", apply_default_css=False, elem_id="render-status")
            with gr.Row():
                parts["start"] = gr.Button("Render", variant="primary", elem_id="render")
                parts["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
            _results(parts)
    _connect_render(page, RenderTab(context, parts), parts, examples)


def _step(title: str, text: str) -> None:
    gr.HTML(f'<div class="sg-step"><h2>{title}</h2><p>{text}</p></div>', apply_default_css=False)


def _movement(parts: Parts, limits: Limits) -> list[gr.Button]:
    _step(
        "1. What is signed",
        "An example is rendered at once. Or drop your own keypoints: one file, or all files of a clip.",
    )
    with gr.Row(elem_classes="sg-examples"):
        examples = [
            gr.Button(example.title, size="md", min_width=100, elem_id=f"example-{number}")
            for number, example in enumerate(EXAMPLES)
        ]
    parts["files"] = gr.File(
        label=f"Keypoint file (up to {limits.keypoint_bytes // MIB} MiB)",
        file_count="multiple", height=140, elem_id="keypoints",
    )  # fmt: skip
    with gr.Accordion("If the file does not say it", open=False):
        gr.HTML(f'<div class="sg-step"><p>{_FORMATS} are recognised by what is in them.</p></div>')
        with gr.Row():
            parts["clip_name"] = gr.Textbox(label="Clip", placeholder="of a file of several", min_width=120)
            parts["frame_size"] = gr.Textbox(label="Frame size", placeholder="210x260", min_width=120)
            parts["fps"] = gr.Number(label="Frames per second", value=None, minimum=0, maximum=1000, min_width=120)
        parts["again"] = gr.Button("Read the file again", size="md")
    return examples


def _signer(parts: Parts, context: Context) -> None:
    limits = context.limits
    own = "The person whom the model has learned, drawn" if context.own else "Drawn"
    _step("2. Who signs it", f"{own} people who come with signgen, or pictures of yours.")
    parts["signer"] = _picker(context)
    with gr.Accordion("Use a picture of your own", open=False):
        gr.HTML(
            '<div class="sg-step"><p>One person, upper body, facing the camera; of a video, the first frame. Several'
            " pictures of the person show more: a face from the front first, then open hands, a profile.</p></div>"
        )
        parts["picture"] = gr.File(
            label=f"Pictures (up to {limits.picture_bytes // MIB} MiB) or video",
            file_count="multiple", file_types=["image", "video"], height=150, elem_id="picture",
        )  # fmt: skip
        parts["picture_keypoints"] = gr.File(
            label="Keypoints of the picture", file_count="multiple", height=140, elem_id="picture-keypoints"
        )
        parts["picture_frames"] = gr.Number(
            1, label="Of a video with keypoints, so many frames, those that show most", minimum=1, maximum=MOST_SOURCES,
            precision=0, elem_id="picture-frames",
        )  # fmt: skip
        parts["picture_shown"] = gr.HTML("", apply_default_css=False)


def _picker(context: Context) -> gr.HTML:
    choices = "".join(
        f'<label><input type="radio" name="signer" value="{escape(name)}">'
        f'<img src="{data_url(context.signer(name)[0].image, 200)}" alt="">'
        f"<span>{escape(name.title())}</span></label>"
        for name in context.signers
    )
    template = f'<fieldset class="sg-signers"><legend>Signer</legend><div class="sg-row">{choices}</div></fieldset>'
    return gr.HTML(
        context.signers[0], html_template=template, js_on_load=asset("signers.js"), apply_default_css=False,
        elem_id="signer",
    )  # fmt: skip


def _background(parts: Parts, limits: Limits) -> None:
    parts["background"] = gr.Radio(list(BACKGROUNDS), value=BACKGROUNDS[0], label="Background", elem_id="background")
    parts["colour"] = gr.ColorPicker("#00b140", label="Colour", visible=False, elem_id="background-colour")
    parts["behind"] = gr.File(
        label=f"Picture behind the signer (up to {limits.picture_bytes // MIB} MiB)", file_types=["image"], height=140,
        visible=False, elem_id="background-picture",
    )  # fmt: skip


def _options(parts: Parts) -> None:
    with gr.Accordion("Options", open=False):
        parts["align"] = gr.Checkbox(True, label="Fit the skeleton to the signer")
        parts["fill_hands"] = gr.Checkbox(True, label="Complete lost hands")
        with gr.Row():
            parts["part"] = gr.Textbox(label="Part", placeholder="0:100 (all)", min_width=120)
            parts["smooth"] = gr.Number(label="Smooth, Hz", value=None, minimum=0, maximum=1000, min_width=120)
            parts["seed"] = gr.Number(label="Seed", value=0, minimum=0, precision=0, min_width=120)
        parts["original"] = gr.File(
            label="Original video, to compare with", file_types=["video"], height=140, elem_id="original"
        )


def _player() -> gr.HTML:
    script = asset("player.js").replace("/*STROKES*/ []", json.dumps(strokes()))
    return gr.HTML("", html_template=asset("player.html"), js_on_load=script, apply_default_css=False, elem_id="player")


def _results(parts: Parts) -> None:
    with gr.Column(visible=False, elem_id="results") as parts["results"]:
        with gr.Tabs():
            with gr.Tab("Generated video"):
                parts["video"] = gr.Video(
                    label="Generated video", loop=True, interactive=False, height=360, elem_id="video"
                )
            with gr.Tab("Compare"):
                parts["compare"] = gr.Video(
                    label="Signer, skeleton, generated video, original where there is one",
                    loop=True, interactive=False, height=360, elem_id="compare",
                )  # fmt: skip
        with gr.Row(elem_classes="sg-downloads"):
            for name, label in (
                ("get_video", "Download video"),
                ("get_compare", "Download comparison"),
                ("get_manifest", "Download manifest"),
                ("get_poses", "Download pose images"),
            ):
                parts[name] = gr.DownloadButton(label, size="md", min_width=160, elem_id=name.replace("_", "-"))


def _connect_render(page: gr.Blocks, tab: RenderTab, parts: Parts, examples: list[gr.Button]) -> None:
    def named(*names: str) -> list[Any]:
        return [parts[name] for name in names]

    opened = named("clip", "player", "status", "results")
    inputs = named("clip", "signer", "picture", "person", "original", "align", "fill_hands", "smooth", "part",
                   "seed", *(name for name in ("background", "colour", "behind") if name in parts))  # fmt: skip
    outputs = named("player", "status", "start", "stop", "results", "video", "compare", "get_video", "get_compare",
                    "get_manifest", "get_poses")  # fmt: skip
    rendering: dict[str, Any] = {"fn": tab.render, "inputs": set(inputs), "outputs": outputs, **_CALL}
    for number, button in enumerate(examples):
        chosen = button.click(
            partial(tab.example, number), parts["picture"], [*opened, *named("signer", "files")], **_CALL
        )
        chosen.then(**rendering)
    upload: dict[str, Any] = {
        "fn": tab.upload,
        "inputs": named("files", "clip_name", "frame_size", "fps", "known"),
        "outputs": [*opened, *named("files", "known")],
        **_CALL,
    }
    parts["files"].upload(**upload)
    parts["again"].click(**upload)
    picture = named("picture", "picture_keypoints", "picture_frames", "signer")
    for part in picture[:3]:
        part.change(tab.picture, picture, named("picture_shown", "person", "signer"), **_CALL)
    parts["signer"].change(tab.signer, parts["signer"], [*picture[:2], *named("picture_shown", "person")], **_CALL)
    if "background" in parts:
        parts["background"].change(tab.background, parts["background"], named("colour", "behind"), **_CALL)
    parts["start"].click(**rendering)
    parts["stop"].click(tab.stop, **_CALL)
    page.unload(tab.leave)


# --- second tab -----------------------------------------------------------------------------------------------------


def _score_tab(context: Context) -> None:
    parts: Parts = {}
    largest = context.limits.video_bytes // MIB
    _step("How near is a generated video to the true one?", "The measures and the report of “signgen evaluate”.")
    with gr.Row(equal_height=False):
        for name, label in (("generated", "Generated video"), ("reference", "True video")):
            parts[name] = gr.File(
                label=f"{label} (up to {largest} MiB)", file_types=["video"], height=150, elem_id=name
            )
        parts["keypoints"] = gr.File(
            label="Keypoints of the true video (for the hands)", height=150, elem_id="true-keypoints"
        )
    with gr.Row():
        parts["lengths"] = gr.Checkbox(False, label="Lengths differ: compare the first frames")
        parts["sizes"] = gr.Checkbox(False, label="Sizes differ: scale the generated video")
    with gr.Row():
        parts["start"] = gr.Button("Score", variant="primary", elem_id="score")
        parts["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="score-stop")
    parts["status"] = gr.HTML("", apply_default_css=False, elem_id="score-status")
    with gr.Column(visible=False, elem_id="scores") as parts["results"]:
        parts["table"] = gr.HTML("", apply_default_css=False)
        parts["get_report"] = gr.DownloadButton("Download report", size="md", elem_id="get-report")
        parts["report"] = gr.HTML("", apply_default_css=False)
    tab = ScoreTab(context, parts)
    outputs = [parts[name] for name in ("status", "start", "stop", "results", "table", "report", "get_report")]
    inputs = {parts[name] for name in ("generated", "reference", "keypoints", "lengths", "sizes")}
    parts["start"].click(tab.score, inputs, outputs, **_CALL)
    parts["stop"].click(tab.stop, **_CALL)


# --- third tab ------------------------------------------------------------------------------------------------------


def _learn_tab(context: Context) -> None:
    parts: Parts = {}
    _step(
        "A model learns one person",
        "One to three minutes of one person signing, who faces the camera and keeps clothes and light. The person must"
        " have agreed; what you write stays in the model and in every video that it makes.",
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            largest = context.limits.video_bytes // MIB
            parts["person_video"] = gr.File(
                label=f"Video of the person (up to {largest} MiB)", file_types=["video"], height=150, elem_id="person"
            )
            parts["person_keypoints"] = gr.File(
                label="Keypoints of the video (else they are found)", height=140, elem_id="person-keypoints"
            )
            parts["consent"] = gr.Textbox(label="Who agreed, and to what", lines=2, elem_id="consent")
            parts["agreed"] = gr.Checkbox(False, label="The person shown has agreed to this", elem_id="agreed")
            with gr.Row():
                parts["minutes"] = gr.Number(30, label="Minutes", minimum=1, maximum=LONGEST, min_width=120)
                titles = [example.title for example in EXAMPLES]
                parts["example"] = gr.Dropdown(titles, value=titles[0], label="Then sign", min_width=120)
            with gr.Row():
                parts["start"] = gr.Button("Learn", variant="primary", elem_id="learn")
                parts["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="learn-stop")
            parts["status"] = gr.HTML("", apply_default_css=False, elem_id="learn-status")
        with gr.Column(scale=6, min_width=320):
            parts["sheet"] = gr.HTML("", apply_default_css=False, elem_id="learn-sheet")
    with gr.Column(visible=False, elem_id="learned") as parts["results"]:
        parts["table"] = gr.HTML("", apply_default_css=False)
        with gr.Row():
            for name, label in (("compare", "Recording, before, after"), ("tried", "The example, signed")):
                parts[name] = gr.Video(label=label, loop=True, interactive=False, height=300, elem_id=f"learned-{name}")
        parts["get_person"] = gr.DownloadButton("Download the model", size="md", elem_id="get-person")
    tab = LearnTab(context, parts)
    outputs = [parts[name] for name in ("status", "start", "stop", "results", "sheet", "table", "compare", "tried",
                                        "get_person")]  # fmt: skip
    inputs = {parts[name] for name in ("person_video", "person_keypoints", "consent", "agreed", "minutes", "example")}
    parts["start"].click(tab.learn, inputs, outputs, **_CALL)
    parts["stop"].click(tab.stop, **_CALL)
