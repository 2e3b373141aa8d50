"""Retrieval by the fusion embedding: does source and target pose find the target among all targets? (FPDM, Table 2)"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from signgen.dataset.persons.prepare import table_of
from signgen.dataset.persons.tables import PairTable
from signgen.dataset.shards import Pictures
from signgen.errors import BadValue, Damaged, InputError, Mismatch, NotFound
from signgen.keypoints.layouts.body18 import from_body18
from signgen.model.loading import choose_device
from signgen.model.networks.canvas import fit_canvas, fit_frames, fit_points
from signgen.model.networks.fusion import FusionModel
from signgen.model.networks.weight_files import no_bars
from signgen.package import versions
from signgen.pose_image import draw_points
from signgen.scoring.comparison import bootstrap_intervals, quotients
from signgen.scoring.persons.pictures import by_outfit
from signgen.scoring.persons.protocols import RETRIEVAL
from signgen.scoring.persons.published import TABLES
from signgen.scoring.persons.run import PairResult
from signgen.video.tensors import to_signed

AT = (1, 3, 5)  # FPDM Table 2
MEASURES = (*(f"recall_at_{k}" for k in AT), "mean_rank")
BATCH = 16  # pictures that pass the encoder together
_PACKAGES = ("numpy", "torch", "transformers", "opencv-python-headless", "pillow")


def ranks(queries: np.ndarray, gallery: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Place of each query's own picture when the gallery is sorted by cosine similarity, int64 (Q,), 1 is the best.

    Pictures as similar as the own one count as better, so that a model which tells nothing apart gains nothing by it.

    Args:
        queries: (Q, D), gallery: (G, D), neither need be of unit length.
        own: (Q,) index into the gallery of what each query shall find.

    Raises:
        InputError: the widths differ, or an index lies outside of the gallery.
    """
    if queries.shape[1:] != gallery.shape[1:] or len(own) != len(queries):
        got = f"{queries.shape} queries, {gallery.shape} pictures, {len(own)} answers"
        raise Mismatch("retrieval", got, "give one answer a query and embeddings of one width")
    if len(own) and (own.min() < 0 or own.max() >= len(gallery)):
        raise BadValue("retrieval", f"answers from {own.min()} to {own.max()}", f"the gallery has {len(gallery)}")
    similar = _unit(queries) @ _unit(gallery).T  # (Q, G)
    mine = np.take_along_axis(similar, own[:, None], 1)  # (Q, 1)
    return (similar >= mine).sum(1)


def sums(found: np.ndarray) -> np.ndarray:
    """Ranks (Q,) -> (M, 2) numerators and denominators of `MEASURES`, which may be added over groups."""
    hits = [[(found <= k).sum(), len(found)] for k in AT]
    return np.array([*hits, [found.sum(), len(found)]], np.float64)


def chance(gallery: int) -> dict[str, float]:
    """What a random order of so many pictures gives on average."""
    recalls = {f"recall_at_{k}": min(1.0, k / gallery) for k in AT}
    return {**recalls, "mean_rank": (gallery + 1) / 2}


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def evaluate_retrieval(
    model: str | Path,
    data: str | Path,
    *,
    layout: str | None = None,
    size: tuple[int, int] = (352, 512),
    pose_style: str = "fpdm18",
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PairResult:
    """R@1, R@3, R@5 and mean rank of a data set's test pairs; the gallery are their targets, each once.

    Args:
        model: folder of a fusion model, ``RUN/model/fusion``, or of a model that has one.
        data, layout, limit, seed: as `signgen.scoring.persons.run.evaluate_pairs`.
        size: (W, H) of the pictures that the model was trained on. pose_style: how its poses were drawn.
        progress: called as ``progress(pictures and pairs done, in all)``.

    Raises:
        InputError: the folder holds no fusion model, or the data set no pairs.
    """
    folder = next((place for place in (Path(model), Path(model) / "fusion") if (place / "config.json").is_file()), None)
    if folder is None:
        raise NotFound(model, "holds no fusion model", "give the folder model/fusion of a run, or a model that has one")
    table = table_of(data, "test", layout)
    try:
        with no_bars():
            network = FusionModel.from_pretrained(folder, use_safetensors=True).eval().to(choose_device(device))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise Damaged(folder, f"cannot be loaded ({reason})", "give the folder of a fusion model") from None
    pairs = table.pairs[:limit]
    targets, own = np.unique(pairs[:, 1], return_inverse=True)
    total, done = 2 * len(table.pictures) + len(pairs), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    pictures, poses = _embedded(network, table, size, pose_style, advance)
    queries = []
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        with torch.inference_mode():
            queries.append(network.combiner(pictures[part[:, 0]], poses[part[:, 1]]).float().cpu().numpy())
        advance(len(part))
    found = ranks(np.concatenate(queries), pictures[targets].float().cpu().numpy(), own)
    group = by_outfit(table, list(range(len(pairs))))
    parts = np.stack([sums(found[group == number]) for number in range(group.max() + 1)])
    metrics = dict(zip(MEASURES, map(float, quotients(parts.sum(0))), strict=True))
    intervals = dict(zip(MEASURES, bootstrap_intervals(parts, seed), strict=True))
    words = f"family:{RETRIEVAL}|cosine,ties-count-as-better|pose:{pose_style}|size:{size[0]}x{size[1]}|pil-bicubic"
    where = f"reference:{len(targets)}-targets-of-{len(pairs)}-pairs|v1"
    settings = {
        "generated": str(model), "data": str(table.root), "layout": table.layout, "pairs": table.rule, "limit": limit,
        "seed": seed, "pose_style": pose_style, "chance": chance(len(targets)),
    }  # fmt: skip
    return PairResult(
        RETRIEVAL, RETRIEVAL, metrics, intervals, {}, {"pairs": len(pairs), "gallery": len(targets)},
        {name: f"{name}|{words}|{where}" for name in MEASURES},
        tuple(known for known in TABLES if known.family == RETRIEVAL), versions(_PACKAGES), (), settings,
    )  # fmt: skip


@torch.inference_mode()
def _embedded(
    network: FusionModel, table: PairTable, size: tuple[int, int], style: str, advance: Callable[[int], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings (P, D) of all pictures, and of all poses as they are drawn."""
    device = next(network.parameters()).device
    files = Pictures(table.files, size)
    points, canvas = fit_points(from_body18(table.points(size)), *size), fit_canvas(*size).size
    pictures, poses = [], []
    for start in range(0, len(files), BATCH):
        some = points[start : start + BATCH]
        pictures.append(network.encode(fit_frames(to_signed(files[np.arange(start, start + len(some))], device))))
        drawn = draw_points(some[..., :2], some[..., 2], canvas, canvas, style)
        poses.append(network.encode(to_signed(drawn, device)))
        advance(2 * len(some))
    return torch.cat(pictures), torch.cat(poses)
