"""What stands behind a signer from content version 5 on: studios, walls, curtains, shelves and rooms, all procedural.

A backdrop is painted once a clip on a sheet of `SHEET` pixels, whatever the frame's size, so that a clip drawn at
twice the size has the same one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from signgen.synthetic.picture.camera import STUDIO_ROWS, STUDIOS

SHEET = (420, 520)  # (width, height)
Rng = np.random.Generator


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows (H, W) of the sheet, in units of its width."""
    width, height = SHEET
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (x + 0.5) / width, (y + 0.5) / width


def _noise(rng: Rng, cell: tuple[float, float]) -> np.ndarray:
    """Smooth noise (H, W) of mean 0 and deviation 1, with spots of about `cell` (down, across) pixels."""
    noise = gaussian_filter(rng.standard_normal(SHEET[::-1], dtype=np.float32), cell, mode="wrap")
    return noise / max(float(noise.std()), 1e-6)


def _colour(rng: Rng, low: float, high: float, vivid: float = 0.12) -> np.ndarray:
    """A displayed colour (3,): a grey of this range, tinted."""
    hue = rng.normal(0.35, 0.9) if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)  # mostly warm, as rooms are
    tint = np.cos(np.array([0.0, 1.0, 2.1]) - hue) if hue < 1.5 else np.cos(hue + np.array([0.0, 2.1, 4.2]))
    return np.clip(rng.uniform(low, high) * (1 + vivid * rng.random() ** 1.5 * tint), 0.01, 1.0)


def _lamp(rng: Rng, strength: float) -> np.ndarray:
    """Brightness factor (H, W, 1) of one soft lamp somewhere on the wall."""
    x, y = _grid()
    cx, cy, wide = rng.uniform(-0.2, 1.2), rng.uniform(-0.2, 1.1), rng.uniform(0.5, 1.3)
    return (1 + strength * (np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / wide**2) - 0.4))[..., None]


def _studio(rng: Rng) -> np.ndarray:
    """Brightness that runs from top to bottom, as on television, in any hue."""
    _, y = _grid()
    rows = np.array(list(STUDIOS.values()))[rng.integers(len(STUDIOS))] / 255.0
    rows = 0.5 + (rows - 0.5) * rng.uniform(0.7, 1.1)
    run = np.interp(y * 210, STUDIO_ROWS + rng.uniform(-14, 14), rows)
    plate = run[..., None] * (1 + np.array([-0.03, 0.0, 0.03]) * rng.uniform(-1.5, 1.8))
    return plate * _lamp(rng, rng.uniform(0, 0.15))


def _plain(rng: Rng) -> np.ndarray:
    """A sheet of paper or a painted wall: any colour, one lamp, hardly a trace of plaster."""
    low, high, vivid = ((0.05, 0.25, 0.4), (0.3, 0.7, 0.35), (0.75, 1.0, 0.08))[int(rng.integers(3))]
    plaster = _noise(rng, (1.5, 1.5)) * 0.006 + _noise(rng, (30, 30)) * 0.012
    return _colour(rng, low, high, vivid) * (1 + plaster[..., None] * rng.uniform(0.3, 2)) * _lamp(rng, 0.35)


def _screen(rng: Rng) -> np.ndarray:
    """A green or blue screen."""
    colour = np.array([(0.10, 0.62, 0.22), (0.12, 0.28, 0.72), (0.30, 0.75, 0.25)][int(rng.integers(3))])
    return colour * (1 + 0.01 * _noise(rng, (40, 40)))[..., None] * _lamp(rng, 0.2)


def _curtain(rng: Rng) -> np.ndarray:
    """Cloth in vertical folds."""
    x, y = _grid()
    phase = rng.uniform(8, 22) * x * 2 * np.pi / 2 + 1.2 * _noise(rng, (300, 22)) + 0.3 * np.sin(3 * y)
    fold = 0.5 + 0.5 * np.sin(phase)
    shade = 0.55 + 0.45 * fold**0.8 + 0.03 * _noise(rng, (60, 2))
    return _colour(rng, 0.15, 0.85, 0.45) * shade[..., None] * _lamp(rng, 0.3)


def _bricks(rng: Rng) -> np.ndarray:
    """Courses of bricks, tiles or stone, each in its own tone."""
    x, y = _grid()
    high = rng.uniform(0.045, 0.16)
    wide = high * rng.uniform(1.0, 3.2)
    row = np.floor(y / high)
    shift = 0.5 * (row % 2) if rng.random() < 0.7 else 0.0
    column = np.floor(x / wide + shift)
    gap = rng.uniform(0.03, 0.10)
    across, down = np.abs((x / wide + shift) % 1 - 0.5), np.abs(y / high % 1 - 0.5)
    joint = (across > 0.5 - gap * high / wide) | (down > 0.5 - gap)
    tones = rng.normal(0, rng.uniform(0.01, 0.14), (64, 64))
    tone = 1 + tones[row.astype(int) % 64, column.astype(int) % 64] + 0.03 * _noise(rng, (2, 2))
    face, mortar = _colour(rng, 0.2, 0.9, 0.3), _colour(rng, 0.3, 0.9, 0.05)
    return np.where(joint[..., None], mortar, face * tone[..., None]) * _lamp(rng, 0.4)


