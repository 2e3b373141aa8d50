"""A whole clip: windows, streaming, sizes, manifests, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import av
import numpy as np
import pytest
from diffusers import DDIMScheduler
from PIL import Image
from tiny_pipeline import FRAME, make_pipeline, picture, signing

from signgen.errors import BadValue, InputError, Mismatch, Missing, NotWritable, RunError
from signgen.keypoints import Keypoints, write_keypoints
from signgen.model.schedulers import learned_settings
from signgen.rendering import RenderSettings, plan_render, render
from signgen.rendering.run import stream
from signgen.rendering.sample_windows import RenderedWindow, render_windows
from signgen.rendering.scene import build_scene
from signgen.rendering.source import Source
from signgen.video import VideoWriter, probe, read_frames


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline()


@pytest.fixture
def source():
    return Source(picture(), signing(1), "anna", "signer")


def frames_of(folder) -> np.ndarray:
    return np.stack(list(read_frames(folder)))


def left_over(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_clip_keeps_its_frames_size_and_rate(pipeline, source, tmp_path):
    result = render(signing(9, fps=12.5), source, pipeline, tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.fps, info.frames) == (*FRAME, 12.5, 9)
    assert (result.frames, result.width, result.height, result.fps) == (9, *FRAME, 12.5)
    assert left_over(tmp_path) == ["out.json", "out.mp4"]


def test_a_frame_of_210x260_stays_one(source, tmp_path):
    pipeline = make_pipeline(frame_size=(210, 260))
    person = Source(picture((210, 260)), signing(1, (210, 260)), "anna", "signer")
    result = render(signing(3, (210, 260)), person, pipeline, tmp_path / "out", fill_hands=False)
    assert frames_of(tmp_path / "out").shape == (3, 260, 210, 3)
    assert result.warnings == []


@pytest.mark.parametrize("size", [(64, 48), (128, 72), (50, 50)])
def test_other_frames_keep_their_size(pipeline, source, tmp_path, size):
    result = render(signing(2, size), source, pipeline, tmp_path / "out")
    assert frames_of(tmp_path / "out").shape == (2, size[1], size[0], 3)
    assert (result.width, result.height) == size


def test_size_overrides(pipeline, source, tmp_path):
    render(signing(2), source, pipeline, tmp_path / "out", size=(84, 104))
    assert frames_of(tmp_path / "out").shape == (2, 104, 84, 3)


def test_the_same_seed_gives_the_same_bytes(pipeline, source, tmp_path):
    for name in ("a", "b", "c"):
        render(signing(5), source, pipeline, tmp_path / f"{name}.mp4", seed=int(name == "c"))
    a, b, c = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_first_frames_of_a_longer_render_are_those_of_a_shorter_one(pipeline, source, tmp_path):
    """Window 4, overlap 1: 3 frames, then 2 a window; 9 frames end where a window ends."""
    clip = signing(20)
    render(clip, source, pipeline, tmp_path / "whole")
    render(clip, source, pipeline, tmp_path / "cut", frames=slice(0, 9))
    assert np.array_equal(frames_of(tmp_path / "whole")[:9], frames_of(tmp_path / "cut"))


def test_a_part_of_a_clip_is_the_same_in_the_whole(pipeline, source, tmp_path):
    """Without overlap no window looks back; smoothing and framing look at the whole clip either way."""
    clip, options = signing(12, (64, 48)), {"overlap": 0, "smooth": 4.0}
    render(clip, source, pipeline, tmp_path / "whole", **options)
    render(clip, source, pipeline, tmp_path / "part", frames=slice(6, 12), **options)
    assert np.array_equal(frames_of(tmp_path / "whole")[6:], frames_of(tmp_path / "part"))


def test_a_window_sees_the_frames_before_it(pipeline, source, tmp_path):
    """A change in frame 2 reaches frame 3 across the seam only if windows overlap."""
    clip = signing(6)
    xy = clip.xy.copy()
    xy[2, 91:] = xy[2, 91:] / 2
    changed = Keypoints(xy, clip.confidence, width=FRAME[0], height=FRAME[1], fps=25.0)
    differs = {}
    for overlap in (0, 1):
        for name, driving in (("a", clip), ("b", changed)):
            render(driving, source, pipeline, tmp_path / f"{name}{overlap}", overlap=overlap)
        a, b = (frames_of(tmp_path / f"{name}{overlap}") for name in "ab")
        differs[overlap] = [not np.array_equal(x, y) for x, y in zip(a, b, strict=True)]
    assert differs[0] == [True] * 3 + [False] * 3
    assert differs[1][3]


def test_frames_are_written_before_the_next_window_is_computed(pipeline, source):
    written, at_window = [], []

    def write(window: RenderedWindow) -> None:
        written.extend(window.frames)

    scene = build_scene(source, signing(12), FRAME, 0.81, None, False)

    settings = RenderSettings(steps=1, window=4, overlap=1)

    def watched():
        for window in render_windows(pipeline, scene, range(12), settings):
            at_window.append(len(written))
            yield window

    evaluations = stream(watched(), write, 12, None)
    assert at_window == [0, 3, 5, 7, 9, 11]
    assert len(written) == 12
    assert evaluations == 4 * 5 + 3


def test_drawing_is_done_window_by_window(pipeline, source, tmp_path, monkeypatch):
    """Never more pose images at once than a window has views: memory does not grow with the clip."""
    from signgen import pose_image

    counts, draw = [], pose_image.draw_pose

    def counted(clip: Keypoints, *rest: object, **more: object) -> np.ndarray:
        counts.append(len(clip))
        return draw(clip, *rest, **more)

    monkeypatch.setattr(pose_image, "draw_pose", counted)
    render(signing(30), source, pipeline, tmp_path / "out.mp4")
    assert max(counts) <= 3


def test_progress_is_told_after_every_window(pipeline, source, tmp_path):
    told = []
    render(signing(7), source, pipeline, tmp_path / "out.mp4", progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 7), (3, 7), (5, 7), (7, 7)]


def test_the_manifest_says_how_it_was_made(pipeline, source, tmp_path):
    result = render(signing(5), source, pipeline, tmp_path / "out.mp4", seed=3, guidance=(2.0, 2.0))
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert {key: manifest[key] for key in result.as_dict()} == result.as_dict()
    assert manifest["generated"] is True
    assert "generated video" in manifest["notice"]
    assert manifest["weights_sha256"] == pipeline.weights_sha256()
    assert manifest["configuration"]["guidance"] == [2.0, 2.0]
    assert manifest["configuration"]["overlap"] == 1
    assert manifest["configuration"]["keypoints"] == signing(5).name  # in memory
    assert manifest["configuration"]["source_keypoints"] == []
    assert {"signgen", "torch", "diffusers"} <= set(manifest["versions"])
    assert result.unet_evaluations_per_frame == 2 * (4 + 4) / 5


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_container_says_that_it_is_generated(pipeline, source, tmp_path, suffix):
    render(signing(2), source, pipeline, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        words = {key.lower(): value for key, value in container.metadata.items()}
    assert "generated video" in words["comment"]


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems have no such names")
@pytest.mark.parametrize("name", ["out", "out.mp4", "out.webm"])
def test_names_that_are_no_unicode_are_escaped(pipeline, tmp_path, name):
    face = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.fromarray(picture()).save(face)
    result = render(signing(2), face, pipeline, tmp_path / name)
    manifest = tmp_path / "out.json"
    assert json.loads(manifest.read_text(encoding="utf-8"))["source"] == result.source == str(face)
    if name == "out":
        words = Image.open(tmp_path / "out" / "images0001.png").text["Description"]
    else:
        with av.open(str(tmp_path / name)) as container:
            words = {key.lower(): value for key, value in container.metadata.items()}["description"]
    assert "source caf\\udce9.png" in words


def test_compare_shows_source_pose_generated_and_original(pipeline, source, tmp_path):
    original = np.random.default_rng(0).integers(0, 255, (8, *picture().shape), dtype=np.uint8)
    with VideoWriter(tmp_path / "true", FRAME, 25) as writer:
        for frame in original:
            writer.write(frame)
    render(
        signing(8), source, pipeline, tmp_path / "out", frames=slice(2, 7),
        compare=tmp_path / "side.webm", original=tmp_path / "true",
    )  # fmt: skip
    info = probe(tmp_path / "side.webm")
    assert (info.width, info.height, info.frames) == (4 * FRAME[0], FRAME[1], 5)
    sheet = frames_of(tmp_path / "side.webm").astype(int)
    panels = [sheet[:, :, i * FRAME[0] : (i + 1) * FRAME[0]] for i in range(4)]
    assert np.abs(panels[0] - picture()).mean() < 8
    generated = frames_of(tmp_path / "out").astype(int)
    assert np.abs(panels[2] - generated).mean() < 0.5 * np.abs(panels[2] - picture()).mean()
    assert np.abs(panels[3] - original[2:7]).mean() < np.abs(panels[3] - original[:5]).mean()
    manifests = [json.loads((tmp_path / name).read_text(encoding="utf-8")) for name in ("out.json", "side.json")]
    assert manifests[0] == manifests[1]
    assert manifests[0]["generated"]


@pytest.mark.parametrize(("made_for", "steps", "warned"), [(1, 2, True), (1, 1, False), (4, 2, False), (20, 30, False)])
def test_more_steps_than_a_few_step_model_was_made_for(source, tmp_path, made_for, steps, warned):
    pipeline = make_pipeline()
    pipeline.register_to_config(steps=made_for)
    result = render(signing(1), source, pipeline, tmp_path / "out", steps=steps)
    assert any("grain" in warning for warning in result.warnings) == warned
    pipeline.register_modules(scheduler=DDIMScheduler.from_config(pipeline.scheduler.config, prediction_type="sample"))
    pipeline._learned = learned_settings(pipeline.scheduler)
    result = render(signing(1), source, pipeline, tmp_path / "clean", steps=steps)
    assert any("gain nothing" in warning for warning in result.warnings) == warned
    assert not any("grain" in warning for warning in result.warnings)


def test_an_original_that_is_too_short_is_refused(pipeline, source, tmp_path):
    with VideoWriter(tmp_path / "true", FRAME, 25) as writer:
        writer.write(picture())
    with pytest.raises(InputError, match="1 frames"):
        render(signing(3), source, pipeline, tmp_path / "o.mp4", compare=tmp_path / "c.mp4", original=tmp_path / "true")
    assert left_over(tmp_path) == ["true"]


def test_nothing_is_left_when_the_encoder_fails_half_way(pipeline, source, tmp_path, monkeypatch):
    (tmp_path / "out.mp4").write_bytes(b"older")
    write = VideoWriter.write

    def failing(self: VideoWriter, frame: np.ndarray) -> None:
        if self.frames == 4:
            raise RunError(self.path, "no space left", "make room")
        write(self, frame)

    monkeypatch.setattr(VideoWriter, "write", failing)
    with pytest.raises(RunError, match=r"out\.mp4: no space left") as caught:
        render(signing(9), source, pipeline, tmp_path / "out.mp4", compare=tmp_path / "side.mp4")
    assert caught.value.subject == str(tmp_path / "out.mp4")
    assert left_over(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"older"


def test_a_file_gives_its_name_and_is_never_overwritten(pipeline, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_keypoints(signing(3), "clip.json")
    before = (tmp_path / "clip.json").read_bytes()
    result = render("clip.json", source, pipeline, fps=25.0, frame_size=FRAME)
    assert str(result.output) == "clip.mp4"
    assert str(result.manifest) == "clip.manifest.json"
    assert (tmp_path / "clip.json").read_bytes() == before


def test_folders_keep_the_dots_of_their_names(pipeline, source, tmp_path, monkeypatch):
    """Of two folders of keypoints of one day one video would else take the other's place."""
    monkeypatch.chdir(tmp_path)
    for day in ("2024.05.01", "2024.05.02"):
        write_keypoints(signing(2), day, "openpose")
        assert plan_render(RenderSettings(), day, source).output.name == f"{day}.mp4"
    for take in ("frames.v1", "frames.v2"):
        result = render(signing(2), source, pipeline, f"{take}/")
        assert (probe(take).frames, str(result.manifest)) == (2, f"{take}.json")
    render(signing(3), source, pipeline, "frames.v1")
    assert probe("frames.v1").frames == 3


