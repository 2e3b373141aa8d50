"""Chooses the pictures of the built-in signers from a synthetic data set, one for each name.

    python tools/make_signer_pictures.py data/synthetic/train ada=s02 ben=s07 ...

A picture should show face and both hands, sharp: of all frames of the signer the one is taken whose least visible
hand and face are seen best and who stands where signers usually stand. Written to signgen/assets/signers as NAME.png
and NAME.npz (its keypoints).
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from signgen.dataset.phoenix import Clip, PhoenixIndex
from signgen.errors import InputError
from signgen.rendering.framing import typical_stance

TARGET = Path(__file__).resolve().parent.parent / "signgen" / "assets" / "signers"
PARTS = (slice(5, 11), slice(23, 91), slice(91, 112), slice(112, 133))


@click.command(help=__doc__)
@click.argument("dataset", type=click.Path(exists=True, path_type=Path))
@click.argument("names", nargs=-1, required=True, metavar="NAME=SIGNER...")
def main(dataset: Path, names: tuple[str, ...]) -> None:
    clips = PhoenixIndex(dataset).clips("train")
    TARGET.mkdir(parents=True, exist_ok=True)
    for pair in names:
        name, _, signer = pair.partition("=")
        own = [clip for clip in clips if clip.speaker == signer]
        if not own:
            raise InputError(dataset, f"has no clip of {signer!r}", "name one of its signers as NAME=SIGNER")
        clip, frame = best_frame(own)
        write(name, clip, frame)
        click.echo(f"{name}: {clip.name} frame {frame}")


def best_frame(clips: list[Clip]) -> tuple[Clip, int]:
    """The clip and the frame in which the least visible part is seen best, eyes open."""
    scores = [(sharpness(load(clip)), clip) for clip in clips]
    best = max(scores, key=lambda pair: pair[0].max())
    return best[1], int(best[0].argmax())


def load(clip: Clip) -> np.ndarray:
    """(T, 133, 3)."""
    with np.load(clip.keypoints, allow_pickle=False) as archive:
        return archive["keypoints"]


def sharpness(points: np.ndarray) -> np.ndarray:
    """(T,): mean confidence of the worst part, less what moves and eyes that are shut."""
    seen = np.min([points[:, part, 2].mean(1) for part in PARTS], 0)
    moved = np.linalg.norm(np.diff(points[..., :2], axis=0, prepend=points[:1, :, :2]), axis=-1)
    hands = moved[:, 91:].max(1)
    eyes = np.abs(points[:, [60, 61, 66, 67], 1] - points[:, [64, 63, 70, 69], 1]).mean(1)
    return seen - 0.05 * hands + 0.1 * np.minimum(eyes, 2.5) - outside(points) - 1.5 * displaced(points)


def displaced(points: np.ndarray) -> np.ndarray:
    """(T,): how far the person stands from where signers of such frames stand, in shoulder widths."""
    usual = typical_stance((210, 260))
    middle, width = points[:, [5, 6], :2].mean(1), np.abs(points[:, 5, 0] - points[:, 6, 0])
    away = np.linalg.norm(middle - (usual.x, usual.y), axis=1) / usual.width
    return away + np.abs(width / usual.width - 1)


def outside(points: np.ndarray, margin: float = 18.0, width: float = 210.0) -> np.ndarray:
    """(T,): 1 where an arm comes near the left or right edge: in a wider frame a cut sleeve would stay visible."""
    x = points[:, 5:11, 0]
    return ((x < margin) | (x > width - margin)).any(1).astype(np.float32)


def write(name: str, clip: Clip, frame: int) -> None:
    (TARGET / f"{name}.png").write_bytes(clip.frames[frame].read_bytes())
    np.savez_compressed(TARGET / f"{name}.npz", keypoints=load(clip)[frame : frame + 1])


if __name__ == "__main__":
    main()
