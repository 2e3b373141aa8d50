"""Does `--smooth` calm hands at rest and keep fast ones? Against exact keypoints, and on what estimators really found.

    python benchmarks/smoothing.py --drawn DATASET                    # of `signgen synthesize`: exact keypoints
    python benchmarks/smoothing.py --drawn DATASET --real clip.pose   # and files of estimators
    python benchmarks/smoothing.py --drawn DATASET --curve            # other gains of the filter, for the trade-off
    python benchmarks/smoothing.py --drawn DATASET --rendered 4       # and 4 clips rendered: can the hands be found?

Errors of `signgen.dataset.disturbance` are added to exact keypoints: white jitter and drift of single points, of whole
hands, and one row with all faults of estimators, lost points among them. For each way of smoothing the table says, over
the hands of all clips:

- peak: the highest speed of a hand, over that of the exact one (of real files: of the file's own); tips: the same of
  the fingertips as seen from the hand's root, 99th percentile;
- jerk at rest: mean length of the third difference where the hand moves by less than half a width of the shoulders a
  second, over that of the disturbed points; jerk: the same in all frames, of which the movement itself has the most;
- error: pixels, root mean square of all points' distances from the exact ones; 1 px and 3 px: share of the hands whose
  points lie within that on average;
- lag: frames by which fast hands come late.

With --rendered the first seconds of some clips are rendered with disturbed keypoints, smoothed or not, from their
own first frame; the hand detector of `legibility.py` says how many hands lie within 3 px of the exact ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from signgen.dataset.disturbance import Disturbance, disturb
from signgen.keypoints import Keypoints, filters, read_keypoints
from signgen.keypoints.repair.proportions import measure
from signgen.keypoints.skeleton import HANDS

SLOW, FAST = 0.5, 1.5  # widths of the shoulders a second: a hand at rest, and one whose lag can be seen
RENDERED = 1.2  # seconds of a clip
TIPS = [4, 8, 12, 16, 20]
_FAULTS = (
    "jitter", "drift", "wrist_offset", "hand_offset", "hand_scale", "burst", "astray", "swap_hands", "stale_hand",
    "drop_hand", "gap_hand", "drop_finger", "drop_point", "drop_face", "gap_face", "drop_legs", "bare", "fade",
    "unsure", "binary", "beyond_body", "beyond_hands", "face_layout", "face_offset", "face_part",
)  # fmt: skip
CALM = Disturbance(**dict.fromkeys(_FAULTS, 0.0))
# Of `jitter` and `drift` a clip gets a share that is drawn for it, half of them on average.
ERRORS: dict[str, Disturbance] = {
    "jitter 0.6, drift 0.5": replace(CALM, jitter=0.6, drift=0.5),
    "jitter 1.2": replace(CALM, jitter=1.2),
    "jitter 2.0": replace(CALM, jitter=2.0),
    "all faults": Disturbance(),
}
Smoother = Callable[[Keypoints], Keypoints]
WAYS: dict[str, Smoother] = {
    "none": lambda clip: clip,
    "8": lambda clip: clip.smooth(8.0),
    "5": lambda clip: clip.smooth(5.0),
    "auto": lambda clip: clip.smooth("auto"),
}
COLUMNS = ("peak", "lowest", "tips", "jerk at rest", "jerk", "error", "1 px", "3 px", "lag")


def with_gain(gain: float) -> Smoother:
    """The filter with another gain of all parts."""

    def smoothed(clip: Keypoints) -> Keypoints:
        kept = filters.STEADINESS
        filters.STEADINESS = tuple(replace(part, gain=gain) for part in kept)
        try:
            return clip.smooth("auto")
        finally:
            filters.STEADINESS = kept

    return smoothed


def disturbed(clip: Keypoints, how: Disturbance, seed: int) -> Keypoints:
    points = disturb(clip.points[None], np.random.default_rng(seed), how)[0]
    return Keypoints.clean(points[..., :2], points[..., 2], *clip.size, clip.fps, clip.name)[0]


def hands_of(true: Keypoints, given: Keypoints, shown: Keypoints) -> Iterator[dict[str, float]]:
    """Sums of one clip's hands, for `row`."""
    width = measure(true).shoulders
    for hand in HANDS:
        there = np.asarray(((true.confidence[:, hand] > 0) & (given.confidence[:, hand] > 0)).all(1))
        if there.sum() < 20:
            continue
        exact, before, after = (clip.xy[:, hand].astype(np.float64) for clip in (true, given, shown))
        pairs, threes = there[1:] & there[:-1], there[3:] & there[2:-1] & there[1:-2] & there[:-3]
        steps = np.linalg.norm(np.diff(exact, axis=0), axis=-1).max(1) * true.fps / width
        rest = threes & (np.maximum.reduce([steps[2:], steps[1:-1], steps[:-2]]) < SLOW)
        jerks = [np.linalg.norm(np.diff(xy, 3, axis=0), axis=-1).mean(1) for xy in (before, after)]
        speeds = [np.linalg.norm(np.diff(xy.mean(1), axis=0), axis=-1)[pairs].max() for xy in (exact, after)]
        tips = [
            np.quantile(np.linalg.norm(np.diff(xy[:, TIPS] - xy[:, :1], axis=0), axis=-1)[pairs], 0.99)
            for xy in (exact, after)
        ]
        away = np.linalg.norm(after - exact, axis=-1)[there]
        speed = np.gradient(exact.mean(1), axis=0)
        fast = there & (np.linalg.norm(speed, axis=1) * true.fps / width > FAST)
        behind = ((exact - after).mean(1) * speed).sum(1)
        yield {
            "peak": speeds[1] / max(speeds[0], 1e-9), "tips": tips[1] / max(tips[0], 1e-9), "rest": rest.sum(),
            "rest before": jerks[0][rest].sum(), "rest after": jerks[1][rest].sum(),
            "jerk before": jerks[0][threes].sum(), "jerk after": jerks[1][threes].sum(),
            "square": (away**2).sum(), "points": away.size, "hands": len(away),
            "1 px": (away.mean(1) < 1).sum(), "3 px": (away.mean(1) < 3).sum(),
            "behind": behind[fast].sum(), "way": (speed[fast] ** 2).sum(),
        }  # fmt: skip


