"""Frames that come one by one: what is completed without looking ahead, and a render that goes on with them."""

from __future__ import annotations

import gc
import io
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_pipeline import FRAME, make_pipeline, picture, save_pipeline, signing, weather

import signgen
from signgen.app.stream import Incoming
from signgen.cli import main
from signgen.errors import BadValue, Damaged, Empty, InputError, Mismatch, Missing, TooLarge, Unsupported
from signgen.keypoints import read_keypoints, write_keypoints
from signgen.keypoints.keypoint_files import keypoint_pieces
from signgen.keypoints.skeleton import LEFT_HAND, LEFT_WRIST
from signgen.model import SignGenPipeline
from signgen.model.networks.cross_view import ViewMemory
from signgen.rendering.sample_windows import Shown
from signgen.rendering.source import Source
from signgen.streaming import Live, LiveFrame
from signgen.streaming.causal import MOST_DELAY, Causal
from signgen.streaming.points import LONGEST_LINE, Header, LineReader, Lines, Played
from signgen.streaming.stream import MEASURED, SEEN, Delays

PATIENCE = 60.0


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(refined=True)


def person() -> Source:
    return Source(picture(), signing(1), "somebody", "image")


def streamed(pipeline, delay: int = 0, **options) -> Live:
    return signgen.live(person(), pipeline, frame_size=FRAME, delay=delay, **options)


# --- windows that slide -----------------------------------------------------------------------------------------------
def test_a_window_that_slides_sees_what_a_whole_one_sees(pipeline):
    """The first new view of a whole window sees the source only by way of a layer; the memory must give the same."""
    source, size = pipeline.encode_source(picture()), pipeline.canvas_size
    poses = signgen.draw_pose(signing(3), size=size)
    past = ViewMemory(1, 8)
    slid = [pipeline(source, poses[i : i + 1], [i], past=past) for i in range(3)]
    whole = pipeline(source, poses, [0, 1, 2])
    alone = pipeline(source, poses[2:], [2])

    def apart(latents: torch.Tensor) -> float:
        return float((latents - whole.latents[2]).abs().mean())

    assert past.views == 4
    assert apart(slid[2].latents[0]) < 0.5 * apart(alone.latents[0])
    assert torch.equal(slid[0].latents, pipeline(source, poses[:1], [0]).latents), "it begins as any window does"
    assert [window.evaluations for window in slid] == [2 * pipeline.config.steps] + 2 * [pipeline.config.steps]


def test_the_newest_views_are_kept_and_the_sources_for_good(pipeline):
    source = pipeline.encode_source(picture())
    poses = signgen.draw_pose(signing(6), size=pipeline.canvas_size)
    past, short = ViewMemory(1, 2), ViewMemory(1, 2)
    for i in range(5):
        pipeline(source, poses[i : i + 1], [i], past=past)
        if i != 1:  # long ago: what it showed is forgotten, but not what those after it made of it
            pipeline(source, poses[i : i + 1], [i], past=short)
    assert past.views == short.views == 3
    with_it, without = (pipeline(source, poses[5:], [5], past=one).latents for one in (past, short))
    never = pipeline(source, poses[5:], [5], past=ViewMemory(1, 2)).latents
    assert (with_it - without).abs().mean() < 0.2 * (with_it - never).abs().mean()


def test_each_evaluation_of_a_window_has_a_memory_of_its_own():
    pipeline = make_pipeline()
    source, poses = pipeline.encode_source(picture()), signgen.draw_pose(signing(2), size=pipeline.canvas_size)
    past = ViewMemory(1, 4)
    for i in range(2):
        made = pipeline(source, poses[i : i + 1], [i], past=past, num_inference_steps=3, guidance_scale=(2.0, 2.0))
    whole = pipeline(source, poses, [0, 1], num_inference_steps=3, guidance_scale=(2.0, 2.0))
    alone = pipeline(source, poses[1:], [1], num_inference_steps=3, guidance_scale=(2.0, 2.0))
    near, far = ((one - whole.latents[1]).abs().mean() for one in (made.latents[0], alone.latents[0]))
    assert near < 0.7 * far


