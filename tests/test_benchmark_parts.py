"""Parts of a model switched off: what each render then lacks, and the table of what that costs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from benches import load

from signgen import load_source, read_keypoints, render
from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import Damaged, Mismatch
from signgen.synthetic.dataset import Plan, write_dataset
from signgen.video import read_frames


@pytest.fixture(scope="module")
def parts() -> ModuleType:
    return load("parts")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("drawn")
    write_dataset(folder, Plan(3, "test", ("h01",), (8, 8)), 1)
    return PhoenixIndex(folder).clips("test")[0]


# "both refiners" and the composer are gone as the hand refiner is.
RENDERED = ("whole model", "cross-view attention", "fusion embedding", "moved source", "hand mesh", "hand refiner")


def test_each_part_that_is_off_changes_what_it_is_for(parts: ModuleType, clip: Clip, tmp_path: Path) -> None:
    keypoints, alma = read_keypoints(clip.keypoints).keypoints, load_source("alma")
    seen, frames = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for part in RENDERED:
        pipeline = parts.PARTS[part]("mini")
        guides: list[np.ndarray] = []
        told = pipeline.with_guides
        pipeline.with_guides = lambda *given, told=told, guides=guides: guides.append(told(*given)) or guides[-1]
        output = tmp_path / part.replace(" ", "-")
        render(keypoints, alma, pipeline, output, **parts.options_of(part, pipeline))
        seen[part] = np.concatenate(guides)[..., 3:] != 128
        frames[part] = np.stack(list(read_frames(output))).astype(np.float64)
        assert set(pipeline.refiners) == {"hand_refiner", "face_refiner"} - {part.replace(" ", "_")}
        if part != parts.WHOLE:
            assert np.abs(frames[part] - frames[parts.WHOLE]).mean() > 0, part
    for part, shown in seen.items():
        assert shown[..., :6].any() == (part != "hand mesh")
        assert shown[..., 6:].any() == (part != "moved source")
    assert parts.options_of("fusion embedding", pipeline) == {"guidance": [1.0, 0.0]}


def _results(parts: ModuleType, hand: list[float]) -> dict[str, Any]:
    tables = {row.name: np.array([[value, 1.0] for value in hand]) for row in parts.MEASURES}
    return {kind: {"clips": ["a"] * len(hand), "model": parts.summary(tables, 0)} for kind in parts.KINDS}


def test_the_table_marks_what_is_told_from_chance(parts: ModuleType) -> None:
    assert parts.MODEL == "model"
    steady, noisy = [0.8, 0.7, 0.9, 0.6], [0.9, 0.6, 1.0, 0.5]
    results = {
        parts.WHOLE: _results(parts, steady),
        "hand mesh": _results(parts, [value - 0.1 for value in steady]),
        "composer": _results(parts, noisy),
    }
    lines = parts.document(results, 0).splitlines()
    assert lines[4] == "|  | whole model | without hand mesh | without composer |"
    assert lines[6] == "| Hand SSIM | 0.750 | 0.650 (**-0.100**) | 0.750 (+0.000) |"
    assert lines[7] == "| hands within 3 px, % | 75.0 | 65.0 (**-10.0**) | 75.0 (+0.0) |"


def test_stored_parts_of_another_model_are_refused(parts: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "parts.json"
    assert parts.read_results(path, {"weights": "a"}) == {}
    path.write_text('{"key": {"weights": "b"}, "parts": {"whole model": {}}}')
    assert parts.read_results(path, {"weights": "b"}) == {"whole model": {}}
    with pytest.raises(Mismatch, match="other weights"):
        parts.read_results(path, {"weights": "a"})
    path.write_text("[]")
    with pytest.raises(Damaged):
        parts.read_results(path, {"weights": "a"})
