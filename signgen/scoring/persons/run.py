"""`signgen evaluate --protocol`: generated pictures of pairs, of signgen or of others, as papers score theirs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from signgen.dataset.persons.prepare import table_of
from signgen.dataset.persons.tables import PairTable, all_pictures, splits_of
from signgen.errors import BadValue, InputError
from signgen.files import check_target, place_file
from signgen.package import versions
from signgen.processes import in_processes
from signgen.scoring.comparison import Interval, bootstrap_intervals, quotients
from signgen.scoring.metrics.fid import FID, INCEPTION
from signgen.scoring.metrics.image import PSNR_CAP, peak_ratio, ssim_pair
from signgen.scoring.metrics.lpips import ALEXNET, LPIPS, perceptual
from signgen.scoring.metrics.stlpips import STLPIPS
from signgen.scoring.persons.pictures import Generated, by_outfit, find_generated
from signgen.scoring.persons.protocols import PROTOCOLS, WHOLE_BATCHES, Protocol, protocol_of
from signgen.scoring.persons.published import Reported, reported_beside
from signgen.scoring.run import processes
from signgen.scoring.summary import plain
from signgen.video import read_image

BATCH = 16  # pictures in memory at once
_PACKAGES = ("numpy", "torch", "torchmetrics", "scikit-image", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Weights:
    """Files of networks; without one its scores are not computed."""

    lpips: str | Path | None = None
    fid: str | Path | None = None
    stlpips: str | Path | None = None


@dataclass(frozen=True)
class PairResult:
    """Scores of generated pictures by one protocol.

    Attributes:
        protocol, family: see `signgen.scoring.persons.protocols`.
        metrics: score -> mean over pairs, or the Fréchet distance; None where it was not computed.
        intervals: 95 % bootstrap intervals over targets' outfits, None where there is none.
        not_computed: why a score is None.
        counts: pairs, missing, ignored, and pictures of reference sets.
        signatures: definition of each score, with family, resize rules and reference set.
        reported: published tables of the same family and resolution; none of it was measured here.
        versions, warnings, settings: as of `signgen.scoring.EvaluationResult`.
    """

    protocol: str
    family: str
    metrics: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    not_computed: Mapping[str, str]
    counts: Mapping[str, int]
    signatures: Mapping[str, str]
    reported: tuple[Reported, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; each row of ``reported`` is marked so."""
        return plain(asdict(self)) | {"reported": [plain(table.to_json()) for table in self.reported]}