def test_attention_to_any_place_slides_too():
    pipeline = make_pipeline(cross_view={"heads": 2, "groups": 4, "attention": "joint"})
    source, poses = pipeline.encode_source(picture()), signgen.draw_pose(signing(3), size=pipeline.canvas_size)
    past = ViewMemory(1, 4)
    made = [pipeline(source, poses[i : i + 1], [i], past=past).latents[0] for i in range(3)]
    whole, alone = pipeline(source, poses, [0, 1, 2]).latents[2], pipeline(source, poses[2:], [2]).latents[0]
    assert (made[2] - whole).abs().mean() < 0.7 * (alone - whole).abs().mean()


def test_a_model_whose_views_do_not_see_each_other_does_not_slide():
    pipeline = make_pipeline(cross_view=None)
    assert not pipeline.slides
    poses = signgen.draw_pose(signing(1), size=pipeline.canvas_size)
    with pytest.raises(Unsupported):
        pipeline(pipeline.encode_source(picture()), poses, [0], past=ViewMemory(1, 2))
    assert [frame.number for frame in streamed(pipeline).feed(signing(3))] == [0, 1, 2]


# --- the keypoints ----------------------------------------------------------------------------------------------------
def test_a_frame_depends_on_no_later_one():
    clip = weather(20)
    points = clip.points.copy()
    points[7:11, LEFT_HAND] = 0
    changed = points.copy()
    changed[12:, :, :2] += 9
    found = []
    for given in (points, changed):
        causal = Causal(clip.fps, clip.size)
        frames = []
        for one in given:
            causal.add(one)
            frames.append(causal.frame().points[0])
        found.append(np.array(frames))
    assert np.array_equal(found[0][:12], found[1][:12])
    assert not np.array_equal(found[0][12:], found[1][12:])


def test_a_lost_hand_goes_on_with_its_arm():
    clip = weather(20)
    points = clip.points.copy()
    points[10:14, LEFT_HAND] = 0
    points[10:14, :] += (6, 0, 0)  # the arm goes on; a missing point stays one, its score is 0
    points[10:14, LEFT_HAND] = 0
    causal = Causal(clip.fps, clip.size, smooth=False)
    for one in points[:13]:
        causal.add(one)
    frame = causal.frame()
    assert (frame.confidence[0, LEFT_HAND] > 0).all()
    wrist = frame.xy[0, LEFT_WRIST]
    before = clip.xy[9, LEFT_HAND] - clip.xy[9, LEFT_WRIST]
    assert np.abs(frame.xy[0, LEFT_HAND] - wrist - before).max() < 6
    plain = Causal(clip.fps, clip.size, smooth=False, fill_hands=False)
    for one in points[:13]:
        plain.add(one)
    assert not plain.frame().confidence[0, LEFT_HAND].any()


def test_look_ahead_brings_a_lost_hand_to_where_it_is_seen_again():
    clip = weather(24)
    lost = slice(10, 15)
    points = clip.points.copy()
    points[10:, LEFT_HAND, :2] += 8  # where it is when it is seen again
    true = points[lost, LEFT_HAND, :2].copy()
    points[lost, LEFT_HAND] = 0
    errors = []
    for delay in (0, 6):
        causal, found = Causal(clip.fps, clip.size, delay, smooth=False), {}
        for number, one in enumerate(points):
            causal.add(one)
            if (frame := causal.frame(delay)) is not None:
                found[number - delay] = frame.xy[0, LEFT_HAND]
        errors.append(np.mean([np.abs(found[10 + i] - true[i]).mean() for i in range(5)]))
    assert errors[1] < 0.8 * errors[0]


