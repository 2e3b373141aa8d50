"""Who signs the copies: built-in signers, drawn ones, pictures; few of many are chosen evenly over looks."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image
from skimage.color import rgb2lab

from signgen.dataset.files import AGAIN
from signgen.dataset.phoenix import KEYPOINT_SUFFIXES
from signgen.errors import BadValue, Empty, Mismatch, Missing, damage
from signgen.files import Staging, writing
from signgen.keypoints.skeleton import FACE, SHOULDERS
from signgen.rendering.source import Source, builtin_names, load_source, stored_signer
from signgen.synthetic.dress.looks import draw_look
from signgen.synthetic.motion.anatomy import Anatomy
from signgen.synthetic.motion.placement import place_hands
from signgen.synthetic.motion.posture import SIDES, Pose, Posture, gaze_directions
from signgen.synthetic.motion.signs import HandKey
from signgen.synthetic.picture.figure import Figure
from signgen.synthetic.signer import load_signer, shape_of, signer_names
from signgen.video.images import SUFFIXES

SMILE = {
    "mouthSmileLeft": 0.34, "mouthSmileRight": 0.34, "cheekSquintLeft": 0.20, "cheekSquintRight": 0.20,
    "eyeSquintLeft": 0.12, "eyeSquintRight": 0.12, "eyeBlinkLeft": 0.05, "eyeBlinkRight": 0.05, "browInnerUp": 0.05,
}  # fmt: skip
HANDS = HandKey("space", (0.45, -0.30, -0.39), "palm", (0.52, 0.29, 0.78), (-0.27, 0.94, -0.19), "softfive")
BODIES = ("s03", "s06", "s07", "s08", "s12", "s14", "s15", "s18")  # which the built-in signers have, in other clothes
RECIPE = 32  # signers of the measured recipe: docs/augment.md, "Does it help?"
BAKED = 80  # drawn signers with a body of their own; the others' are mixed of these
HEAD = slice(0, 5)  # of the 133 points


def pick_signers(wanted: str | None, folder: str | Path | None = None) -> tuple[str, ...]:
    """Signers from a number, or from names and pictures separated by commas.

    Args:
        wanted: the number takes built-in signers, then drawn ones; None: 32, or, with a folder, all of its pictures.
        folder: of pictures with keypoints of the same stem: the number then takes some of these.

    Raises:
        InputError: so many are not there, a picture of the folder has no keypoints, or the folder has no picture.

    Example:
        >>> pick_signers("2"), pick_signers("alma,s17"), len(pick_signers("80"))
        (('alma', 'bela'), ('alma', 's17'), 80)
    """
    number = int(wanted) if wanted is not None and wanted.strip().isdecimal() else None
    if folder is not None:
        if wanted is not None and number is None:
            advice = "give how many of the folder's, or leave it out"
            raise Mismatch("--signers", f"got {wanted} with --signers-from", advice)
        return _of_folder(Path(folder), number)
    if wanted is None:
        number = RECIPE
    elif number is None:
        return tuple(part.strip() for part in wanted.split(",") if part.strip())
    names, drawn = builtin_names(), [name for name in signer_names() if name not in BODIES]
    if not 1 <= number <= len(names) + len(drawn):
        advice = f"1 to {len(names)} takes built-in signers, up to {len(names) + len(drawn)} drawn ones, too"
        raise BadValue("--signers", f"got {number}", advice)
    more = number - len(names)
    if more <= 0:
        return tuple(names[:number])
    own, mixed = [name for name in drawn if int(name[1:]) <= BAKED], [name for name in drawn if int(name[1:]) > BAKED]
    chosen = _spread(own, _drawn_looks(own), min(more, len(own)))
    if more > len(own):
        chosen += _spread(mixed, _drawn_looks(mixed), more - len(own))
    return (*names, *chosen)


def _of_folder(folder: Path, number: int | None) -> tuple[str, ...]:
    """All of a folder's pictures in the order of their names, or some that look as different as they can."""
    if not folder.is_dir():
        raise Missing("--signers-from", f"{folder} is no folder", "give one that holds pictures with keypoints")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not files:
        raise Empty(folder, "holds no picture", f"put {', '.join(SUFFIXES)} files and their keypoints there")
    for path in files:
        keypoints_beside(path)
    if number is None:
        return tuple(map(str, files))
    if not 1 <= number <= len(files):
        raise BadValue("--signers", f"got {number}", f"{folder} has {len(files)} pictures")
    names = [str(path) for path in files]
    return tuple(_spread(names, np.stack([_look_of(_load(name)) for name in names]), number))