def row(hands: list[dict[str, float]]) -> dict[str, float]:
    """The columns, over the hands of all clips."""
    total = {name: float(np.sum([hand[name] for hand in hands])) for name in hands[0]}
    return {
        "peak": float(np.mean([hand["peak"] for hand in hands])),
        "lowest": float(np.min([hand["peak"] for hand in hands])),
        "tips": float(np.mean([hand["tips"] for hand in hands])),
        "jerk at rest": total["rest after"] / max(total["rest before"], 1e-9),
        "jerk": total["jerk after"] / max(total["jerk before"], 1e-9),
        "error": (total["square"] / total["points"]) ** 0.5,
        "1 px": total["1 px"] / total["hands"],
        "3 px": total["3 px"] / total["hands"],
        "lag": total["behind"] / max(total["way"], 1e-9),
    }


def table(clips: list[tuple[Keypoints, Keypoints]], ways: dict[str, Smoother]) -> list[str]:
    lines = []
    for name, smoother in ways.items():
        hands = [hand for true, given in clips for hand in hands_of(true, given, smoother(given))]
        if hands:
            values = row(hands)
            lines.append(f"| {name} | " + " | ".join(f"{values[column]:.3f}" for column in COLUMNS) + " |")
    return lines


def rendered(clips: list[Keypoints], folders: list[Path], ways: dict[str, Smoother]) -> Iterator[str]:
    """Lines of the table of hands found in rendered frames."""
    from drawn_clips import generate
    from legibility_scores import Judges, Tally, read_hands

    from signgen.model import SignGenPipeline
    from signgen.rendering.source import Source
    from signgen.scoring.metrics.hand_detectors import load_hand_detector
    from signgen.scoring.metrics.handshapes import load_handshape_classifier
    from signgen.video import read_frames

    pipeline = SignGenPipeline.from_pretrained("mini")
    judges = Judges(load_hand_detector(), load_handshape_classifier())
    for name in ("jitter 0.6, drift 0.5", "jitter 2.0", "all faults"):
        tallies = {way: Tally() for way in ways}
        for number, (clip, folder) in enumerate(zip(clips, folders, strict=True)):
            exact = clip[: round(RENDERED * clip.fps)]
            source = Source(next(iter(read_frames(folder))), exact[0:1], "first frame", "image")
            given = disturbed(exact, ERRORS[name], number)
            for way, smoother in ways.items():
                frames = np.stack(list(generate(pipeline, source, smoother(given))))[1:]
                tallies[way].add(read_hands(judges, frames, exact[1:]), np.full((len(frames), 2), -1))
        for way, tally in tallies.items():
            values = tally.summary(0)
            low, high = values["within_3_px_interval"] or (float("nan"),) * 2
            yield (f"| {name} | {way} | {values['within_3_px']:.3f} ({low:.3f} to {high:.3f}) | "
                   f"{values['mean_px']:.2f} | {values['median_px']:.2f} |")  # fmt: skip