def test_nobody_holds_the_last_pose_and_before_anybody_there_is_nothing():
    clip = signing(3)
    causal = Causal(clip.fps, FRAME)
    causal.add(np.zeros((133, 3)))
    assert causal.frame() is None
    assert causal.seen() is None
    causal.add(clip.points[0])
    first = causal.frame()
    causal.add(np.zeros((133, 3)))
    assert causal.frame() == first


def test_fractions_of_a_frame_become_pixels_and_stay_so():
    clip = signing(4)
    causal = Causal(clip.fps, FRAME, smooth=False)
    for points in clip.points / (*FRAME, 1):
        causal.add(points)
    assert np.allclose(causal.frame().xy[0], clip.xy[3], atol=1e-3)


def test_resting_points_tremble_less():
    rng = np.random.default_rng(1)
    still = np.repeat(signing(1, (640, 480)).points, 60, 0)
    still[..., :2] += rng.normal(0, 0.6, (60, 133, 2))
    moved = []
    for smooth in (True, False):
        causal = Causal(25.0, (640, 480), smooth=smooth, fill_hands=False)
        track = []
        for one in still:
            causal.add(one)
            track.append(causal.frame().xy[0])
        moved.append(np.abs(np.diff(track[20:], axis=0)).mean())
    assert moved[0] < 0.5 * moved[1]


@pytest.mark.parametrize("points", [np.zeros((132, 3)), np.zeros(133), np.zeros((1, 133, 3))])
def test_another_shape_is_refused(points):
    with pytest.raises(BadValue) as error:
        Causal().add(points)
    assert error.value.subject == "keypoints"


@pytest.mark.parametrize("delay", [-1, MOST_DELAY + 1])
def test_delays_have_bounds(delay):
    with pytest.raises(BadValue) as error:
        Causal(delay=delay)
    assert error.value.subject == "--delay"


# --- the render -------------------------------------------------------------------------------------------------------
def test_frames_come_out_for_frames_and_parts_of_a_clip_give_what_the_whole_gives(pipeline):
    clip = weather(5)
    whole = [frame.image for frame in streamed(pipeline).feed(clip)]
    stream = streamed(pipeline)
    one_by_one = [frame for points in clip.points for frame in stream.feed(points)]
    assert [frame.number for frame in one_by_one] == [0, 1, 2, 3, 4]
    assert all(frame.dropped == 0 and frame.delay > 0 for frame in one_by_one)
    assert np.array_equal(whole, [frame.image for frame in one_by_one])
    assert whole[0].shape == (FRAME[1], FRAME[0], 3)
    assert np.abs(np.diff(np.array(whole, float), axis=0)).max() > 0


def test_it_is_the_render_of_a_clip(pipeline, tmp_path):
    """Frames that the source alone is seen by: those of windows without overlap that hold one frame."""
    clip = weather(3)
    signgen.render(clip, person(), pipeline, tmp_path / "a", window=2, overlap=0)
    from signgen.video import read_frames

    painted = np.stack(list(read_frames(tmp_path / "a"))).astype(float)
    live = np.stack([frame.image for frame in streamed(pipeline, smooth=False).feed(clip)]).astype(float)
    assert np.array_equal(live[0], painted[0])
    assert np.abs(live - painted).mean() < 0.5 * np.abs(painted[1:] - painted[:-1]).mean() + 2


def test_delay_holds_frames_back_and_finish_gives_the_last_ones(pipeline):
    stream = streamed(pipeline, delay=2)
    assert [frame.number for frame in stream.feed(signing(5))] == [0, 1, 2]
    assert [frame.number for frame in stream.finish()] == [3, 4]
    assert list(stream.finish()) == []


