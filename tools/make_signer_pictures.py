"""Draws the pictures of the built-in signers.

    python tools/make_signer_pictures.py signgen/assets/signers [--size 210x260]

Each is a drawn person (`CAST`: a body for training and what is special about the look) who faces the camera with a
friendly face and both hands open and apart, in soft light before a plain backdrop: what a source picture should be.
Writes NAME.png and NAME.npz (its keypoints). The same command writes the same files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from signgen.augmentation.signers import portrait_pose
from signgen.commands.options import SIZE
from signgen.synthetic.body.template import load_shape
from signgen.synthetic.dress.looks import draw_look
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.picture.camera import Camera
from signgen.synthetic.picture.figure import Figure, Frame
from signgen.synthetic.picture.shadows import Studio
from signgen.synthetic.signer import Signer, dress

LIGHT = Studio(
    key=(-0.42, -0.78, 0.46), key_power=(0.66, 0.65, 0.63), floor=0.35, spread=0.22, fill=(0.66, -0.73, 0.14),
    fill_power=(0.27, 0.28, 0.29), rim=(0.55, 0.70, 0.45), rim_power=(0.20, 0.20, 0.21), sky=(0.33, 0.335, 0.345),
    ground=(0.23, 0.22, 0.21),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A built-in signer: the body, the displayed colours of the backdrop's top and bottom, changes to the look."""

    body: str
    top: tuple[float, float, float]
    bottom: tuple[float, float, float]
    look: dict[str, Any] = field(default_factory=dict)


def _wears(kind: str, cloth: tuple[float, float, float], **more: Any) -> dict[str, Any]:
    """A plain garment of one colour with long sleeves, and other changes to a look."""
    plain = {"pattern": 0, "short": 0.0, "tie": False, "cuff": -0.008, "glasses": "none", "wrinkles": 0.06}
    return {"neckline": kind, "cloth": cloth, "sleeves": cloth, "shirt": cloth, **plain, **more}


BROWN, BLOND, BLACK = (0.085, 0.045, 0.026), (0.40, 0.26, 0.13), (0.024, 0.019, 0.018)
CAST = {
    "alma": Part("s18", (0.83, 0.83, 0.85), (0.94, 0.94, 0.95), _wears(
        "jacket", (0.050, 0.060, 0.105), hair="bun", hair_colour=(0.16, 0.058, 0.026), parting=0.0, hair_volume=0.008,
        second=(0.52, 0.51, 0.50))),
    "bela": Part("s15", (0.78, 0.80, 0.82), (0.90, 0.91, 0.92), _wears(
        "shirt", (0.30, 0.40, 0.55), hair="side", hair_colour=(0.060, 0.036, 0.024), parting=-0.026, beard=0.0,
        beard_style="none", glasses="square", frame=(0.03, 0.025, 0.022))),
    "cora": Part("s12", (0.86, 0.84, 0.80), (0.95, 0.94, 0.92), _wears(
        "blouse", (0.30, 0.055, 0.085), hair="bob", hair_colour=BLOND, hair_length=0.12, parting=-0.024,
        hair_volume=0.014)),
    "dara": Part("s08", (0.88, 0.86, 0.83), (0.96, 0.95, 0.93), _wears(
        "vee", (0.48, 0.32, 0.08), hair="afro", hair_colour=BLACK, hair_volume=0.032, parting=0.0, earrings=0.0045,
        frame=(0.40, 0.33, 0.18))),
    "emil": Part("s07", (0.77, 0.79, 0.78), (0.89, 0.90, 0.89), _wears(
        "crew", (0.060, 0.085, 0.055), hair="full", hair_colour=(0.120, 0.070, 0.038), parting=0.024, beard=0.75,
        beard_style="full", hair_volume=0.013)),
    "femi": Part("s03", (0.79, 0.83, 0.87), (0.91, 0.93, 0.95), _wears(
        "turtle", (0.30, 0.29, 0.27), hair="cropped", hair_colour=BLACK, parting=0.0, beard=0.22, beard_style="stubble",
        hair_volume=0.004)),
    "gwen": Part("s06", (0.80, 0.85, 0.89), (0.93, 0.95, 0.97), _wears(
        "crew", (0.035, 0.135, 0.150), hair="wavy", hair_colour=BROWN, hair_length=0.20, parting=0.022,
        hair_volume=0.014, earrings=0.0035, skin=(0.80, 0.53, 0.40), lips=(0.68, 0.33, 0.28))),
    "hana": Part("s14", (0.84, 0.81, 0.83), (0.95, 0.94, 0.95), _wears(
        "crew", (0.115, 0.060, 0.150), hair="long", hair_colour=BLACK, hair_length=0.22, parting=0.018,
        hair_volume=0.010)),
}  # fmt: skip


def signer_of(part: Part) -> Signer:
    """The dressed body of a part."""
    shape = load_shape(part.body)
    return dress(shape, replace(draw_look(part.body, shape.phenotype), **part.look))


def portrait(part: Part, size: tuple[int, int]) -> Frame:
    """The picture and keypoints of a part."""
    signer, (width, height) = signer_of(part), size
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(-1, 1, width)[None, :, None]
    backdrop = np.array(part.top) + (np.array(part.bottom) - np.array(part.top)) * down
    backdrop = backdrop * (1.02 - 0.06 * across**2 - 0.03 * across)
    camera = Camera(x=104.0, top=22.0, squeeze=0.82, mm=3.3, exposure=1.0)
    figure = Figure(
        signer, size, supersample=4, camera=camera, finished=False, studio=LIGHT, backdrop=backdrop.astype(np.float32)
    )
    return figure.draw([portrait_pose(Anatomy(signer))])


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--size", type=SIZE, default="210x260", show_default=True)
def main(folder: Path, size: tuple[int, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in CAST.items():
        frame = portrait(part, size)
        Image.fromarray(frame.image).save(folder / f"{name}.png", optimize=True)
        np.savez_compressed(folder / f"{name}.npz", keypoints=frame.keypoints()[None])
        click.echo(f"{name}: {part.body}")


if __name__ == "__main__":
    main()