def _spread(names: Sequence[str], looks: np.ndarray, number: int) -> list[str]:
    """``number`` of the names, each the one whose look (n, C) is farthest from the nearest of those before it.

    The first is the one nearest to the mean. Fewer are the beginning of more.
    """
    looks = (looks - looks.mean(0)) / np.maximum(looks.std(0), 1e-6)
    chosen = [int(np.linalg.norm(looks, axis=1).argmin())]
    away = np.linalg.norm(looks - looks[chosen[0]], axis=1)
    while len(chosen) < number:
        away[chosen] = -1.0  # two that look the same are still two
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(looks - looks[chosen[-1]], axis=1))
    return [names[place] for place in chosen]


def _drawn_looks(names: Sequence[str]) -> np.ndarray:
    """(n, 11) skin, hair and cloth as CIE Lab, gender and age of drawn signers."""
    shapes = [shape_of(name) for name in names]
    looks = [draw_look(name, shape.phenotype) for name, shape in zip(names, shapes, strict=True)]
    linear = np.array([(look.skin, look.hair_colour, look.cloth) for look in looks])  # (n,3,3)
    people = np.array([(shape.phenotype["gender"], shape.phenotype["age"]) for shape in shapes])
    return np.concatenate([rgb2lab(linear ** (1 / 2.2)).reshape(len(names), 9), people], 1)