def test_a_slow_machine_leaves_frames_out_and_never_queues(pipeline, monkeypatch):
    stream, clip = streamed(pipeline), signing(30)
    sent, painting = threading.Event(), threading.Event()

    def source() -> Iterator[np.ndarray]:
        yield clip.points[0]
        assert painting.wait(PATIENCE)  # all others come while the first is painted
        yield from clip.points[1:]
        sent.set()

    refine = pipeline.refine

    def slow(*given):
        painting.set()
        assert sent.wait(PATIENCE)
        return refine(*given)

    stream._warm()
    monkeypatch.setattr(pipeline, "refine", slow)
    monkeypatch.setattr(stream, "_warm", lambda: None)
    frames = list(stream.feed(source()))
    assert (frames[0].number, frames[-1].number) == (0, 29)
    assert len(frames) <= 3, "one may be sampled while the first is refined"
    assert sum(frame.dropped + 1 for frame in frames) == 30
    assert frames[-1].delay > 0


def slowly(points: np.ndarray, begun: threading.Event) -> Iterator[np.ndarray]:
    """The second frame comes when something of the first has ``begun``, so that it is not left out."""
    yield points[0]
    assert begun.wait(PATIENCE)
    yield points[1]


def test_the_next_frame_is_sampled_while_one_is_refined(pipeline, monkeypatch):
    """The first frame is refined after the second one is sampled: one after the other would wait in vain."""
    stream, refine, call = streamed(pipeline), pipeline.refine, type(pipeline).__call__
    one, two = threading.Event(), threading.Event()
    stream._warm()
    monkeypatch.setattr(stream, "_warm", lambda: None)

    def told(*given, **options):
        output = call(*given, **options)
        (two if one.is_set() else one).set()
        return output

    def patient(*given):
        assert two.wait(PATIENCE)
        return refine(*given)

    monkeypatch.setattr(type(pipeline), "__call__", told)
    monkeypatch.setattr(pipeline, "refine", patient)
    assert [frame.number for frame in stream.feed(slowly(signing(2).points, one))] == [0, 1]


def test_the_next_frame_is_drawn_while_one_is_sampled(pipeline, monkeypatch):
    """The first frame is sampled after the second one is drawn: one after the other would wait in vain."""
    stream, hands, call = streamed(pipeline), Shown.hands, type(pipeline).__call__
    drawn = [threading.Event(), threading.Event()]
    waiting = iter(drawn)
    stream._warm()
    monkeypatch.setattr(stream, "_warm", lambda: None)

    def told(*given):
        made = hands(*given)
        next(waiting).set()
        return made

    def patient(*given, **options):
        assert drawn[1].wait(PATIENCE)
        return call(*given, **options)

    monkeypatch.setattr(Shown, "hands", told)
    monkeypatch.setattr(type(pipeline), "__call__", patient)
    assert [frame.number for frame in stream.feed(slowly(signing(2).points, drawn[0]))] == [0, 1]


def test_noise_is_that_of_the_keypoints_number_whatever_was_left_out(pipeline, monkeypatch):
    """As a render of the same clip draws it: nobody was seen in the first frames, and none of them is painted."""
    asked: list[int] = []
    call = type(pipeline).__call__

    def noted(self, *given, frame_indices, **more):
        asked.extend(frame_indices)
        return call(self, *given, frame_indices=frame_indices, **more)

    monkeypatch.setattr(type(pipeline), "__call__", noted)
    points = signing(5).points.copy()
    points[:2] = 0
    assert [frame.number for frame in streamed(pipeline).feed(points)] == asked == [2, 3, 4]


def test_a_warm_up_leaves_nothing_behind(pipeline):
    """Not even until garbage is collected: the pipeline would then forget its device in the middle of a stream."""
    stream = streamed(pipeline)
    gc.disable()
    try:
        stream._warm()
        assert pipeline._place is None
        frames = stream.feed(points for points in signing(2).points)
        next(frames)
        assert pipeline._place is not None
        frames.close()
        del stream, frames
        for thread in threading.enumerate():
            if thread.name == "signgen-reading":  # it is not waited for: a source may block
                thread.join(PATIENCE)
        assert pipeline._place is None
    finally:
        gc.enable()


