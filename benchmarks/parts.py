"""What does each part of a model bring? The held-out clips, with one part after the other switched off.

    python benchmarks/parts.py --json parts.json > parts.md             # `mini`, all parts
    python benchmarks/parts.py --only composer --only "hand mesh"       # some of them

Nothing is trained anew without a part, as `ablation.py` does for FPDM's rows: what the others learned beside it stays,
so this says what the finished model would lose. Clips are those of `held_out.py`, each rendered from its own first
frame; differences from the whole model and their 95 % intervals are over pairs of clips. What the JSON file holds
already is not measured again.

The hand mesh is the solid hand fitted to the keypoints, which denoiser and hand refiner see; the moved source is the
source's head and trunk where the pose has them, which the denoiser and, with its sleeves, the composer see. Without
composer and matte, frames have the backdrop that the denoiser paints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from drawn_clips import CACHE, CONTENT, KINDS, held_out_clips, no_fusion, without_cross_view
from held_out_table import Panel, Row, differences, names, summary
from legibility_scores import MODEL

from signgen.dataset.files import write_text
from signgen.dataset.phoenix import Clip
from signgen.errors import Damaged, Mismatch, SignGenError
from signgen.model import SignGenPipeline
from signgen.synthetic import VERSIONS

WHOLE = "whole model"
MEASURES = (
    Row("hand_ssim", "Hand SSIM"),
    Row("within_3_px", "hands within 3 px, %", digits=1, scale=100),
    Row("shape_right", "hand shape right, %", digits=1, scale=100),
    Row("wrist_px", "wrists off by, px", digits=2),
    Row("face_ssim", "Face SSIM"),
    Row("mouth_ssim", "Mouth SSIM"),
    Row("ssim_win51", "SSIM win51"),
    Row("background_deviation", "background deviation", digits=2),
    Row("still_flicker", "still flicker", digits=2),
    Row("motion_ratio", "motion ratio"),
)


class WithoutMesh(SignGenPipeline):
    """A pipeline that is told of no fitted hands."""

    def with_guides(self, poses: np.ndarray, points: np.ndarray, solid: Any, sources: Any) -> np.ndarray:
        return super().with_guides(poses, points, None, sources)

    def refine(self, frames: np.ndarray, poses: np.ndarray, points: np.ndarray, solid: Any = None,
               sources: Any = (), mattes: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
        return super().refine(frames, poses, points, None, sources, mattes)


class WithoutMovedSource(SignGenPipeline):
    """A pipeline in whose guides the source does not appear; the refiners still see its hands and face."""

    def with_guides(self, poses: np.ndarray, points: np.ndarray, solid: Any, sources: Any) -> np.ndarray:
        return super().with_guides(poses, points, solid, ())

    def compose(self, frames: np.ndarray, poses: np.ndarray, points: np.ndarray, backdrop: Any,
                sources: Any = ()) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        return super().compose(frames, poses, points, backdrop, ())


def _without(*components: str) -> Callable[[str], SignGenPipeline]:
    def load(model: str) -> SignGenPipeline:
        pipeline = SignGenPipeline.from_pretrained(model)
        pipeline.register_modules(**dict.fromkeys(components))
        return pipeline

    return load


PARTS: dict[str, Callable[[str], SignGenPipeline]] = {
    WHOLE: SignGenPipeline.from_pretrained,
    "cross-view attention": lambda model: without_cross_view(SignGenPipeline.from_pretrained(model)),
    "fusion embedding": SignGenPipeline.from_pretrained,  # see `options_of`
    "moved source": WithoutMovedSource.from_pretrained,
    "hand mesh": WithoutMesh.from_pretrained,
    "composer": _without("matte", "composer"),
    "hand refiner": _without("hand_refiner"),
    "face refiner": _without("face_refiner"),
    "both refiners": _without("hand_refiner", "face_refiner"),
}


def options_of(part: str, pipeline: SignGenPipeline) -> dict[str, Any]:
    """Options of `render` that switch the part off."""
    return no_fusion(pipeline) if part == "fusion embedding" else {}


def measure(part: str, model: str, clips: dict[str, list[Clip]], seed: int) -> dict[str, Any]:
    """Kind -> clips and the summary of each measure."""
    pipeline = PARTS[part](model)
    panel = Panel.load(pipeline, outside=False)
    found = dict[str, Any]()
    for kind, own in clips.items():
        rows = []
        for clip in own:
            rows.append(panel.judge(clip, None, seed=seed, **options_of(part, pipeline))[1])
            print(f"without {part}, {kind} signers: {len(rows)}/{len(own)} clips", file=sys.stderr)
        tables = {row.name: np.stack([sums[row.name] for sums in rows]) for row in MEASURES}
        found[kind] = {"clips": names(own), MODEL: summary(tables, seed)}
    return found


def table(results: dict[str, Any], kind: str, seed: int) -> str:
    """The parts as columns, whole model first; differences that are off zero in bold."""
    whole = results[WHOLE][kind][MODEL]
    parts = [part for part in PARTS if part in results and part != WHOLE]
    lines = [["", WHOLE, *(f"without {part}" for part in parts)]]
    lines.append(["---"] * len(lines[0]))
    for row in MEASURES:
        cells = [row.label, row.text(whole[row.name]["value"])]
        for part in parts:
            one = results[part][kind][MODEL][row.name]
            parted = row.text(one["value"] - whole[row.name]["value"], "+")
            interval = differences(one, whole[row.name], seed) if len(one["sums"]) > 1 else None
            told = interval is not None and (interval[0] > 0 or interval[1] < 0)
            cells.append(f"{row.text(one['value'])} ({f'**{parted}**' if told else parted})")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def document(results: dict[str, Any], seed: int) -> str:
    """A table for each kind of signers."""
    parts = [
        "In brackets: the difference from the whole model, bold where its 95 % interval over clips has no zero. With"
        " five clips or fewer that is a hint: a permutation test cannot tell them from chance."
    ]
    for kind in KINDS:
        parts.append(f"## {kind} signers, {len(results[WHOLE][kind]['clips'])} clips")
        parts.append(table(results, kind, seed))
    return "\n\n".join(parts) + "\n"


def read_results(path: Path | None, key: dict[str, Any]) -> dict[str, Any]:
    """Parts that an earlier run with the same ``key`` has measured; none where there is no file.

    Raises:
        SignGenError: the file holds something else, or what other weights, clips or judges gave.
    """
    if path is None or not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, results = content["key"], dict(content["parts"])
    except (ValueError, KeyError, TypeError) as problem:
        raise Damaged(path, f"holds no results ({problem})", "name another file") from None
    if other := [name for name in key if found.get(name) != key[name]]:
        raise Mismatch(path, f"was measured with other {', '.join(other)}", "name another file")
    return results


@click.command(help=__doc__)
@click.option("--model", default="mini", show_default=True, help="name or folder")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)[1:]), help="these parts; may be repeated")
@click.option("--known", type=click.Path(exists=True, path_type=Path), help="data set with a dev split")
@click.option("--new", type=click.Path(exists=True, path_type=Path), help="data set with a test split")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--limit", default=12, show_default=True, type=click.IntRange(1), help="clips of each kind")
@click.option("--content", default=str(CONTENT), show_default=True, type=click.Choice([str(v) for v in VERSIONS]),
              help="content version of the clips that are drawn")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="of the clips that are drawn, the noise and the intervals")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="keep the results here, and go on from them")
def main(
    model: str, only: tuple[str, ...], known: Path | None, new: Path | None, cache: Path, limit: int, content: str,
    seed: int, json_path: Path | None,
) -> None:  # fmt: skip
    folders = {"known": known, "new": new}
    clips = {kind: held_out_clips(kind, folders[kind], cache, limit, seed, int(content)) for kind in KINDS}
    whole = SignGenPipeline.from_pretrained(model)
    key = {"weights": whole.weights_sha256(), "dtype": str(whole.dtype), "seed": seed,
           "clips": {kind: names(own) for kind, own in clips.items()}}  # fmt: skip
    results = read_results(json_path, key)
    for part in PARTS if not only else [WHOLE, *only]:
        if part not in results:
            results[part] = measure(part, model, clips, seed)
            if json_path is not None:
                write_text(json_path, json.dumps({"key": key, "parts": results}) + "\n")
    print(document(results, seed), end="")


if __name__ == "__main__":
    try:
        main()
    except SignGenError as problem:
        sys.exit(f"error: {problem}")