def _planks(rng: Rng) -> np.ndarray:
    """Boards of wood, upright or level, with grain."""
    x, y = _grid()
    along, over, cell = (y, x, (90, 3)) if rng.random() < 0.6 else (x, y, (3, 90))
    number = np.floor(over / rng.uniform(0.06, 0.2)).astype(int)
    grain = _noise(rng, cell) * 0.07 + 0.02 * _noise(rng, (cell[0] / 8, cell[1] / 3))
    tone = 1 + rng.normal(0, 0.08, 64)[number % 64] + grain + 0.03 * np.sin(20 * along + number)
    edge = np.abs(np.diff(number, axis=1, prepend=number[:, :1])) + np.abs(np.diff(number, axis=0, prepend=number[:1]))
    wood = np.array([1.0, rng.uniform(0.62, 0.85), rng.uniform(0.38, 0.7)]) * rng.uniform(0.25, 0.8)
    return wood * (tone * (1 - 0.45 * (edge > 0)))[..., None] * _lamp(rng, 0.35)


def _box(plate: np.ndarray, place: tuple[float, float, float, float], colour: np.ndarray, edge: float = 0.0) -> None:
    """Paint a rectangle (left, top, right, bottom in widths), darker at its rim by `edge`, into the sheet."""
    left, top, right, bottom = (int(round(value * SHEET[0])) for value in place)
    part = plate[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if part.size == 0:
        return
    part[:] = colour
    if edge:
        part[[0, -1]] *= 1 - edge
        part[:, [0, -1]] *= 1 - edge


def _shelf(rng: Rng) -> np.ndarray:
    """Boards full of books and things."""
    plate = np.broadcast_to(_colour(rng, 0.1, 0.8, 0.2), (*SHEET[::-1], 3)).copy()
    board, step = _colour(rng, 0.15, 0.85, 0.25), rng.uniform(0.17, 0.3)
    top = rng.uniform(-0.2, 0.0)
    while top < SHEET[1] / SHEET[0]:
        bottom, at = top + step, rng.uniform(-0.05, 0.0)
        while at < 1:
            if rng.random() < 0.1:
                at += rng.uniform(0.02, 0.15)
            wide, high = rng.uniform(0.012, 0.045), step * rng.uniform(0.5, 0.88)
            if rng.random() < 0.07:
                wide, high = rng.uniform(0.06, 0.15), step * rng.uniform(0.3, 0.8)
            _box(plate, (at, bottom - high, at + wide, bottom), _colour(rng, 0.08, 0.85, 0.6), 0.35)
            at += wide
        _box(plate, (-0.1, bottom, 1.1, bottom + 0.014), board)
        top = bottom + 0.014
    return plate * (1 + 0.03 * _noise(rng, (3, 3)))[..., None] * _lamp(rng, 0.45)


def _room(rng: Rng) -> np.ndarray:
    """A wall with what stands and hangs in rooms: window, door, pictures, a lamp, a plant, furniture."""
    plate = _plain(rng).clip(0, 1)
    x, y = _grid()
    high = SHEET[1] / SHEET[0]
    floor = rng.uniform(0.75, 1.35)
    if floor < high:
        _box(plate, (0, floor, 1, high), _colour(rng, 0.1, 0.7, 0.3))
    for _ in range(rng.integers(2, 7)):
        left, top = rng.uniform(-0.25, 1.0), rng.uniform(-0.2, 0.7)
        kind = rng.random()
        if kind < 0.25:  # a window, brighter than the rest
            wide, tall = rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.7)
            _box(plate, (left, top, left + wide, top + tall), _colour(rng, 0.75, 1.0, 0.12))
            bar = _colour(rng, 0.3, 0.95, 0.05)
            for k in range(3):
                _box(plate, (left + k * wide / 2 - 0.008, top, left + k * wide / 2 + 0.008, top + tall), bar)
            _box(plate, (left, top + tall / 2 - 0.006, left + wide, top + tall / 2 + 0.006), bar)
        elif kind < 0.55:  # a picture
            wide, tall = rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3)
            _box(plate, (left, top, left + wide, top + tall), _colour(rng, 0.05, 0.9, 0.3))
            inside = (left + 0.02, top + 0.02, left + wide - 0.02, top + tall - 0.02)
            _box(plate, inside, _colour(rng, 0.2, 0.9, 0.6))
        elif kind < 0.75:  # furniture
            wide = rng.uniform(0.2, 0.7)
            _box(plate, (left, top + 0.45, left + wide, high), _colour(rng, 0.08, 0.7, 0.4), 0.3)
        elif kind < 0.9:  # a plant: leaves that overlap
            for _ in range(40):
                cx, cy = left + rng.normal(0, 0.07), top + 0.3 + rng.normal(0, 0.12)
                turn, long = rng.uniform(0, np.pi), rng.uniform(0.03, 0.08)
                u, v = (
                    (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn),
                    (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn),
                )
                leaf = np.array([0.25, 0.55, 0.2]) * rng.uniform(0.3, 1.1)
                plate[(u / long) ** 2 + (v / (0.3 * long)) ** 2 < 1] = leaf
        else:  # a lamp
            glow = np.exp(-((x - left) ** 2 + (y - top) ** 2) / rng.uniform(0.05, 0.15) ** 2)[..., None]
            plate += glow * np.array([1.0, 0.85, 0.6]) * 0.8
    return plate * _lamp(rng, 0.3)