def test_a_feed_that_is_closed_leaves_nothing_computing_and_the_threads_as_they_were(pipeline):
    before, stream = torch.get_num_threads(), streamed(pipeline)
    frames = stream.feed(points for points in itertools.cycle(signing(5).points))
    next(frames)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads() == before
    with pytest.raises(Mismatch):
        list(stream.feed(signing(1)))
    frames.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "signgen-live"]
    assert torch.get_num_threads() == before
    assert len(list(stream.feed(signing(1)))) == 1


def test_each_of_two_that_compute_has_its_part_of_the_threads(pipeline, monkeypatch):
    stream, found, refine, call = streamed(pipeline), set(), pipeline.refine, type(pipeline).__call__
    stream._warm()
    monkeypatch.setattr(stream, "_warm", lambda: None)

    def counted(work):
        def told(*given, **options):
            found.add(torch.get_num_threads())
            return work(*given, **options)

        return told

    monkeypatch.setattr(type(pipeline), "__call__", counted(call))
    monkeypatch.setattr(pipeline, "refine", counted(refine))
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        list(stream.feed(points for points in signing(2).points))
    finally:
        torch.set_num_threads(before)
    assert found == {2}


@pytest.mark.parametrize("step", [(Shown, "hands"), (SignGenPipeline, "__call__"), (SignGenPipeline, "refine")])
def test_what_goes_wrong_while_a_frame_is_made_is_raised_at_once(pipeline, monkeypatch, step):
    stream, answered = streamed(pipeline), threading.Event()
    stream._warm()
    monkeypatch.setattr(stream, "_warm", lambda: None)

    def source() -> Iterator[np.ndarray]:
        yield signing(1).points[0]
        answered.wait(PATIENCE)  # it waits for its picture

    def broken(*given, **options):
        raise Damaged("hands", "made up", "mend them")

    monkeypatch.setattr(*step, broken)
    begun = time.monotonic()
    with pytest.raises(Damaged):
        list(stream.feed(source()))
    assert time.monotonic() - begun < PATIENCE / 2
    answered.set()


def test_who_takes_frames_slowly_gets_new_ones(pipeline):
    """Two frames are on their way at most: the third one taken has come after the first was."""
    sent, stream = [], streamed(pipeline)

    def source() -> Iterator[np.ndarray]:
        for points in itertools.islice(itertools.cycle(signing(5).points), 1000):
            time.sleep(0.005)
            sent.append(points)
            yield points

    frames = stream.feed(source())
    next(frames)
    time.sleep(0.5)
    then = len(sent)
    numbers = [next(frames).number for _ in range(3)]
    frames.close()
    assert numbers[2] >= then - 1


def test_a_program_ends_though_a_feed_goes_on(tmp_path):
    model = save_pipeline(tmp_path / "model", refined=True)
    program = f"""
import itertools, numpy as np, signgen
points = np.load({str(tmp_path / "points.npy")!r})
stream = signgen.live("alma", {str(model)!r}, frame_size={FRAME}, device="cpu")
frames = stream.feed(one for one in itertools.cycle(points))
print(next(frames).number >= 0)
"""
    np.save(tmp_path / "points.npy", signing(3).points)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=2 * PATIENCE)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_the_last_frames_of_a_stream_come_without_later_ones(pipeline):
    frames = list(streamed(pipeline, delay=3).feed(points for points in signing(4).points))
    assert [frame.number for frame in frames][-1] == 3


def test_what_a_stream_raises_is_raised(pipeline):
    def source() -> Iterator[np.ndarray]:
        yield signing(1).points[0]
        raise Damaged("line 2", "no JSON", "write JSON")

    with pytest.raises(Damaged) as error:
        list(streamed(pipeline).feed(source()))
    assert error.value.subject == "line 2"


def test_a_fitted_person_is_measured_before_frames_are_shown(pipeline):
    stream = streamed(pipeline, align=True)
    numbers = [frame.number for frame in stream.feed(signing(MEASURED + 2))]
    assert numbers == [MEASURED - 1, MEASURED, MEASURED + 1]


