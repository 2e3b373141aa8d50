"""The recogniser: word errors by hand, decoding against enumeration, frames, saving, training that can be resumed."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from signgen.errors import InputError
from signgen.scoring.recogniser import Recogniser, Recognition, WordErrors, word_errors
from signgen.scoring.recogniser.network import LARGE, Correlation, GlossNetwork, NetworkSize
from signgen.scoring.recogniser.recogniser import WEIGHTS, beam_search, best_path, shrink, small_frames, stride_of
from signgen.scoring.recogniser.samples import Sample, Samples, drawn_by, retimed, sign_at, spans_of
from signgen.scoring.recogniser.training import Schedule, Training
from signgen.synthetic.dataset import VERSION, Plan, draw_clip, pick_signers
from signgen.synthetic.motion.lexicon import glosses

TINY = NetworkSize(32, 32, (8, 8, 8), 4, 16, 8)
BOTH = (TINY, replace(TINY, correlation=True))


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("A B C", "A B C", (3, 0, 0, 0)),
        ("A B C", "A X C", (3, 1, 0, 0)),
        ("A B C", "A C", (3, 0, 1, 0)),
        ("A B C", "A B B C", (3, 0, 0, 1)),
        ("A B C D", "B C X D E", (4, 0, 1, 2)),
        ("A B", "", (2, 0, 2, 0)),
        ("", "A B", (0, 0, 0, 2)),
        ("A B", "C A", (2, 2, 0, 0)),  # two substitutions, or one insertion and one deletion: as many errors
        ("ICH HEUTE REGEN SEHEN", "HEUTE SCHNEE SEHEN GUT", (4, 1, 1, 1)),
    ],
)
def test_word_errors_by_hand(reference: str, hypothesis: str, expected: tuple[int, int, int, int]) -> None:
    got = word_errors(reference.split(), hypothesis.split())
    assert (got.words, got.substitutions, got.deletions, got.insertions) == expected


def test_word_error_rate_sums_over_sentences_before_it_divides() -> None:
    total = word_errors(["A"], ["X", "Y"]) + word_errors(["B", "C", "D"], ["B", "C", "D"])
    assert (total.errors, total.words, total.rate) == (2, 4, 0.5)
    assert word_errors([], ["A"]).rate is None


def _errors_of(references: list, hypotheses: list) -> WordErrors:
    return sum(map(word_errors, references, hypotheses), WordErrors())


def _collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label)


def test_a_wide_beam_finds_the_likeliest_sequence_of_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        logits = torch.from_numpy(rng.normal(0, 2, (5, 4)))
        log_probs = logits.log_softmax(-1).numpy()
        shares: dict[tuple[int, ...], float] = {}
        for path in itertools.product(range(4), repeat=5):
            mass = float(np.exp(sum(log_probs[t, label] for t, label in enumerate(path))))
            shares[_collapsed(path)] = shares.get(_collapsed(path), 0.0) + mass
        assert tuple(beam_search(log_probs, 1000)) == max(shares, key=lambda labels: shares[labels])


def test_the_beam_sums_alignments_that_the_best_path_does_not() -> None:
    log_probs = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))  # blank twice: .36; label 1 in any way: .64
    assert best_path(log_probs) == []
    assert beam_search(log_probs) == [1]


def test_equal_neighbours_merge_unless_a_blank_parts_them() -> None:
    scores = np.eye(3)[[1, 1, 0, 1, 2, 2]]
    assert best_path(scores) == [1, 1, 2]
    assert beam_search(np.log(scores + 1e-9)) == [1, 1, 2]


def test_every_second_frame_is_seen_at_25_a_second() -> None:
    video = np.stack([np.full((8, 8, 3), index, np.uint8) for index in range(70)])
    assert small_frames(video, 25.0, 8, 8)[:, 0, 0, 0].tolist() == list(range(0, 70, 2))
    assert small_frames(iter(video), 25.0, 8, 8, first=1)[:, 0, 0, 0].tolist() == list(range(1, 70, 2))
    assert [stride_of(fps) for fps in (10.0, 12.5, 25.0, 50.0)] == [1, 1, 2, 4]


def test_shrinking_keeps_the_mean_and_refuses_floats() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 60, 40, 3), np.uint8)
    assert shrink(frames, 12, 8).mean() == pytest.approx(frames.mean(), abs=1.5)
    with pytest.raises(InputError, match="uint8"):
        shrink(frames / 255.0, 12, 8)


@pytest.mark.parametrize("size", BOTH)
def test_saved_and_loaded_it_recognises_the_same(tmp_path: Path, size: NetworkSize) -> None:
    first = Recogniser(_awake(size).half().float(), "ABC")
    first.save(tmp_path)
    second = Recogniser.load(tmp_path)
    video = np.random.default_rng(1).integers(0, 256, (30, 40, 40, 3), np.uint8)
    assert np.allclose(first.log_probs(video), second.log_probs(video), atol=1e-6)
    assert first.signature == second.signature
    with pytest.raises(InputError, match="one output per gloss"):
        Recogniser(GlossNetwork(3, TINY), "AB")
    (tmp_path / "config.json").write_text(json.dumps({"size": {"height": 32}, "glosses": ["A"]}))
    with pytest.raises(InputError, match="another network"):
        Recogniser.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"size": [], "glosses": ["A"]}))
    with pytest.raises(InputError, match="another network"):
        Recogniser.load(tmp_path)
    first.save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match="another network"):
        Recogniser.load(tmp_path)
    with pytest.raises(InputError, match="not found"):
        Recogniser.load(tmp_path / "nowhere")


def _awake(size: NetworkSize) -> GlossNetwork:
    """A network of three glosses whose correlations, which begin with nothing, add something."""
    torch.manual_seed(0)
    network = GlossNetwork(3, size).eval()
    for module in network.modules():
        if isinstance(module, Correlation):
            for weights in (module.key.weight, module.moving.weight, module.up.weight):
                weights.data.mul_(8)
            module.amount.data.fill_(1.0)
    return network


@pytest.mark.parametrize("size", BOTH)
def test_padding_in_a_batch_changes_nothing(size: NetworkSize) -> None:
    network = _awake(size)
    frames = torch.rand(2, 9, 3, 32, 32)
    with torch.inference_mode():
        both, counts = network(frames, torch.tensor([9, 6]))
        alone, _ = network(frames[1:, :6], torch.tensor([6]))
    assert counts.tolist() == [5, 3]
    assert torch.allclose(both[1, :3], alone[0], atol=1e-5)


def test_correlation_follows_its_equation() -> None:
    torch.manual_seed(0)
    layer = Correlation(8).eval()
    layer.amount.data.fill_(2.0)
    x, clips = torch.randn(5, 8, 2, 3), ((0, 3), (3, 5))  # two clips of three and of two frames
    neighbours = torch.tensor([[0, 0, 1, 3, 3], [0, 1, 2, 3, 4], [1, 2, 2, 4, 4]])
    with torch.inference_mode():
        got = layer(x, neighbours)
        flat, keys = x.flatten(2), layer.key(x).flatten(2)
        expected = torch.empty_like(x)
        for first, end in clips:
            for t in range(first, end):
                sides = max(first, t - 1), min(end - 1, t + 1)
                moved = torch.zeros(8, 6)
                for place, (side, weight) in itertools.product(range(6), zip(sides, layer.neighbours, strict=True)):
                    for other in range(6):
                        alike = torch.sigmoid(keys[t, :, place] @ keys[side, :, other] / 2**0.5) - 0.5
                        moved[:, place] += weight * alike * flat[side, :, other]
                around = torch.stack([layer.down(x[[n]])[0] for n in (sides[0], t, sides[1])], 1).flatten(0, 1)
                where = torch.sigmoid(layer.up(layer.moving(around[None])))[0] - 0.5
                expected[t] = x[t] + 2.0 * moved.view(8, 2, 3) * where
    assert torch.allclose(got, expected, atol=1e-5)
    assert not torch.allclose(got, x, atol=1e-2)


def test_long_videos_are_read_as_if_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    video = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), np.uint8)
    recogniser = Recogniser(_awake(BOTH[1]), "ABC")
    whole = recogniser.log_probs(video, 12.5)
    monkeypatch.setattr("signgen.scoring.recogniser.recogniser._FRAMES", 7)
    assert np.allclose(recogniser.log_probs(video, 12.5), whole, atol=1e-5)
    monkeypatch.setattr(NetworkSize, "reach", 0)  # too few: the places where pieces meet would differ
    assert not np.allclose(recogniser.log_probs(video, 12.5), whole, atol=1e-5)


@pytest.mark.parametrize("size", BOTH)
def test_features_depend_on_as_many_neighbours_as_said(size: NetworkSize) -> None:
    network, frames, lengths = _awake(size).double(), torch.rand(9, 3, 32, 32, dtype=torch.float64), torch.tensor([9])
    with torch.inference_mode():
        before = network.encode_frames(frames, lengths)
        frames[4] = 1 - frames[4]
        changed = (network.encode_frames(frames, lengths) != before).any(1)
    assert changed.tolist() == [abs(number - 4) <= size.reach for number in range(9)]


def test_the_large_recogniser_has_three_to_five_million_weights() -> None:
    assert 3e6 <= sum(weights.numel() for weights in GlossNetwork(16, LARGE).parameters()) <= 5e6


def test_a_frozen_video_of_no_words_retains_nothing() -> None:
    class Reader(Recogniser):
        """Reads the words off the first pixel of each frame."""

        def __init__(self) -> None:
            pass

        def recognise(self, frames, fps=25.0):
            seen = [int(frame[0, 0, 0]) for frame in frames]
            return ["-ABC"[value] for value, _ in itertools.groupby(seen) if value]

    def video(*values: int) -> np.ndarray:
        return np.stack([np.full((4, 4, 3), value, np.uint8) for value in values])

    true = video(1, 1, 2, 3)
    made, scores = (true, video(1, 3, 3), video(0, 0)), {}
    for name in ("wer_true", "wer_generated", "recognition_retained"):
        metric = Recognition(name, Reader())
        for generated in made:
            metric.update(generated, true, "ABC")
        scores[name] = float(metric.compute())
    assert scores["wer_true"] == 0
    assert scores["wer_generated"] == pytest.approx(4 / 9)
    assert scores["recognition_retained"] == pytest.approx(5 / 9)
    errors = sum((word_errors("ABC", Reader().recognise(generated)) for generated in made), WordErrors())
    assert (errors.words, errors.deletions, errors.insertions) == (9, 4, 0)
    assert Recognition("wer_generated", Reader()).sums() == (0, 0)


def test_retiming_keeps_order_and_both_ends_near() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        picked = retimed(21, rng)
        assert (np.diff(picked) >= 0).all()
        assert picked[0] <= 1
        assert picked[-1] >= 19
        assert 17 <= len(picked) <= 26


def test_signs_lie_where_the_score_puts_them() -> None:
    plan = Plan(3, "dev", ("s01",))
    marks = plan.score(0).marks
    spans = spans_of(plan, 0, 1)
    assert [tuple(2 * time + 1 for time in span) for span in spans] == [
        pytest.approx((mark.start, mark.end)) for mark in marks
    ]
    assert sign_at([(1.0, 2.5), (4.0, 5.0)], np.arange(7)).tolist() == [-1, 0, 0, -1, 1, 1, -1]


def _squares(count: int) -> Samples:
    """Clips in which a bright square stands left (A), right (B), or first one and then the other."""
    items = []
    rng = np.random.default_rng(0)
    for index in range(count):
        words = [["A"], ["B"], ["A", "B"], ["B", "A"]][index % 4]
        frames = rng.integers(0, 30, (16, 32, 32, 3)).astype(np.uint8)
        spans = [(16 * i / len(words) + 1, 16 * (i + 1) / len(words) - 2) for i in range(len(words))]
        for word, (start, end) in zip(words, spans, strict=True):
            left = 2 if word == "A" else 22
            frames[int(start) : int(end) + 1, 12:20, left : left + 8] = 255
        items.append(Sample(frames, np.zeros((16, 133, 3), np.float32), tuple(words), spans))
    return Samples(tuple(items))


def _trained(folder: Path, stops: list[int], steps: int, size: NetworkSize = TINY, points: float = 4.0) -> Training:
    """A run of ``steps``, killed and begun again after each of ``stops`` steps."""
    schedule = Schedule(steps=steps, batch=8, warmup=10, rate=4e-3, points=points)
    for stop in [*stops, steps]:
        training = Training(_squares(8), ("A", "B"), size, schedule)
        training.run(folder / "run.pt", lambda line: None, until=stop)
    return training


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole, stopped = _trained(tmp_path / "a", [], 8), _trained(tmp_path / "b", [3, 6], 8)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, stopped.network.state_dict()[name]), name
    with pytest.raises(InputError, match="other steps"):
        Training(_squares(8), ("A", "B"), TINY, Schedule(steps=9)).run(tmp_path / "a" / "run.pt", lambda line: None)


@pytest.mark.parametrize(("size", "points", "steps"), [(BOTH[0], 4.0, 120), (BOTH[1], 0.0, 200)])
def test_training_learns_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: NetworkSize, points: float, steps: int
) -> None:
    # Here left and right are what tells the words apart.
    monkeypatch.setattr("signgen.scoring.recogniser.samples.MIRRORED", 0.0)
    network = _trained(tmp_path, [], steps, size, points).network
    assert all(module.amount != 0 for module in network.modules() if isinstance(module, Correlation))
    recogniser, held_out = Recogniser(network, ("A", "B")), _squares(12).items[8:]
    errors = _errors_of(
        [sample.glosses for sample in held_out], [recogniser.recognise(sample.frames, 12.5) for sample in held_out]
    )
    assert errors.rate == 0


def test_the_shipped_recogniser_reads_drawn_sentences_that_it_was_not_trained_on() -> None:
    recogniser = Recogniser.load()
    assert recogniser.glosses == tuple(sorted(glosses()))  # drawn content of another version needs other weights
    assert (WEIGHTS / "model.safetensors").stat().st_size <= 2.5 * 2**20
    plan, clips = Plan(14, "dev", pick_signers("24", "dev"), version=4), range(5)
    said = [plan.score(index).glosses for index in clips]
    heard = [recogniser.recognise(image for image, _ in draw_clip(plan, index)) for index in clips]
    right, chance = _errors_of(said, heard), _errors_of([*said[1:], said[0]], heard)
    assert right.errors <= chance.errors - right.words / 3  # a third of the words more than in somebody else's sentence


def test_only_an_invented_set_says_when_its_signs_begin(tmp_path: Path) -> None:
    plan = {"seed": 3, "split": "train", "signers": ["s01"], "frames": [42, 42], "size": [210, 260], "version": VERSION}
    for more, known in (({}, True), ({"motion": ["clip.pose"]}, False), ({"version": 3}, False)):
        (tmp_path / "synthetic.json").write_text(json.dumps({"splits": {"train": {"settings": plan | more}}}))
        assert (drawn_by(tmp_path, "train") is not None) == known
        assert drawn_by(tmp_path, "dev") is None
