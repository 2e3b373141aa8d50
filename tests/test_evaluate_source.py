"""The report's source panel: from the manifest beside a render, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clip_maker import clip, save
from PIL import Image

from signgen.rendering.manifest import build_manifest
from signgen.rendering.source import builtin_names, load_source
from signgen.scoring.clips import VideoClip
from signgen.scoring.measures import score_clip
from signgen.scoring.metrics.image import PSNR
from signgen.scoring.pairing import Pair
from signgen.scoring.report.clips import report_clip, source_picture
from signgen.scoring.report.pictures import Limits, webp


def _manifest(path: Path, source: str) -> None:
    path.write_text(json.dumps(build_manifest({"source": source}, "0", {})), encoding="utf-8")


def test_a_built_in_signer_is_found_by_its_name(tmp_path: Path) -> None:
    name = builtin_names()[0]
    _manifest(tmp_path / "clip.json", name)
    assert np.array_equal(source_picture(tmp_path / "clip.mp4"), load_source(name).image)


@pytest.mark.parametrize("manifest", ["clip.json", "clip.manifest.json"])
def test_a_picture_is_found_beside_the_video(tmp_path: Path, manifest: str) -> None:
    picture = clip(1, seed=3)[0]
    Image.fromarray(picture).save(tmp_path / "me.png")
    _manifest(tmp_path / manifest, "me.png")
    assert np.array_equal(source_picture(tmp_path / "clip"), picture)


@pytest.mark.parametrize("content", ["", "[1]", '{"source": "alma"}', "not json"])
def test_other_files_of_that_name_say_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "clip.json").write_text(content, encoding="utf-8")
    assert source_picture(tmp_path / "clip.mp4") is None


def test_a_source_that_is_gone_leaves_its_panel_out(tmp_path: Path) -> None:
    _manifest(tmp_path / "clip.json", "gone.png")
    assert source_picture(tmp_path / "clip.mp4") is None


def test_the_report_gets_it(tmp_path: Path) -> None:
    save(clip(2), tmp_path / "made"), save(clip(2), tmp_path / "true")
    _manifest(tmp_path / "made.json", builtin_names()[1])
    sides = [VideoClip("a", tmp_path / side) for side in ("true", "made")]
    pair = Pair("a", sides[0], (sides[1],), 2, None)
    shown = report_clip(pair, score_clip(pair, 0, {"psnr": PSNR()}, limits=Limits()), Limits())
    assert shown.pictures.source == webp(load_source(builtin_names()[1]).image, Limits().side)
    assert shown.pictures.count == 2