@click.command()
@click.option("--drawn", type=click.Path(exists=True), help="A data set of `signgen synthesize`.")
@click.option("--real", multiple=True, type=click.Path(exists=True), help="Keypoints that an estimator found.")
@click.option("--clips", default=16, help="Clips of the data set, evenly.")
@click.option("--fps", type=float, help="Another rate of the drawn clips.")
@click.option("--rendered", "renders", default=0, help="Clips to be rendered; it takes minutes.")
@click.option("--curve", is_flag=True, help="Other gains of the filter.")
def main(drawn: str | None, real: tuple[str, ...], clips: int, fps: float | None, renders: int, curve: bool) -> None:
    ways = dict(WAYS)
    if curve:
        ways |= {f"auto, gain {gain:g}": with_gain(gain) for gain in (5, 10, 20, 40, 80)}
    files = sorted((Path(drawn) / "keypoints").glob("*.npz")) if drawn else []
    chosen = np.unique(np.linspace(0, len(files) - 1, min(clips, len(files))).astype(int)) if files else []
    exact = [read_keypoints(files[number]).keypoints for number in chosen]
    if fps:
        from signgen.editing.timing import at_rate

        exact = [at_rate(clip, fps) for clip in exact]
    for name, how in ERRORS.items() if exact else ():
        click.echo(f"\n{name}; {len(exact)} drawn clips, {exact[0].fps:g} fps\n\n| smooth | {' | '.join(COLUMNS)} |")
        click.echo("|---|" + "---|" * len(COLUMNS))
        pairs = [(clip, disturbed(clip, how, number)) for number, clip in enumerate(exact)]
        click.echo("\n".join(table(pairs, ways)))
    if renders:
        from signgen.dataset.phoenix import PhoenixIndex

        index = PhoenixIndex(drawn)
        folders = {clip.name: clip.folder for split in index.splits for clip in index.clips(split)}
        some = [number for number in chosen if files[number].stem in folders][:renders]
        click.echo("\n| errors | smooth | hands within 3 px | mean px | median px |\n|---|---|---|---|---|")
        pairs = [(read_keypoints(files[number]).keypoints, folders[files[number].stem]) for number in some]
        for line in rendered(
            [clip for clip, _ in pairs],
            [folder for _, folder in pairs],
            {name: WAYS[name] for name in ("none", "auto")},
        ):
            click.echo(line)
    found = [read_keypoints(path, first=True).keypoints for path in real]
    if found:
        click.echo(f"\n{len(found)} real files, against themselves\n\n| smooth | {' | '.join(COLUMNS)} |")
        click.echo("|---|" + "---|" * len(COLUMNS))
        click.echo("\n".join(table([(clip, clip) for clip in found], ways)))


if __name__ == "__main__":
    main()