def evaluate_pairs(
    generated: str | Path,
    data: str | Path,
    protocol: str,
    *,
    layout: str | None = None,
    names: str = "error",
    limit: int | None = None,
    weights: Weights = Weights(),
    csv_file: str | Path | None = None,
    seed: int = 0,
    jobs: int | None = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PairResult:
    """Scores a folder of generated pictures against the true pictures of a data set's test pairs.

    Args:
        generated: pictures named ``X_2_Y_vis.png`` (NTED, PIDM, CFLD, signgen), ``X.jpg_2_Y.jpg.png`` (FPDM) or
            ``X_to_Y.png`` (PCDMs).
        data: the data set, or what `signgen prepare` made of it. layout: see `signgen.dataset.persons.tables`.
        protocol: one of `signgen.scoring.persons.protocols.PROTOCOLS`.
        names: ``error`` or ``common``, for pairs without a picture. limit: only the first so many pairs.
        csv_file: file for one line a pair. seed: of the intervals. jobs: processes; None: as many
            as are worth their start.
        progress: called as ``progress(pictures done, pictures in all)``.

    Raises:
        InputError: pictures are missing, damaged or of a size that the protocol has no rule for; no such protocol.

    Example:
        >>> from signgen.scoring.persons.run import evaluate_pairs
        >>> result = evaluate_pairs("generated", "deepfashion", "cfld-256")
        >>> sorted(result.metrics)[-2:]
        ['ssim_gauss15', 'ssim_win51']
    """
    if csv_file is not None:
        check_target(Path(csv_file), "file")
    table = table_of(data, "test", layout)
    chosen = protocol_of(protocol, table.layout)
    found = find_generated(generated, table, names, limit)
    references, not_computed = _references(table, chosen, weights)
    values, moments = _measured(
        table, chosen, found, references, weights, jobs or processes(len(found.files)), progress
    )
    metrics, intervals = _means(table, found, values, seed)
    counts = {"pairs": len(found.files), "missing": len(found.missing), "ignored": len(found.ignored)}
    for name, kind in chosen.fid:
        if name not in not_computed:
            metrics[name], intervals[name] = _distance(weights, moments["generated"], moments[kind]), None
            counts[f"{name}_references"] = int(moments[kind]["num_samples"])
    not_computed = _lacking(chosen, weights, metrics) | not_computed
    if csv_file is not None:
        place_file(Path(csv_file), _lines(table, found, values))
    settings = {
        "generated": str(generated), "data": str(table.root), "layout": table.layout, "pairs": table.rule,
        "names": names, "limit": limit, "seed": seed, "family_ssim": next(iter(chosen.ssim_names)), **asdict(weights),
    }  # fmt: skip
    signatures = _signatures(chosen, metrics, counts, weights)
    return PairResult(
        protocol, chosen.family, metrics, intervals, not_computed, counts, signatures,
        tuple(reported_beside(chosen)), versions(_PACKAGES), _warnings(found, table), settings,
    )  # fmt: skip


# -- pictures to values ----------------------------------------------------------------------------------------------


Moments = dict[str, Any]
"""sum (D,), cov_sum (D,D) and num_samples of features."""


def _measured(
    table: PairTable,
    protocol: Protocol,
    found: Generated,
    references: dict[str, list[Path]],
    weights: Weights,
    jobs: int,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, np.ndarray], dict[str, Moments]]:
    """Values (n,) of each pair by score, and moments of the features of generated pictures and reference sets."""
    pairs = [(path, table.file(int(table.pairs[number, 1]))) for number, path in found.files]
    total, done = len(pairs) + sum(map(len, references.values())), 0
    progress(0, total)
    values: dict[str, list[np.ndarray]] = {}
    moments: dict[str, Moments] = {}
    for part, features in in_processes(
        partial(score_batch, name=protocol.name, weights=weights), _batches(pairs), jobs
    ):
        for name, some in part.items():
            values.setdefault(name, []).append(some)
        if features is not None:
            _add(moments, "generated", features, protocol, len(pairs))
        done += len(next(iter(part.values())))
        progress(done, total)
    for kind, files in references.items():
        for features in in_processes(
            partial(reference_batch, name=protocol.name, weights=weights), _batches(files), jobs
        ):
            _add(moments, kind, features, protocol, len(files))
            done += len(features)
            progress(done, total)
    return {name: np.concatenate(parts) for name, parts in values.items()}, moments


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _add(moments: dict[str, Moments], kind: str, features: np.ndarray, protocol: Protocol, count: int) -> None:
    """Features (n,D) of the next of ``count`` pictures."""
    known = moments.setdefault(kind, {"num_samples": 0, "sum": 0.0, "cov_sum": 0.0})
    if protocol.whole_batches and count >= WHOLE_BATCHES:
        features = features[: count // WHOLE_BATCHES * WHOLE_BATCHES - known["num_samples"]]
    rows = features.astype(np.float64)
    known["num_samples"] += len(rows)
    known["sum"] = known["sum"] + rows.sum(0)
    known["cov_sum"] = known["cov_sum"] + rows.T @ rows


def score_batch(
    pairs: Sequence[tuple[Path, Path]], name: str, weights: Weights
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Scores (n,) of generated and true pictures, and features (n,D) of the generated ones where FID is wanted."""
    protocol, networks = PROTOCOLS[name], _networks(weights)
    pred = np.stack([_resized(protocol.generated, path, protocol) for path, _ in pairs])
    true = np.stack([_resized(protocol.true, path, protocol) for _, path in pairs])
    values: dict[str, np.ndarray] = {}
    for score, definition in protocol.ssim_names.items():
        each = zip(pred, true, pairs, strict=True)
        values[score] = np.array([_ssim(made, real, definition, path) for made, real, (path, _) in each])
    values["psnr"] = peak_ratio(pred, true)
    if "lpips" in networks:
        values["lpips"] = perceptual(protocol.lpips(pred), protocol.lpips(true), networks["lpips"].network)
    if "stlpips" in networks:
        values["stlpips"] = perceptual(pred, true, networks["stlpips"].network)
    return values, networks["fid"].features(pred) if "fid" in networks else None


def reference_batch(files: Sequence[Path], name: str, weights: Weights) -> np.ndarray:
    """Features (n,D) of true pictures."""
    protocol = PROTOCOLS[name]
    return _networks(weights)["fid"].features(np.stack([_resized(protocol.true, path, protocol) for path in files]))


def _resized(resize: Callable, path: Path, protocol: Protocol) -> np.ndarray:
    """A picture as the protocol scores it, with its file's name in what is wrong with it."""
    try:
        return resize(read_image(path), protocol.size)
    except InputError as error:
        raise type(error)(path, error.got, error.advice) from None


def _ssim(pred: np.ndarray, true: np.ndarray, definition: Any, path: Path) -> float:
    try:
        return ssim_pair(pred, true, definition)
    except BadValue as error:
        raise BadValue(path, error.got, error.advice) from None


@lru_cache(maxsize=1)
def _networks(weights: Weights) -> dict[str, Any]:
    """The metrics whose networks there are files of, once a process."""
    found: dict[str, Any] = {}
    if weights.lpips is not None:
        found["lpips"] = LPIPS(weights.lpips)
    if weights.stlpips is not None:
        found["stlpips"] = STLPIPS(weights.stlpips)
    if weights.fid is not None:
        found["fid"] = FID(weights.fid)
    return found


# -- values to scores ------------------------------------------------------------------------------------------------


def _means(
    table: PairTable, found: Generated, values: dict[str, np.ndarray], seed: int
) -> tuple[dict[str, float | None], dict[str, Interval | None]]:
    """Mean of each score, and its interval over the outfits of targets: pairs of one outfit are alike."""
    group = by_outfit(table, [number for number, _ in found.files])
    ones = np.bincount(group).astype(np.float64)
    sums = np.stack([np.stack([np.bincount(group, some), ones], -1) for some in values.values()], 1)  # (outfits, M, 2)
    means = quotients(sums.sum(0))
    return (
        {name: float(mean) for name, mean in zip(values, means, strict=True)},
        dict(zip(values, bootstrap_intervals(sums, seed), strict=True)),
    )


def _references(table: PairTable, protocol: Protocol, weights: Weights) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """Pictures of each reference set of FID, and why there is none."""
    sets: dict[str, list[Path]] = {}
    reasons: dict[str, str] = {}
    targets = {table.file(int(number)) for number in np.unique(table.pairs[:, 1])}
    for name, kind in protocol.fid:
        if weights.fid is None:
            reasons[name] = f"no weights: {INCEPTION.advice}; give the file with --fid-weights"
            continue
        if kind == "targets":
            sets[kind] = sorted(targets)
            continue
        splits = [split for split in splits_of(table.root, table.layout) if split == "train" or kind == "others"]
        files = {path for split in splits for path in all_pictures(table.root, split, table.layout)}
        sets[kind] = sorted(files - targets if kind == "others" else files)
        if len(sets[kind]) < 2:
            del sets[kind]
            reasons[name] = "its reference set is not there: the data set's training pictures"
    return sets, reasons


def _distance(weights: Weights, generated: Moments, reference: Moments) -> float | None:
    """FID of moments; None where fewer than two pictures are."""
    states = {f"fake_features_{name}": value for name, value in generated.items()}
    states |= {f"real_features_{name}": value for name, value in reference.items()}
    return _networks(weights)["fid"].distance(states)


def _lacking(protocol: Protocol, weights: Weights, metrics: dict[str, float | None]) -> dict[str, str]:
    """Puts None for scores that were not computed into ``metrics``; why, by name."""
    reasons = {}
    if "lpips" not in metrics:
        reasons["lpips"] = f"no weights: {ALEXNET.advice}; give the file with --lpips-weights"
    for name in ("lpips", *(name for name, _ in protocol.fid)):
        if metrics.setdefault(name, None) is None and name not in reasons and weights.fid is not None:
            reasons[name] = "it needs two pictures or more"
    return reasons


def _signatures(
    protocol: Protocol, metrics: Mapping[str, float | None], counts: Mapping[str, int], weights: Weights
) -> dict[str, str]:
    """Of each score that was computed."""
    pairs = f"targets-of-{counts['pairs']}-pairs"
    what = {name: definition.signature for name, definition in protocol.ssim_names.items()}
    what["psnr"] = f"peak:1,cap:{PSNR_CAP:g}dB"
    if weights.lpips is not None:
        what["lpips"] = f"alexnet,heads:v0.1,weights:{_networks(weights)['lpips'].fingerprint},{protocol.lpips_words()}"
    if weights.stlpips is not None:
        metric = _networks(weights)["stlpips"]
        what["stlpips"] = f"{metric.network.kind},heads:vST0.0,weights:{metric.fingerprint}"
    found = {name: protocol.signature(name, words, pairs) for name, words in what.items()}
    for name, kind in protocol.fid:
        if metrics.get(name) is not None:
            words = _networks(weights)["fid"].described.replace("|", ",")
            words += ",whole-batches-of-128" if protocol.whole_batches else ""
            words += f",pictures:{counts['pairs']}"  # fewer give a higher distance
            found[name] = protocol.signature(name, words, f"{kind}-{counts[f'{name}_references']}")
    return found


def _warnings(found: Generated, table: PairTable) -> tuple[str, ...]:
    said = []
    if found.missing:
        said.append(f"{len(found.missing)} pairs have no picture and are left out: not the whole protocol")
    if found.ignored:
        said.append(f"{len(found.ignored)} pictures are of no pair and are ignored, such as {found.ignored[0]}")
    if table.left_out:
        said.append(f"{len(table.left_out)} listed pairs cannot be used, such as {': '.join(table.left_out[0])}")
    return tuple(said)


def _lines(table: PairTable, found: Generated, values: dict[str, np.ndarray]) -> bytes:
    """One line a pair, in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "target", "file", *values])
    for row, (number, path) in enumerate(found.files):
        writer.writerow([*table.names[number], path.name, *(repr(float(some[row])) for some in values.values())])
    return text.getvalue().encode()
