"""docs/persons.md: drawn people in CFLD's layout, noisy targets as published results, and a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from docs_stage import Stage, keypoint_file
from person_maker import draw_people, write_cfld
from PIL import Image
from tiny_pipeline import make_pipeline

from signgen.dataset.persons.names import output_name
from signgen.dataset.persons.tables import read_table
from signgen.video import read_image


def prepare(folder: Path) -> None:
    table = read_table(write_cfld(folder / "deepfashion", draw_people()))
    results = folder / "cfld_results"
    results.mkdir()
    for number, names in enumerate(table.names):
        picture = read_image(table.file(int(table.pairs[number, 1])))[::2, ::2]
        noise = np.random.default_rng(number).normal(0, 8, picture.shape)
        Image.fromarray(np.clip(picture + noise, 0, 255).astype(np.uint8)).save(results / output_name(*names))
    pipeline = make_pipeline((176, 256))
    pipeline.register_to_config(pose_style="fpdm18")
    pipeline.save_pretrained(folder / "models" / "fpdm-256")
    keypoint_file(folder / "clip.json", frames=2)


def check(folder: Path) -> None:
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["counts"]["pairs"] == len(list((folder / "pictures").glob("*_vis.png"))) == 14
    assert json.loads((folder / "pictures" / "render-pairs.json").read_text())["pose_style"] == "fpdm18"


STAGE = Stage(prepare=prepare, leaves=("pairs.csv", "poses.mp4", "data/deepfashion-256/test/pairs.csv"), check=check)