def test_a_fitted_person_is_measured_by_as_many_frames_of_a_slow_stream(pipeline):
    assert len(list(streamed(pipeline, align=True, fps=5).feed(signing(60, fps=5.0)))) == 60 - MEASURED + 1
    causal = Causal(5.0, FRAME)
    for one in signing(40, fps=5.0).points:  # shoulders are lost in every other frame
        causal.add(one)
        causal.add(np.zeros((133, 3)))
    assert len(causal.seen()) == MEASURED


def test_a_clip_brings_its_size_and_rate(pipeline):
    clip = signing(2, (640, 480), fps=50.0)
    stream = signgen.live(person(), pipeline)
    assert [frame.image.shape for frame in stream.feed(clip)] == [(480, 640, 3)] * 2
    assert stream._causal.fps == 50
    with pytest.raises(Mismatch, match="clip: it has 25 frames per second, the stream 50"):
        list(stream.feed(signing(1, (640, 480))))


@pytest.mark.parametrize(("options", "said"), [({"fps": 12.5}, "frames per second"), ({"fps": 25.0}, "its frame is")])
def test_a_clip_that_contradicts_the_settings_is_refused(pipeline, options, said):
    stream = streamed(pipeline, **options)
    with pytest.raises(Mismatch, match=said) as error:
        list(stream.feed(signing(1, FRAME if said == "frames per second" else (84, 104))))
    assert error.value.subject == "clip"
    assert not stream._causal.count
    ntsc = signing(2, fps=30_000 / 1001)
    assert len(list(streamed(pipeline, fps=29.97).feed(ntsc))) == 2


def test_a_closed_feed_adds_nothing_later(pipeline):
    stream, come, gone = streamed(pipeline), threading.Event(), threading.Event()

    def source() -> Iterator[np.ndarray]:
        yield signing(1).points[0]
        assert come.wait(PATIENCE)
        yield signing(1).points[0]

    def watched() -> Iterator[np.ndarray]:
        try:
            yield from source()
        finally:
            gone.set()

    frames = stream.feed(watched())
    next(frames)
    frames.close()
    come.set()
    assert gone.wait(PATIENCE)
    assert stream._causal.count == 1


def test_keypoints_of_another_frame_are_laid_onto_the_canvas(pipeline):
    clip = signing(2, (640, 480))
    stream = signgen.live(person(), pipeline, frame_size=(640, 480))
    assert [frame.image.shape for frame in stream.feed(clip)] == [(480, 640, 3)] * 2


@pytest.mark.parametrize(
    ("options", "kind", "subject"),
    [({"frames": slice(0, 2)}, Mismatch, "--frames"), ({"window": 4}, Mismatch, "--window"),
     ({"background": "none"}, Mismatch, "--background"), ({"delay": 99}, BadValue, "--delay"),
     ({"source": Source(picture(), None, "who", "image"), "align": True}, Missing, "--align")],
)  # fmt: skip
def test_what_a_live_render_cannot_do_is_refused(pipeline, options, kind, subject):
    with pytest.raises(kind) as error:
        signgen.live(options.pop("source", person()), pipeline, **options)
    assert error.value.subject == subject


def test_delays_are_summed_up():
    delays = Delays()
    for number in range(11):
        frame = LiveFrame(np.zeros((1, 1, 3), np.uint8), number, 0.1 if number else 1.0, dropped=number % 2)
        delays.add(frame, now=5 + number * 0.05)
    told = delays.summary()
    assert told == {
        "frames": 11, "dropped": 5, "seconds": 0.5, "frames_per_second": 20.0,
        "delay_ms": {"median": 100.0, "p95": 550.0, "most": 1000.0},
    }  # fmt: skip
    assert Delays().summary()["frames_per_second"] == 0.0


# --- lines ------------------------------------------------------------------------------------------------------------
def openpose(points: np.ndarray) -> dict:
    """A frame as OpenPose writes it, of which only the hands are told."""
    hand = points[LEFT_HAND].ravel().tolist()
    return {"version": 1.3, "people": [{"pose_keypoints_2d": [], "hand_left_keypoints_2d": hand}]}