def _look_of(source: Source) -> np.ndarray:
    """(12,) CIE Lab, the medians of a picture's face, of the hair above it, of the chest, and of the upper corners."""
    assert source.keypoints is not None
    points, sure = source.keypoints.xy[0], source.keypoints.confidence[0] > 0
    lab = rgb2lab(source.image)
    (height, width), edge = lab.shape[:2], max(1, lab.shape[1] // 10)
    face = points[FACE][sure[FACE]] if sure[FACE].any() else points[HEAD][sure[HEAD]]
    if not len(face):
        face = points[sure]
    (left, top), (right, bottom) = face.min(0), face.max(0)
    tall = bottom - top
    shoulders = points[[*SHOULDERS]][sure[[*SHOULDERS]]]
    trunk = shoulders if len(shoulders) else face + (0, tall)
    (west, north), (east, _) = trunk.min(0), trunk.max(0)
    boxes = [
        (left, top, right, bottom), (left, top - tall / 2, right, top - tall / 5), (west, north, east, north + tall),
        (0, 0, edge, edge), (width - edge, 0, width, edge),
    ]  # fmt: skip
    parts = []
    for x0, y0, x1, y1 in boxes:
        column, row = int(np.clip(x0, 0, width - 1)), int(np.clip(y0, 0, height - 1))
        part = lab[row : max(row + 1, int(np.ceil(y1))), column : max(column + 1, int(np.ceil(x1)))]
        parts.append(np.median(part.reshape(-1, 3), 0))
    return np.concatenate([*parts[:3], (parts[3] + parts[4]) / 2])


# -- their pictures ---------------------------------------------------------------------------------------------------


def load_signers(specs: tuple[str, ...], kept: Path | None = None) -> dict[str, Source]:
    """The pictures by what was asked for.

    Args:
        specs: names and pictures.
        kept: a folder of `keep_drawn`; drawn signers that it does not hold are drawn.

    Raises:
        InputError: no such picture, or nobody has said where its person stands: copies are fitted to that person.
    """
    before = {} if kept is None else load_drawn(specs, kept)
    return {spec: before.get(spec) or _load(spec) for spec in specs}


def load_drawn(specs: Iterable[str], folder: Path) -> dict[str, Source]:
    """The drawn signers whose pictures a folder of `keep_drawn` holds.

    Raises:
        Damaged: one of its files cannot be read.
    """
    return {name: _load_kept(name, folder) for name in _drawn(specs) if _is_kept(name, folder)}


def keep_drawn(sources: Mapping[str, Source], folder: Path) -> None:
    """Writes ``<name>.png`` and ``<name>.npz`` of each drawn signer that ``folder`` has not yet.

    Drawn again, on another kind of processor, a picture would differ in its last bits.
    """
    for name in _drawn(sources):
        keypoints = sources[name].keypoints
        if _is_kept(name, folder) or keypoints is None:
            continue
        points = np.dstack((keypoints.xy, keypoints.confidence))  # (1,133,3)
        with writing(folder / f"{name}.png", AGAIN):
            folder.mkdir(exist_ok=True)
            with Staging() as staging:
                Image.fromarray(sources[name].image).save(staging.place(folder / f"{name}.png"))
                np.savez(staging.place(folder / f"{name}.npz"), keypoints=points)


def _drawn(specs: Iterable[str]) -> list[str]:
    names = {*signer_names()}
    return [spec for spec in specs if spec in names]


def _is_kept(name: str, folder: Path) -> bool:
    return all((folder / f"{name}{suffix}").is_file() for suffix in (".png", ".npz"))


def _load_kept(name: str, folder: Path) -> Source:
    advice = f"delete it and {name}.npz: they are drawn again"
    with damage(folder / f"{name}.png", "cannot be read", advice, OSError, ValueError, KeyError, EOFError, BadZipFile):
        return stored_signer(folder, name)


def _load(spec: str) -> Source:
    if spec in signer_names():  # whatever lies here under that name: a number of signers may have chosen it
        return draw_portrait(spec)
    source = load_source(spec)
    return source if source.keypoints is not None else load_source(spec, keypoints_beside(Path(spec)))


def keypoints_beside(picture: Path) -> Path:
    """The keypoint file of the same stem; InputError where there is none."""
    beside = [picture.with_suffix(suffix) for suffix in KEYPOINT_SUFFIXES]
    found = next((path for path in beside if path.is_file()), None)
    if found is None:
        got = f"has no {beside[0].name} beside it"
        raise Missing(picture, got, "say with a keypoint file where the person stands")
    return found


def studio_seed(name: str) -> int:
    """Of the camera, light and backdrop that are a drawn signer's own."""
    return zlib.crc32(name.encode())


def draw_portrait(name: str) -> Source:
    """A drawn signer, 210x260, who faces the camera with both hands open; light and backdrop are the name's own."""
    from signgen.keypoints import Keypoints

    signer = load_signer(name)
    frame = Figure(signer, seed=studio_seed(name)).draw([portrait_pose(Anatomy(signer))])
    points, (height, width) = frame.keypoints()[None], frame.image.shape[:2]
    keypoints = Keypoints(points[..., :2], points[..., 2], width=width, height=height, fps=25.0, name=name)
    return Source(frame.image, keypoints, name, "signer")


def portrait_pose(anatomy: Anatomy) -> Pose:
    """Upright, facing the camera, both hands open and apart at the height of the chest."""
    poser, still = anatomy.poser, np.zeros((1, 3))
    chest = poser.chest(still)
    head = poser.head(chest, still)
    arms = {side: place_hands(anatomy, side, [HANDS], chest, head) for side in SIDES}
    posture = Posture(still, still, gaze_directions(np.zeros(1), np.zeros(1)), arms)
    return Pose(poser.rotations(posture)[0], SMILE)


def fingerprint(source: Source) -> str:
    """SHA-256 of a signer's picture and place."""
    digest = hashlib.sha256(source.image.tobytes())
    if source.keypoints is not None:
        digest.update(source.keypoints.xy.tobytes())
        digest.update(source.keypoints.confidence.tobytes())
    return digest.hexdigest()