def _lights(rng: Rng) -> np.ndarray:
    """Discs of lights far out of focus before the dark."""
    x, y = _grid()
    plate = _colour(rng, 0.04, 0.25, 0.5) * (1 + 0.2 * _noise(rng, (60, 60)))[..., None]
    for _ in range(rng.integers(8, 40)):
        away = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 1.24)) / rng.uniform(0.015, 0.07)
        disc = np.clip((1 - away) * 12, 0, 1) * (0.75 + 0.25 * np.clip(away, 0, 1))
        plate = plate + disc[..., None] * _colour(rng, 0.15, 0.7, 0.6)
    return plate


def _patches(rng: Rng) -> np.ndarray:
    """Nothing in particular: patches of colour at several scales."""
    plate = np.broadcast_to(_colour(rng, 0.25, 0.7, 0.3), (*SHEET[::-1], 3)).copy()
    for cell in (70, 25, 8):
        blend = np.clip(0.5 + 0.9 * _noise(rng, (cell, cell)), 0, 1)[..., None]
        plate = plate + rng.uniform(0.3, 0.9) * blend * (_colour(rng, 0.1, 0.9, 0.5) - plate)
    return plate


# kind: odds and the range of defocus, standard deviation in native pixels
_KINDS: dict[str, tuple[Callable[[Rng], np.ndarray], float, float, float]] = {
    "studio": (_studio, 0.32, 0.0, 0.0),
    "plain": (_plain, 0.17, 0.0, 1.0),
    "screen": (_screen, 0.04, 0.0, 0.5),
    "curtain": (_curtain, 0.08, 0.0, 1.5),
    "bricks": (_bricks, 0.07, 0.0, 2.0),
    "planks": (_planks, 0.05, 0.0, 1.5),
    "shelf": (_shelf, 0.08, 0.0, 3.0),
    "room": (_room, 0.12, 0.3, 4.0),
    "lights": (_lights, 0.03, 0.3, 2.0),
    "patches": (_patches, 0.04, 0.5, 4.0),
}
BACKDROPS = tuple(_KINDS)


def drawn_backdrop(seed: int, size: tuple[int, int], kind: str | None = None) -> np.ndarray:
    """A recording's backdrop, float32 (H, W, 3) of displayed values 0..1, of a kind or of any (`BACKDROPS`)."""
    rng = np.random.default_rng([seed, 71])
    odds = np.array([entry[1] for entry in _KINDS.values()])
    drawn = str(rng.choice(BACKDROPS, p=odds / odds.sum()))
    paint, _, sharp, soft = _KINDS[kind or drawn]
    plate = np.clip(paint(rng), 0, 1.1)
    defocus = float(rng.uniform(sharp, soft)) * SHEET[0] / 210
    plate = gaussian_filter(plate, (defocus, defocus, 0)) if defocus > 0.1 else plate
    if rng.random() < 0.12:  # the strip that broadcasts have below
        rows = int(rng.uniform(8, 40))
        plate[-rows:] = 0.35 * plate[-rows:] + 0.65 * _colour(rng, 0.2, 0.95, 0.3)
    plate = np.clip(plate, 0.01, 1).astype(np.float32)
    if tuple(size) == SHEET:
        return plate
    bands = [Image.fromarray(np.ascontiguousarray(plate[..., c])).resize(size, Image.Resampling.BOX) for c in range(3)]
    return np.stack([np.asarray(band, np.float32) for band in bands], 2)