def test_a_line_is_read_in_every_way_it_may_be_written():
    points = signing(1).points[0].astype(float)
    reader, listed = LineReader(), points.tolist()
    mmpose = [{"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist()}]
    for value in (listed, {"keypoints": listed}, mmpose, {"instances": mmpose, "frame_id": 0},
                  {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist()}):  # fmt: skip
        assert np.allclose(reader.read(json.dumps(value)), points), str(value)[:60]
    found = reader.read(json.dumps(openpose(points)).encode())
    assert np.allclose(found[LEFT_HAND], points[LEFT_HAND])
    assert not found[:17].any()
    for nobody in (b"null", b"[]", json.dumps({"people": []})):
        assert not reader.read(nobody).any()
    assert reader.read('{"width": 210, "height": 260}') == Header((210, 260))
    assert reader.read('{"fps": 12.5}') == Header(fps=12.5)


@pytest.mark.parametrize(
    ("line", "kind"),
    [(b"{", Damaged), (b"[" * 5000, Damaged), (b"\xff\xfe", Damaged), (b"3", Unsupported), (b'{"a": 1}', Unsupported),
     (b"[[1, 2, 3]]", Unsupported), (b" " * (LONGEST_LINE + 1), TooLarge), (b'{"fps": -1}', BadValue),
     (b'{"width": 10}', BadValue), (json.dumps([["a", 1, 1]] * 133).encode(), InputError),
     (b'{"people": [1]}', InputError), (json.dumps([[[1] * 3]] * 133).encode(), InputError)],
)  # fmt: skip
def test_a_line_that_is_no_frame_is_an_input_error_with_its_number(line, kind):
    reader = LineReader("stdin")
    reader.read(b"null")
    with pytest.raises(kind) as error:
        reader.read(line)
    assert "stdin, line 2" in error.value.subject


def test_lines_begin_with_a_header_or_without():
    frame = json.dumps(signing(1).points[0].tolist()).encode()
    told = Lines(io.BytesIO(b'\n{"width": 42, "height": 52, "fps": 20}\n' + frame + b"\n\nnull"))
    assert told.header == Header((42, 52), 20)
    assert [one.any() for one in told] == [True, False]
    plain = Lines(io.BytesIO(frame + b"\n" + frame))
    assert plain.header == Header()
    assert len(list(plain)) == 2
    with pytest.raises(Empty) as error:
        Lines(io.BytesIO(b"\n"))
    assert error.value.subject == "stdin"


def test_a_first_frame_that_states_its_canvas_needs_no_header():
    frame = json.loads(b"".join(keypoint_pieces(signing(1).with_size(640, 480), "comfyui")[0]))[0]
    assert Lines(io.BytesIO(json.dumps(frame).encode())).header == Header((640, 480))
    reader, incoming = LineReader(), Incoming()
    incoming.put(Header(fps=30.0))
    incoming.put(reader.read(json.dumps(frame)), reader.stated)
    assert incoming.header == Header((640, 480), 30.0)


def test_a_file_is_played_at_its_rate():
    clip = signing(6, fps=40.0)
    begun = time.monotonic()
    frames = list(Played(clip))
    assert time.monotonic() - begun >= 5 / 40
    assert np.array_equal(frames, clip.points)


# --- the command ------------------------------------------------------------------------------------------------------
def test_raw_frames_go_to_standard_output_and_nothing_else_does(tmp_path):
    model = save_pipeline(tmp_path / "model")
    lines = [json.dumps({"width": FRAME[0], "height": FRAME[1], "fps": 25})]
    lines += [json.dumps(points.tolist()) for points in signing(3).points]
    log = tmp_path / "delays.jsonl"
    command = ["live", "-", "-o", "-", "--every", "--model", str(model), "--delays", str(log)]
    done = CliRunner().invoke(main, command, input="\n".join(lines))
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout_bytes) == 3 * FRAME[0] * FRAME[1] * 3
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["number"] for one in told] == [0, 1, 2]
    assert all(one["delay_ms"] > 0 for one in told)
    assert "3 frames" in done.stderr


