"""MediaPipe's landmarks in every wrapping: the same points as in a `.pose` file come out."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keypoint_maker import signer

from signgen.errors import Damaged, Empty, Missing, NotFound, NotInstalled, TooLarge, Unsupported
from signgen.keypoints import Keypoints, read_keypoints, write_keypoints
from signgen.keypoints.formats.registry import FORMATS
from signgen.keypoints.keypoint_files import keypoint_bytes
from signgen.keypoints.layouts.holistic import JOINTS, PLACES, STARTS

CLIP = signer(6)
SIZE = (210, 260)
RNG = np.random.default_rng(4)


def landmarks() -> np.ndarray:
    """(6,543,4) in Holistic's order: what the 133 need lies where it should, all else anywhere in the middle.

    In the third frame there is no left hand.
    """
    made = RNG.uniform(0.45, 0.55, (6, 543, 4))
    made[..., 3] = 0
    for part, places in PLACES.items():
        rows = [STARTS[part] + place for place in places.values()]
        made[:, rows, :2] = CLIP.xy[:, list(places)] / SIZE
    made[:, :33, 3] = 0.8
    made[2, 501:522] = np.nan
    return made


def kaggle(made: np.ndarray) -> np.ndarray:
    """Face, left hand, pose, right hand."""
    return np.concatenate([made[:, 33:501], made[:, 501:522], made[:, :33], made[:, 522:]], 1)


def flat(made: np.ndarray, body: int = 4) -> np.ndarray:
    zeros = np.nan_to_num(made)  # as the tutorials fill what was not found
    return np.concatenate([zeros[:, :33, :body].reshape(6, -1), zeros[:, 33:, :3].reshape(6, -1)], 1)


def saved(value: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value)
    return stream.getvalue()


def frames(names: dict[str, str], wrap: Callable[[list], Any], **more: Any) -> list[dict[str, Any]]:
    made, found = landmarks(), []
    slices = {"pose": slice(0, 33), "face": slice(33, 501), "left": slice(501, 522), "right": slice(522, 543)}
    for t, frame in enumerate(made):
        parts = {name: frame[slices[part]].tolist() for part, name in names.items()}
        said = {name: None if np.isnan(rows[0][0]) else wrap(rows) for name, rows in parts.items()}
        found.append(said | more | {"frame": t})
    return found


SNAKES = {
    part: f"{part}{'_hand' * (part in ('left', 'right'))}_landmarks" for part in ("pose", "face", "left", "right")
}
CAMELS = {"pose": "poseLandmarks", "face": "faceLandmarks", "left": "leftHandLandmarks", "right": "rightHandLandmarks"}


def named(rows: list) -> list[dict[str, float]]:
    return [dict(zip(("x", "y", "z", "visibility"), row, strict=True)) for row in rows]


def texts(rows: list) -> dict[str, Any]:
    """As the University of Surrey wrote them for WMT-SLT."""
    return {"num_landmarks": len(rows), "landmarks": [",".join(map(str, row)) for row in rows]}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def long_table() -> bytes:
    made, text = landmarks(), io.StringIO()
    table = csv.writer(text)
    table.writerow(["frame", "row_id", "type", "landmark_index", "x", "y", "z"])
    for t, frame in enumerate(made):
        for part, count in (("face", 468), ("left_hand", 21), ("pose", 33), ("right_hand", 21)):
            for i in range(count):
                x, y, z, _ = frame[STARTS[part] + i]
                row = ["", "", ""] if np.isnan(x) else [x, y, z]
                table.writerow([20 + t, f"{20 + t}-{part}-{i}", part, i, *row])
    return text.getvalue().encode()


def wide_names(pattern: str) -> list[str]:
    counts = {"pose": 33, "face": 468, "left_hand": 21, "right_hand": 21}
    return [pattern.format(axis=axis, part=part, i=i) for part, n in counts.items() for i in range(n) for axis in "xyz"]


def rows_of(values: np.ndarray, head: list[str] | None = None, first: list | None = None, mark: str = ",") -> bytes:
    text = io.StringIO()
    table = csv.writer(text, delimiter=mark)
    if head:
        table.writerow([*(["frame" if isinstance(first[0], int) else "label"] if first else []), *head])
    for t, row in enumerate(values):
        table.writerow([*([first[t]] if first else []), *("" if np.isnan(one) else one for one in row)])
    return text.getvalue().encode()


WRAPPED: dict[str, Callable[[], bytes]] = {
    "543 x 4": lambda: saved(landmarks()),
    "543 x 3": lambda: saved(landmarks()[..., :3].astype(np.float32)),
    "543 x 2": lambda: saved(landmarks()[..., :2]),
    "543 x 3, zeros": lambda: saved(np.nan_to_num(landmarks()[..., :3])),
    "Kaggle's order": lambda: saved(kaggle(landmarks())[..., :3]),
    "a batch of one": lambda: saved(landmarks()[None, ..., :3]),
    "one person a frame": lambda: saved(landmarks()[:, None]),
    "553 x 3": lambda: saved(np.insert(landmarks()[..., :3], [501] * 10, 0.5, axis=1)),
    "rows of 1662": lambda: saved(flat(landmarks())),
    "rows of 1629": lambda: saved(landmarks()[..., :3].reshape(6, -1)),
    "an npz": lambda: _npz(keypoints=landmarks()[..., :3]),
    "a pickle": lambda: pickle.dumps({"train/clip": landmarks()[..., :3]}),
    "JSON, named": lambda: as_json(frames(SNAKES, named)),
    "JSON, lists": lambda: as_json({"frames": frames(CAMELS, lambda rows: rows)}),
    "JSON, Tasks' people": lambda: as_json(frames(SNAKES, lambda rows: [named(rows)])),
    "JSON, protocol buffers": lambda: as_json(frames(SNAKES, lambda rows: {"landmark": named(rows)})),
    "JSON, texts": lambda: as_json(frames(SNAKES, texts)),
    "JSON by number": lambda: as_json({str(t): one for t, one in enumerate(frames(CAMELS, named))}),
    "Kaggle's table": long_table,
    "a table of columns": lambda: rows_of(
        landmarks()[..., :3].reshape(6, -1), wide_names("{axis}_{part}_{i}"), [*range(6)]
    ),
    "other columns": lambda: rows_of(landmarks()[..., :3].reshape(6, -1), wide_names("{part}_{i}_{axis}"), mark=";"),
    "a table of numbers": lambda: rows_of(flat(landmarks())),
    "counted columns": lambda: rows_of(flat(landmarks()), [*map(str, range(1662))]),
    "numbers and a label": lambda: rows_of(flat(landmarks()), [f"c{i}" for i in range(1662)], ["house"] * 6),
}  # fmt: skip


def _npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def assert_clip(clip: Keypoints, face: bool = True) -> None:
    wanted = np.zeros((6, 133), bool)
    wanted[:, list(JOINTS)] = True
    wanted[2, 91:112] = False
    if not face:
        wanted[:, 23:91] = False
    assert np.array_equal(clip.confidence > 0, wanted)
    assert np.abs(clip.xy - CLIP.xy)[wanted].max() < 1e-3
    assert (clip.confidence[:, 91:][wanted[:, 91:]] == 1).all(), "hands have no visibility of their own"


@pytest.mark.parametrize("name", WRAPPED)
def test_it_is_read_like_the_same_points_in_a_pose_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "clip.dat").write_bytes(WRAPPED[name]())
    read = read_keypoints(tmp_path / "clip.dat", frame_size=SIZE, fps=25)
    assert_clip(read.keypoints)
    if name not in ("an npz", "a pickle"):
        assert read.format == "mediapipe"
    if any(part in name for part in ("x 4", "1662", "named")):
        assert np.allclose(read.keypoints.confidence[:, 5], 0.8)


@pytest.mark.parametrize("body", [3, 4])
def test_body_and_hands_alone(tmp_path: Path, body: int) -> None:
    made = np.delete(landmarks(), range(33, 501), axis=1)
    rows = flat(made, body)
    assert rows.shape[1] == {3: 225, 4: 258}[body]
    np.save(tmp_path / "a.npy", rows)
    assert_clip(read_keypoints(tmp_path / "a.npy", frame_size=SIZE).keypoints, face=False)
    np.save(tmp_path / "b.npy", made[..., :3])
    assert_clip(read_keypoints(tmp_path / "b.npy", frame_size=SIZE).keypoints, face=False)


def test_a_folder_of_one_array_a_frame_with_a_hole(tmp_path: Path) -> None:
    """As a well-known tutorial keeps them: 0.npy to 29.npy with 1662 numbers."""
    for t, row in enumerate(flat(landmarks())):
        np.save(tmp_path / f"{t + 10 * (t > 3)}.npy", row)
    read = read_keypoints(tmp_path, frame_size=SIZE)
    assert read.format == "mediapipe"
    seen = (read.keypoints.confidence > 0).any(1)
    assert np.flatnonzero(seen).tolist() == [0, 1, 2, 3, 14, 15]
    assert np.abs(read.keypoints.xy[14] - CLIP.xy[4])[91:].max() < 1e-3


def test_a_folder_of_one_json_a_frame(tmp_path: Path) -> None:
    for t, frame in enumerate(frames(SNAKES, named)):
        (tmp_path / f"a_{t:04}.json").write_text(json.dumps(frame))
    assert_clip(read_keypoints(tmp_path, frame_size=SIZE).keypoints)


def test_size_and_rate_in_the_json_are_taken(tmp_path: Path) -> None:
    content = {"fps": 50, "width": 210, "height": 260, "frames": frames(SNAKES, named)}
    (tmp_path / "a.json").write_text(json.dumps(content))
    read = read_keypoints(tmp_path / "a.json")
    assert (read.keypoints.size, read.keypoints.fps, read.warnings) == (SIZE, 50, [])
    assert_clip(read.keypoints)


def test_hands_of_a_list_go_to_the_nearest_wrist(tmp_path: Path) -> None:
    """The Tasks for bodies and hands know nothing of each other; their sides are those of a mirror."""
    content = []
    for t, one in enumerate(frames(SNAKES, lambda rows: [named(rows)])):
        hands = [one.pop(SNAKES[side]) for side in ("right", "left")]
        labels = [[{"index": 0, "score": 0.9, "categoryName": "Left"}], [{"categoryName": "Right"}]]
        content.append(one | {"hand_landmarks": [hand[0] for hand in hands if hand], "handedness": labels, "frame": t})
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert_clip(read_keypoints(tmp_path / "a.json", frame_size=SIZE).keypoints)


def test_hands_alone_go_by_their_name(tmp_path: Path) -> None:
    one = frames(SNAKES, named)[0]
    content = {"multiHandLandmarks": [one[SNAKES["left"]]], "multiHandedness": [{"label": "Left"}]}
    (tmp_path / "a.json").write_text(json.dumps([content]))
    clip = read_keypoints(tmp_path / "a.json", frame_size=SIZE).keypoints
    assert np.flatnonzero(clip.confidence[0]).tolist() == [*range(91, 112)]


def test_frames_without_anybody_stay(tmp_path: Path) -> None:
    content = frames(SNAKES, named)
    content[1] = dict.fromkeys(SNAKES.values()) | {"frame": 1}
    del content[3]
    (tmp_path / "a.json").write_text(json.dumps(content))
    clip = read_keypoints(tmp_path / "a.json", frame_size=SIZE).keypoints
    assert (clip.confidence > 0).any(1).tolist() == [True, False, True, False, True, True]


# --- tables ---------------------------------------------------------------------------------------------------
def test_kaggles_table_keeps_a_hole_and_the_order(tmp_path: Path) -> None:
    head, *rows = long_table().decode().splitlines()
    kept = [row for row in rows if not row.startswith("22,")]
    (tmp_path / "a.csv").write_text("\n".join([head, *kept[543:], *kept[:543]]))
    read = read_keypoints(tmp_path / "a.csv", frame_size=SIZE)
    assert (read.keypoints.confidence > 0).any(1).tolist() == [True, True, False, True, True, True]
    assert np.abs(read.keypoints.xy - CLIP.xy)[[0, 5], 112:].max() < 1e-3
    assert any("frame numbers 22 are missing" in line for line in read.warnings)


@pytest.mark.parametrize("wide", [False, True])
def test_a_table_of_several_clips_asks_which(tmp_path: Path, wide: bool) -> None:
    if wide:
        names, values = wide_names("{axis}_{part}_{i}"), landmarks()[..., :3].reshape(6, -1)
        lines = rows_of(values, names).decode().splitlines()
        text = [f"sequence_id,{lines[0]}", *(f"{11 + t // 4},{line}" for t, line in enumerate(lines[1:]))]
    else:
        lines = long_table().decode().splitlines()
        text = [f"{lines[0]},sequence_id", *(f"{line},{12 if line[:2] > '23' else 11}" for line in lines[1:])]
    (tmp_path / "a.csv").write_text("\n".join(text))
    with pytest.raises(Missing):
        read_keypoints(tmp_path / "a.csv", frame_size=SIZE)
    read = read_keypoints(tmp_path / "a.csv", frame_size=SIZE, clip="12")
    assert (len(read.keypoints), read.keypoints.name) == (2, "12")
    assert np.abs(read.keypoints.xy - CLIP.xy[4:])[:, 91:].max() < 1e-3


@pytest.mark.parametrize("kind", ["npy", "json", "folder", "long", "long of one", "wide", "wide of one"])
def test_a_clip_that_is_not_there_is_asked_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.dat"
    if kind == "folder":
        path.mkdir()
        for t, one in enumerate(landmarks()):
            np.save(path / f"{t}.npy", one)
    elif kind in ("npy", "json"):
        path.write_bytes(saved(landmarks()) if kind == "npy" else keypoint_bytes(CLIP, "mediapipe")[0])
    else:
        wide = rows_of(landmarks()[..., :3].reshape(6, -1), wide_names("{axis}_{part}_{i}"))
        head, *lines = (long_table() if kind.startswith("long") else wide).decode().splitlines()
        one = kind.endswith("of one")
        path.write_text(
            "\n".join([f"sequence_id,{head}", *(f"11,{line}" for line in lines)] if one else [head, *lines])
        )
    for name in (None, "a", "11" if kind.endswith("of one") else "a.dat"):
        assert read_keypoints(path, frame_size=SIZE, clip=name).format == "mediapipe"
    with pytest.raises(NotFound) as error:
        read_keypoints(path, frame_size=SIZE, clip="WRONG")
    assert error.value.subject == str(path)


@pytest.mark.parametrize("wide", [False, True])
def test_parquet(tmp_path: Path, wide: bool) -> None:
    arrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow: pip install signgen[parquet]")
    from pyarrow import csv as reader
    from pyarrow import parquet

    text = rows_of(landmarks()[..., :3].reshape(6, -1), wide_names("{axis}_{part}_{i}")) if wide else long_table()
    parquet.write_table(reader.read_csv(arrow.BufferReader(text)), tmp_path / "a.parquet")
    read = read_keypoints(tmp_path / "a.parquet", frame_size=SIZE)
    assert read.format == "mediapipe"
    assert_clip(read.keypoints)


def test_a_parquet_bomb_is_one_line(tmp_path: Path) -> None:
    """Thirty million times the same landmark, in half a megabyte."""
    arrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow: pip install signgen[parquet]")
    from pyarrow import parquet

    count = 5_000_000
    kind = arrow.DictionaryArray.from_arrays(np.zeros(count, np.int8), ["pose"])
    numbers = {name: np.zeros(count, np.int32) for name in ("frame", "landmark_index", "x", "y")}
    table = arrow.table({"type": kind, **numbers})
    with parquet.ParquetWriter(tmp_path / "a.parquet", table.schema) as writer:
        for _ in range(6):
            writer.write_table(table)
    with pytest.raises(TooLarge):
        read_keypoints(tmp_path / "a.parquet")


def test_parquet_without_pyarrow_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    with pytest.raises(NotInstalled) as error:
        read_keypoints(tmp_path / "a.parquet")
    assert "signgen[parquet]" in str(error.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"a,b,c,d\n1,2,3,4\n", Unsupported),
        (b"frame,type,landmark_index,x,y\n", Empty),
        (b"frame,type,landmark_index,x,y\n0,pose,0,much,0.5\n", Damaged),
        (b"frame,type,landmark_index,x,y\n0,pose,0,0.5\n", Damaged),
        (b"frame,type,landmark_index,x,y\n0,pose,0,0.5,0.5\n1000000000,pose,0,0.5,0.5\n", TooLarge),
        (b"frame,type,landmark_index,x,y\n" + b"0" * (3 << 20), TooLarge),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, content: bytes, kind: type[Exception]) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(kind):
        read_keypoints(tmp_path / "a.csv")


def test_it_is_written_as_holistics_own_order(tmp_path: Path) -> None:
    write_keypoints(CLIP, tmp_path / "a.npy", "mediapipe")
    made = np.load(tmp_path / "a.npy")
    assert made.shape == (6, 543, 4)
    assert np.allclose(made[:, 15, :2] * SIZE, CLIP.xy[:, 9], atol=1e-3)
    assert FORMATS["mediapipe"].joints == JOINTS
    assert len(JOINTS) == 131


def test_the_case_of_users() -> None:
    place = Path(os.environ.get("SIGNGEN_SHARED", "absent")) / "cases"
    if not place.exists():
        pytest.skip("needs SIGNGEN_SHARED/cases")
    read = read_keypoints(place / "mediapipe_543.npy", frame_size=(640, 480))
    other = read_keypoints(place / "alphapose_133.pose").keypoints
    assert read.format == "mediapipe"
    seen = (read.keypoints.confidence > 0) & (other.confidence > 0)
    assert seen[:, [0, 5, 6, 9, 10, *range(91, 133)]].all()
    assert np.abs(read.keypoints.xy - other.xy)[seen].max() < 0.05