@pytest.mark.parametrize(("options", "option"), [({"clip": "other"}, "--clip"), ({"format": "pose"}, "--from")])
def test_options_of_files_are_refused_for_keypoints_in_memory(source, tmp_path, options, option):
    with pytest.raises(Mismatch, match=f"{option}: got .* with keypoints in memory"):
        plan_render(RenderSettings(**options), signing(2), source, tmp_path / "out.mp4")


def test_the_output_may_not_be_an_input(pipeline, tmp_path):
    with VideoWriter(tmp_path / "me.mp4", FRAME, 25) as writer:
        writer.write(picture())
    with pytest.raises(InputError, match="is an input"):
        render(signing(2), tmp_path / "me.mp4", pipeline, tmp_path / "me.mp4")


@pytest.mark.parametrize("given", ["source", "known", "background", "link"])
def test_a_folder_that_holds_an_input_is_not_replaced(source, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "frames"
    folder.mkdir()
    Image.fromarray(picture()).save(tmp_path / "true.png")
    frame = folder / "images0001.png"
    if given == "link":
        frame.symlink_to(tmp_path / "true.png")
    else:
        Image.fromarray(picture()).save(frame)
    before, options = frame.read_bytes(), {"background": "frames/images0001.png"} if given == "background" else {}
    person = "frames/images0001.png" if given in ("source", "link") else source
    known = {0: "frames/images0001.png"} if given == "known" else None
    with pytest.raises(NotWritable, match=r"frames: holds frames/images0001\.png, an input") as caught:
        plan_render(RenderSettings(**options), signing(2), person, "frames/", known=known)
    assert caught.value.exit_code == 2
    assert frame.read_bytes() == before
    plan_render(RenderSettings(**options), signing(2), person, "others/", known=known)


@pytest.mark.parametrize(("size", "options"), [((64, 48), {}), (FRAME, {"size": (84, 104)}), (FRAME, {})])
def test_a_frame_that_is_given_appears_as_it_is(pipeline, source, tmp_path, size, options):
    shape = options.get("size", size)
    given = np.random.default_rng(0).integers(0, 255, (shape[1], shape[0], 3), dtype=np.uint8)
    known = {2: Source(given, None, "given", "image")}
    render(signing(4, size), source, pipeline, tmp_path / "out", known=known, **options)
    frames = frames_of(tmp_path / "out")
    assert np.array_equal(frames[2], given)
    assert not np.array_equal(frames[1], given)
    large = {2: Source(given.repeat(2, 0).repeat(2, 1), None, "given", "image")}
    render(signing(4, size), source, pipeline, tmp_path / "scaled", known=large, **options)
    assert np.abs(frames_of(tmp_path / "scaled")[2].astype(int) - given).mean() < 20


@pytest.mark.parametrize(
    ("number", "size", "kind", "words"),
    [(1, FRAME, BadValue, r"--known: got frame 1; frames 2 to 3 are rendered \(--frames\)"),
     (6, FRAME, BadValue, "--known: got frame 6; the clip has frames 0 to 5"),
     (2, (60, 52), Mismatch, "--known: given is 60x52, the video 42x52; give a picture of the video's shape")],
)  # fmt: skip
def test_a_frame_that_cannot_be_given_is_refused(source, tmp_path, number, size, kind, words):
    known = {number: Source(picture(size), None, "given", "image")}
    with pytest.raises(kind, match=words):
        plan_render(RenderSettings(frames=slice(2, 4)), signing(6), source, tmp_path / "out", known=known)


def test_empty_frames_hold_the_last_pose_and_are_counted(pipeline, source, tmp_path):
    clip = signing(6)
    confidence = clip.confidence.copy()
    confidence[3:5] = 0
    holes = Keypoints(clip.xy * (confidence > 0)[..., None], confidence, width=FRAME[0], height=FRAME[1], fps=25.0)
    result = render(holes, source, pipeline, tmp_path / "out.mp4")
    assert result.warnings == ["nobody is found in 2 of 6 frames: the last pose before is held there"]


def test_nobody_at_all_is_an_input_error(pipeline, source, tmp_path):
    empty = Keypoints(np.zeros((4, 133, 2)), np.zeros((4, 133)), width=42, height=52, fps=25.0, name="empty")
    with pytest.raises(InputError, match="nobody is found in any of 4 frames"):
        render(empty, source, pipeline, tmp_path / "out.mp4")


def test_a_source_video_gives_size_and_rate_to_formats_without(pipeline, tmp_path):
    with VideoWriter(tmp_path / "me.mp4", FRAME, 30) as writer:
        for _ in range(3):
            writer.write(picture())
    write_keypoints(signing(3), tmp_path / "k.json")
    result = render(tmp_path / "k.json", tmp_path / "me.mp4", pipeline, tmp_path / "out.mp4")
    assert (result.width, result.height, result.fps) == (*FRAME, 30)


def test_align_brings_the_skeleton_onto_the_source_person(pipeline, source, tmp_path):
    large = signing(2).scaled(1.3, 1.3).shifted(-8, 5)
    off = render(large, source, pipeline, tmp_path / "off.mp4")
    on = render(large, source, pipeline, tmp_path / "on.mp4", align=True)
    assert any("try --align" in warning for warning in off.warnings)
    assert not any("try --align" in warning for warning in on.warnings)


def test_align_needs_the_source_persons_keypoints(pipeline, tmp_path):
    Image.fromarray(picture()).save(tmp_path / "me.png")
    with pytest.raises(InputError, match="--source-keypoints"):
        render(signing(2), tmp_path / "me.png", pipeline, tmp_path / "out.mp4", align=True)


def test_models_whose_views_do_not_see_each_other_take_no_overlap(source, tmp_path):
    pipeline = make_pipeline(cross_view=None)
    result = render(signing(6), source, pipeline, tmp_path / "out.mp4")
    assert result.unet_evaluations_per_frame == 1
    with pytest.raises(InputError, match="--overlap"):
        render(signing(6), source, pipeline, tmp_path / "out.mp4", overlap=1)


def test_a_plan_needs_no_torch_and_footage_is_told_without_an_estimator(tmp_path):
    write_keypoints(signing(3), tmp_path / "clip.npz")
    code = f"""
import sys
from signgen.rendering import RenderSettings, plan_render
plan = plan_render(RenderSettings(frames=slice(1, 3)), {str(tmp_path / "clip.npz")!r}, None, {str(tmp_path / "out")!r})
assert (plan.frames, plan.clip.size, plan.output.name) == (range(1, 3), (42, 52), "out")
print([name for name in sys.modules if name in ("torch", "diffusers") or name.startswith("signgen.extraction")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_plan_refuses_what_no_model_could_do(source, tmp_path):
    (tmp_path / "out.mp4").symlink_to(tmp_path / "clip.mp4")
    with VideoWriter(tmp_path / "clip.mp4", FRAME, 25) as writer:
        writer.write(picture())
    with pytest.raises(NotWritable) as error:  # the link leads to an input
        plan_render(RenderSettings(), signing(2), tmp_path / "clip.mp4", tmp_path / "out.mp4")
    assert error.value.subject == str(tmp_path / "out.mp4")
    with pytest.raises(Missing):
        plan_render(RenderSettings(), signing(2), source, tmp_path / "o.mp4", original=tmp_path / "clip.mp4")
    with pytest.raises(BadValue):
        RenderSettings(window=4, overlap=3)