def test_delays_never_replace_an_input_and_need_a_place(tmp_path):
    clip = tmp_path / "clip.npz"
    write_keypoints(signing(2), clip)
    before = clip.read_bytes()
    for log, said in (
        (clip, "--delays: .* is one of the inputs; write elsewhere"),
        (tmp_path / "no" / "a", "no folder"),
    ):
        done = CliRunner().invoke(main, ["live", str(clip), "-o", "-", "--delays", str(log)])
        assert done.exit_code == 2
        assert re.search(said, done.stderr), done.stderr
    assert clip.read_bytes() == before


def test_what_is_assumed_of_a_file_is_said_beside_raw_frames_too(tmp_path):
    model = save_pipeline(tmp_path / "model")
    write_keypoints(signing(2), tmp_path / "clip.json")  # MMPose's says no rate
    command = ["live", str(tmp_path / "clip.json"), "-o", "-", "--every", "--model", str(model)]
    done = CliRunner().invoke(main, [*command, "--frame-size", f"{FRAME[0]}x{FRAME[1]}"])
    assert done.exit_code == 0, done.stderr
    assert "warning: the file says no frame rate; assumed 25 fps (--fps)" in done.stderr
    assert len(done.stdout_bytes) == 2 * FRAME[0] * FRAME[1] * 3


def test_a_file_is_rendered_live_and_the_result_is_json(tmp_path):
    pytest.importorskip("uvicorn", reason="the page's packages are not installed")
    pytest.importorskip("websockets", reason="the page's packages are not installed")
    model = save_pipeline(tmp_path / "model")
    write_keypoints(signing(4), tmp_path / "clip.npz")
    command = ["live", str(tmp_path / "clip.npz"), "--port", "0", "--json", "--every", "--model", str(model)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["frames"] == 4
    assert result["dropped"] == 0
    assert result["url"].startswith("http://127.0.0.1:")
    assert set(result["delay_ms"]) == {"median", "p95", "most"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["-o", "a.mp4"], "--output"), (["-o", "-", "--json"], "--json"), (["-", "--estimator", "rtmlib"], "--estimator"),
     (["absent.npz", "-o", "-"], "absent.npz"), (["-", "-o", "-", "--delay", "-1"], "--delay")],
)  # fmt: skip
def test_bad_usage_is_one_line(arguments, said, tmp_path):
    if "--delay" in arguments:
        arguments = [*arguments, "--model", str(save_pipeline(tmp_path / "model"))]
    done = CliRunner().invoke(main, ["live", *arguments], input="null\n")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_the_example_of_the_package_is_read_as_lines_are():
    clip = read_keypoints(signgen.package.EXAMPLES / "weather.pose").keypoints[:2]
    lines = Lines(io.BytesIO(b"\n".join(json.dumps(one.tolist()).encode() for one in clip.points)))
    assert np.allclose(list(lines), clip.points)
    assert SEEN >= 1


# --- the benchmark ----------------------------------------------------------------------------------------------------
def test_the_benchmark_finds_delay_rate_and_drift(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    from live import figures

    numbers = np.arange(0, 1200, 2)  # every other one of 20 a second for a minute
    came = numbers / 20
    told = figures(numbers, came, came + 0.1 + came / 60 * 0.006, 20.0)
    assert told["left_out"] == pytest.approx(0.5, abs=0.001)
    assert told["frames_per_second"] == pytest.approx(10, abs=0.01)
    assert told["drift_ms_a_minute"] == pytest.approx(6, abs=0.01)
    assert told["median_ms"] == pytest.approx(103.1, abs=0.1)
    assert told["p95_ms"] == pytest.approx(105.8, abs=0.1)
