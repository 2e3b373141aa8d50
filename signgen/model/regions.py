"""Hands and faces of a frame as crops: where they lie, what the source shows of them, and the way back.

Crops have the frame's own scale and whole pixels: nothing is resampled but the source, whose hand or face is brought to
where the driving keypoints want it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from signgen.keypoints.orientation import head_turn
from signgen.keypoints.skeleton import (
    ARMS,
    BROWS,
    CONFIDENT,
    FACE,
    HANDS,
    LEFT_SHOULDER,
    MIDDLE_KNUCKLE,
    MIRROR,
    RIGHT_SHOULDER,
)
from signgen.video.tensors import channels_first, channels_last, to_signed

REFINERS = {"hand_refiner": "hand", "face_refiner": "face"}  # parts of a pipeline, and what they paint again
REGIONS = ("left_hand", "right_hand", "face")
LEAST_HAND, LEAST_FACE = 6, 20  # points that must be seen
_OUTSIDE = 10  # px beyond the frame's border where a hand's middle may lie
_UP = 3.0  # px by which a face's crop lies above the middle of its points, for the forehead
_PALM = [0, 1, 5, 9, 13, 17]  # points of a hand that hardly move against each other
_LEAST_PALM = 4
_SCALES = (0.4, 2.5)
_INSIDE = 0.7  # share of a source hand's points that lie inside of the picture
_SPREAD, _STEP, _HOLD = 5.0, 4, 0.3  # px of the Gaussians that spread a face's displacements, of their grid; damping
_REACH = 5  # px that a refiner may go beyond the person, the outer half of them fading
_FINGER = 3  # px about a hand's point that surely are the hand
_FEATHER = 8  # px over which a refined crop fades into its frame
_GUESSED = 0.2  # confidence of a shoulder that an arm hides, at least: its place is known well enough
_WIDE, _NECK, _BORDER = 6, 0.35, 4.0  # px between nodes of a body; where head and trunk meet, chin to shoulders; px
_HULL, _SOFT, _DIRECTIONS = 3.0, 6.0, 24  # px around points that count as inside, px of fading, sides of a hull
_BEYOND, _BROAD = 0.3, 0.35  # middle and radius of a hand that was not found, in forearms beyond the wrist
_FOREHEAD, _CHIN = 0.4, 8  # height over the brows, of the face below them; point of the jaw
_THICK = 0.2  # radius of an arm in its sleeve, in widths of the shoulders
_SHORT, _RIM = 0.3, 0.35  # shortest bone that shows its sleeve, and the part that fades, in radii
_UPPER, _FORE = [[arm.shoulder, arm.elbow] for arm in ARMS], [[arm.elbow, arm.wrist] for arm in ARMS]
# Which bone is shown like which of the source's, one over the other, how sure that is, and whether what lies behind it
# is not known any more, though it may hide it without showing anything.
_SLEEVES = (
    *((bone, bone, 1.0, True) for bone in _UPPER),
    *((bone, like, 0.5, True) for bone, like in zip(_FORE, _UPPER, strict=True)),
    *((bone, bone, 1.0, False) for bone in _FORE),
)
# Difference of turn, see `head_turn`, from which on a source face counts less, and where it counts no more; and by how
# much more a difference of tilt counts.
_TURN, _NOD = (0.15, 0.45), 2.5


def centres(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Middles of the three `REGIONS` of each frame.

    Args:
        points: (T, 133, 3), x and y in pixels, confidence. size: (W, H) of the frame.

    Returns:
        (T, 3, 2), NaN where a region is not seen.
    """
    found = np.full((len(points), 3, 2), np.nan)
    for region, part in enumerate((*HANDS, FACE)):
        xy, seen = points[:, part, :2], points[:, part, 2] >= CONFIDENT  # (T, K, 2), (T, K)
        if region < 2:
            enough = (seen.sum(1) >= LEAST_HAND) & seen[:, MIDDLE_KNUCKLE]
        else:
            enough = seen.sum(1) >= LEAST_FACE
        low = np.where(seen[..., None], xy, np.inf)[enough].min(1)
        high = np.where(seen[..., None], xy, -np.inf)[enough].max(1)
        middle = (low + high) / 2 - (0, _UP if region == 2 else 0)
        near = ((middle > -_OUTSIDE) & (middle < np.array(size) + _OUTSIDE)).all(1)
        found[enough, region] = np.where(near[:, None], middle, np.nan)
    return found


def corners(middles: np.ndarray, side: int, size: tuple[int, int]) -> np.ndarray:
    """Left and top, int64 (N, 2), of crops of ``side`` pixels about ``middles`` (N, 2), moved to lie in the frame."""
    return np.clip(np.floor(middles + 0.5).astype(np.int64) - side // 2, 0, np.array(size) - side)


def cut(frames: np.ndarray, which: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """Crops (N, S, S, C) of ``frames`` (T, H, W, C): of frame ``which`` (N,) at left and top ``places`` (N, 2)."""
    out = np.empty((len(which), side, side, frames.shape[-1]), frames.dtype)
    for crop, i, (x, y) in zip(out, which, places, strict=True):
        crop[:] = frames[i, y : y + side, x : x + side]
    return out


@dataclass(frozen=True)
class SourceRegions:
    """What a source picture shows of hands and face.

    Attributes:
        pictures: (2, 6, H, W), the picture and its mirror image: colours in [-1, 1], 1 where a hand may lie, 1 where a
            hand or a forearm may, and how far it is the person, 1 everywhere if that is not known.
        points: (2, 133, 3), the person's keypoints in both.
    """

    pictures: Tensor
    points: np.ndarray

    @classmethod
    def of(
        cls, image: np.ndarray, points: np.ndarray, device: torch.device | str = "cpu", matte: np.ndarray | None = None
    ) -> SourceRegions:
        """From a picture uint8 (H, W, 3), keypoints (133, 3) in it, and how far it is the person, uint8 (H, W)."""
        width = image.shape[1]
        mirrored = points[MIRROR] * (-1, 1, 1) + (width - 1, 0, 0)
        both = np.stack([points, mirrored]).astype(np.float64)
        nodes = _grid(np.zeros((2, 2)), max(image.shape[:2]) // _STEP + 2, _STEP)
        hands, forearms = [], []
        for arm in ARMS:
            hand, elbow, wrist = both[:, arm.hand], both[:, [arm.elbow]], both[:, [arm.wrist]]
            hands.append(np.concatenate([hand, _guessed_hand(elbow, wrist, hand)], 1))
            forearms.append(np.concatenate([hands[-1], elbow], 1))
        parts = (*hands, *forearms)
        inside = [_inside(part[..., :2], part[..., 2] >= CONFIDENT, nodes) for part in parts]  # (2, n, n) each
        shares = np.stack([np.maximum(*inside[:2]), np.maximum(*inside[2:])], -1)
        covered = _finer(shares, device)[..., : image.shape[0], :width]
        person = torch.ones_like(covered[:, :1])
        if matte is not None:
            person = torch.from_numpy(np.stack([matte, matte[:, ::-1]])[:, None]).to(covered).div(255)
        return cls(torch.cat([to_signed(np.stack([image, image[:, ::-1]]), device), covered, person], 1), both)

    def shown(
        self, kind: str, points: np.ndarray, sides: np.ndarray, places: np.ndarray, side: int
    ) -> tuple[Tensor, Tensor]:
        """`hands` or `faces`, by the ``kind`` of region; ``sides`` are of hands."""
        return self.faces(points, places, side) if kind == "face" else self.hands(points, sides, places, side)

    def hands(self, points: np.ndarray, sides: np.ndarray, places: np.ndarray, side: int) -> tuple[Tensor, Tensor]:
        """The source's hands where other hands are: turned, scaled and moved so that their palms meet.

        The hand of the same side, or where it is not seen the other one mirrored.

        Args:
            points: (N, 133, 3), of the wanted frames. sides: (N,) 0 for the left, 1 for the right hand.
            places: (N, 2) left and top of the crops. side: S.

        Returns:
            (N, 3, S, S) in [-1, 1], 0 where nothing is known, and how far it is known, (N, 1, S, S), 0 or 1.
        """
        pictures, maps, _, _ = self._hand_maps(points, sides)
        there = np.einsum("nij,nhwj->nihw", maps[:, :, :2], _grid(places, side)) + maps[:, :, 2, None, None]
        device = self.pictures.device
        known = torch.from_numpy(pictures >= 0).float().to(device)[:, None, None, None].expand(-1, 1, side, side)
        return self._sampled(
            torch.from_numpy(np.maximum(pictures, 0)), torch.from_numpy(there).float().to(device), known
        )

    def hand_distances(self, points: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """How much other shapes hands have than the source's where `hands` would lay it: (N,), the mean distance of
        their points in lengths of the palm; inf where it shows none."""
        pictures, maps, wanted, own = self._hand_maps(points, sides)
        both = (wanted[..., 2] >= CONFIDENT) & (own[..., 2] >= CONFIDENT)  # (N, 21)
        laid = np.einsum("nij,nkj->nki", maps[:, :, :2], wanted[..., :2]) + maps[:, None, :, 2]
        palm = np.maximum(np.linalg.norm(own[:, MIDDLE_KNUCKLE, :2] - own[:, 0, :2], axis=-1), 1)
        apart = np.linalg.norm(laid - own[..., :2], axis=-1) * both
        return np.where(pictures >= 0, apart.sum(1) / np.maximum(both.sum(1), 1) / palm, np.inf)

    def _hand_maps(
        self, points: np.ndarray, sides: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For hands of ``sides`` (N,): the picture that shows them (-1: none does), the maps (N, 2, 3) there, by their
        palms, and their points (N, 21, 3) here and there."""
        shown = [self._shown_hand(which) or (-1, np.zeros((21, 3))) for which in (0, 1)]
        own = np.stack([shown[which][1] for which in sides])
        wanted = np.stack([one[HANDS[which]] for one, which in zip(points, sides, strict=True)]).astype(np.float64)
        both = ((wanted[..., 2] >= CONFIDENT) & (own[..., 2] >= CONFIDENT))[:, _PALM]
        pictures = np.where(both.sum(1) >= _LEAST_PALM, [shown[which][0] for which in sides], -1)
        return pictures, _similarity(wanted[:, _PALM, :2], own[:, _PALM, :2], both), wanted, own

    def _shown_hand(self, which: int) -> tuple[int, np.ndarray] | None:
        """The picture (0, or 1 for the mirrored one) that shows a hand of this side, and its points (21, 3)."""
        height, width = self.pictures.shape[-2:]
        for picture in (0, 1):
            own = self.points[picture, HANDS[which]]
            inside = ((own[:, :2] >= 0) & (own[:, :2] <= (width - 1, height - 1))).all(1)
            if own[MIDDLE_KNUCKLE, 2] >= CONFIDENT and inside.mean() > _INSIDE:
                return picture, own
        return None

    def faces(self, points: np.ndarray, places: np.ndarray, side: int) -> tuple[Tensor, Tensor]:
        """The source's face where other faces are: an affine map over the landmarks, and what it leaves over spread
        around them, so that lips and lids follow.

        Args:
            points: (N, 133, 3), of the wanted frames. places: (N, 2) left and top of the crops. side: S.

        Returns:
            (N, 3, S, S) in [-1, 1], and how far it is known, (N, 1, S, S) in [0, 1]: inside of the face, less where the
            head is turned away from where the source's is, and not where the source's hand lies before its face.
        """
        own, wanted = self.points[0, FACE], points[:, FACE].astype(np.float64)
        both, strength = self._face_strength(points)
        usable = strength > 0
        nodes = _grid(places, side // _STEP + 1, _STEP)  # (N, n, n, 2)
        there = np.zeros_like(nodes)
        known = np.zeros(nodes.shape[:3])
        if usable.any():
            given = wanted[usable, :, :2], both[usable], nodes[usable]
            there[usable] = _warped(*given, own[:, :2].astype(np.float64))
            known[usable] = strength[usable, None, None] * _face_mask(wanted[usable], given[2])
        fine = _finer(np.concatenate([there, known[..., None]], -1), self.pictures.device)[..., :side, :side]
        return self._sampled(torch.zeros(len(points), dtype=torch.long), fine[:, :2], fine[:, 2:], covered=True)

    def head_distances(self, points: np.ndarray) -> np.ndarray:
        """How far heads are turned away from where the source's is, (N,), NaN where that cannot be told."""
        return (np.abs(head_turn(points) - head_turn(self.points[:1])) * (1, _NOD)).max(1)

    def _face_strength(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of a face's points (N, 68) can be told here and in the source, and how far (N,) its face is like these:
        1, less where heads are turned apart, 0 where it is no help."""
        own, wanted = self.points[0, FACE], points[:, FACE]
        both = (wanted[..., 2] >= CONFIDENT) & (own[:, 2] >= CONFIDENT)  # (N, 68)
        strength = np.clip((_TURN[1] - self.head_distances(points)) / (_TURN[1] - _TURN[0]), 0, 1)
        # A turn that cannot be told is NaN.
        return both, np.where((both.sum(1) >= LEAST_FACE) & (strength > 0), strength, 0)

    def body(self, points: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """The source's head and trunk where another pose has them: the head by the face's points, the trunk by the
        shoulders.

        Args:
            points: (N, 133, 3), of the wanted frames.
            corner: left and top of the picture, in pixels of the frame. size: its (W, H), even.

        Returns:
            (N, 4, H / 2, W / 2): colours in [-1, 1], 0 where nothing is known, and how far they are known, 0 to 1: not
            beyond the source picture, not where its arms lie, and at the head less where that is turned away.
        """
        wanted, own = points.astype(np.float64), self.points[0]
        width, height = size
        down, across = -(-height // _WIDE) + 1, -(-width // _WIDE) + 1
        # Cells of half size have their middles on 0.5, 2.5, ... pixels; every third of them is a node.
        nodes = _grid(np.array([corner]) + 0.5, max(down, across), _WIDE)[0, :down, :across]
        shoulders = [LEFT_SHOULDER, RIGHT_SHOULDER]
        seen = (wanted[:, shoulders, 2] >= _GUESSED) & (own[shoulders, 2] >= _GUESSED)  # (N, 2)
        given = wanted[:, shoulders, :2], np.broadcast_to(own[shoulders, :2], (len(wanted), 2, 2)), seen
        there = _placed(_similarity(*given), nodes)  # (N, n, m, 2)
        known = np.broadcast_to(seen.all(1).astype(np.float64)[:, None, None], there.shape[:3]).copy()
        both, strength = self._face_strength(points)
        if (usable := np.flatnonzero(strength * seen.all(1))).size:
            face, shown = wanted[usable][:, FACE], both[usable]
            source = np.broadcast_to(own[FACE, :2], (len(usable), 68, 2))
            maps = (_similarity(face[..., :2], source, shown) + _affine(face[..., :2], shown, own[FACE, :2])) / 2
            low = np.where(shown, face[..., 1], -np.inf).max(1)  # the chin, mostly
            border = low + _NECK * (wanted[usable][:, shoulders, 1].mean(1) - low)
            above = 1 / (1 + np.exp((nodes[None, ..., 1] - border[:, None, None]) / _BORDER))[..., None]
            there[usable] += above * (_placed(maps, nodes) - there[usable])
            known[usable] *= 1 - above[..., 0] * (1 - strength[usable, None, None])
        known[strength == 0] *= nodes[None, ..., 1] > wanted[strength == 0][:, shoulders, 1].max(1)[:, None, None]
        grids = torch.from_numpy(np.concatenate([there, known[..., None]], -1)).float().to(self.pictures.device)
        cells = (down - 1) * _WIDE // 2 + 1, (across - 1) * _WIDE // 2 + 1
        fine = functional.interpolate(grids.permute(0, 3, 1, 2), cells, mode="bilinear", align_corners=True)
        fine = fine[..., : height // 2, : width // 2]
        rows, columns = self.pictures.shape[-2:]
        inside = (fine[:, :2] >= -0.5).all(1) & (fine[:, 0] <= columns - 0.5) & (fine[:, 1] <= rows - 0.5)
        scale = fine.new_tensor([2 / columns, 2 / rows])
        grid = (fine[:, :2].permute(0, 2, 3, 1) + 0.5) * scale - 1
        picture = self.pictures[:1].expand(len(grid), -1, -1, -1)
        sampled = functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)
        share = fine[:, 2:] * inside[:, None] * (1 - sampled[:, 4:5])
        return torch.cat([sampled[:, :3] * share, share], 1)

    def with_arms(self, body: Tensor, points: np.ndarray, corner: tuple[int, int]) -> Tensor:
        """The source's head and trunk in other poses, with its arms before them, but not its hands.

        Each upper arm and forearm is stretched to its length there, and as thick as the person is there. A forearm that
        the source does not show has the sleeve of its upper arm, half as sure. Where an arm is that the source does not
        show at all, nothing is known.

        Args:
            body: (N, 4, H / 2, W / 2), from `body`. points, corner: see there.
        """
        shown = body.clone()
        for cells, frame in zip(shown, points, strict=True):
            here, own = (_apart(one[[LEFT_SHOULDER, RIGHT_SHOULDER]]) for one in (frame, self.points[0]))
            for bone, like, sure, alone in _SLEEVES if here and own else ():
                picture = next((p for p in (0, 1) if self._shows(self.points[p, like])), None)
                if picture is not None and (frame[bone, 2] >= _GUESSED).all():
                    wanted, there = frame[bone, :2].astype(np.float64) - corner, self.points[picture, like, :2]
                    self._stretch(cells, wanted, there, (_THICK * here, own / here), picture, sure, alone)
        return shown

    def _shows(self, ends: np.ndarray) -> bool:
        """Whether the two ends (2, 3) of a bone are seen and lie in the picture."""
        height, width = self.pictures.shape[-2:]
        inside = (ends[:, :2] >= 0) & (ends[:, :2] <= (width - 1, height - 1))
        return bool((ends[:, 2] >= CONFIDENT).all() and inside.all())

    def _stretch(
        self, cells: Tensor, wanted: np.ndarray, own: np.ndarray, size: tuple[float, float], picture: int, sure: float,
        alone: bool,
    ) -> None:  # fmt: skip
        """Puts one bone of a source picture before what cells of half size (4, h, w) show.

        Args:
            wanted: (2, 2), its ends there, in pixels. own: in the picture.
            size: its radius there, in pixels, and the pixels of the source that one of them is.
            sure, alone: see `_SLEEVES`.
        """
        thick, scale = size
        limits = cells.shape[:0:-1]
        low, high = wanted.min(0) - thick, wanted.max(0) + thick
        (left, top), (right, bottom) = (np.clip(side, 0, limits).astype(int) for side in (low // 2, high // 2 + 1))
        along, there = wanted[1] - wanted[0], own[1] - own[0]
        length, own_length = np.hypot(*along), np.hypot(*there)
        if left >= right or top >= bottom or min(length, own_length / scale) < _SHORT * thick:
            return  # what points at the camera shows no sleeve
        along, there = along / length, there / own_length
        rows, columns = np.mgrid[top:bottom, left:right] * 2 + 0.5
        dx, dy = columns - wanted[0, 0], rows - wanted[0, 1]
        far, beside = dx * along[0] + dy * along[1], dy * along[0] - dx * along[1]  # px along the bone, and beside it
        beyond = np.hypot(beside, np.maximum(np.maximum(-far, far - length), 0))
        cover = np.clip((thick - beyond) / (_RIM * thick), 0, 1)
        far = np.clip(far / length, 0, 1)[..., None] * own_length
        place = own[0] + far * there + scale * beside[..., None] * np.array([-there[1], there[0]])
        height, width = self.pictures.shape[-2:]
        grid = torch.from_numpy((place + 0.5) * (2 / width, 2 / height) - 1).to(self.pictures)
        sampled = functional.grid_sample(self.pictures[picture][None], grid[None], align_corners=False)[0]
        before = torch.from_numpy(cover).to(cells)
        share = before * (1 - sampled[3]) * sampled[5]
        part = cells[:, top:bottom, left:right]
        part *= 1 - (before if alone else share)
        part[:3] += sure * share * sampled[:3]
        part[3] += sure * share

    def _sampled(self, pictures: Tensor, there: Tensor, known: Tensor, covered: bool = False) -> tuple[Tensor, Tensor]:
        """Pixels at ``there`` (N, 2, S, S) of the pictures (N,), times how far they are known (N, 1, S, S).

        ``covered``: what the source's hands cover is not known.
        """
        height, width = self.pictures.shape[-2:]
        scale = there.new_tensor([2 / width, 2 / height])
        grid = (there.permute(0, 2, 3, 1) + 0.5) * scale - 1
        sampled = functional.grid_sample(
            self.pictures[pictures.to(self.pictures.device)], grid, padding_mode="border", align_corners=False
        )
        share = known * (1 - sampled[:, 3:4]) if covered else known
        return sampled[:, :3] * share, share


def _apart(ends: np.ndarray) -> float:
    """The distance of two points (2, 3) that are seen; 0: they are not."""
    return float(np.linalg.norm(ends[1, :2] - ends[0, :2])) if (ends[:, 2] >= _GUESSED).all() else 0.0


def _grid(places: np.ndarray, count: int, step: int = 1) -> np.ndarray:
    """x and y of every ``step``-th pixel of crops from their left and top on, float64 (N, count, count, 2)."""
    rows, columns = np.mgrid[:count, :count] * step
    return np.stack([columns, rows], -1) + places[:, None, None].astype(np.float64)


def _finer(values: np.ndarray, device: torch.device | str) -> Tensor:
    """Values (N, n, n, C) at every `_STEP`-th pixel -> float32 (N, C, m, m) at every pixel, linear between them."""
    size = (values.shape[1] - 1) * _STEP + 1
    coarse = torch.from_numpy(values).float().to(device).permute(0, 3, 1, 2)
    return functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)


def _similarity(wanted: np.ndarray, own: np.ndarray, both: np.ndarray) -> np.ndarray:
    """(N, 2, 3) that take places of wanted points (N, K, 2) to the source's (N, K, 2): least squares over the points
    that ``both`` (N, K) show, with a bounded scale."""
    weight = both[..., None] / np.maximum(both.sum(1), 1)[:, None, None]
    middle, base = (own * weight).sum(1), (wanted * weight).sum(1)  # (N, 2)
    source, target = (own - middle[:, None]) @ (1, 1j), (wanted - base[:, None]) @ (1, 1j)
    turn = (target.conj() * source * both).sum(1) / np.maximum((np.abs(target) ** 2 * both).sum(1), 1e-6)
    turn = turn / np.maximum(np.abs(turn), 1e-6) * np.clip(np.abs(turn), *_SCALES)
    matrix = np.stack([np.stack([turn.real, -turn.imag], -1), np.stack([turn.imag, turn.real], -1)], 1)  # (N, 2, 2)
    return np.concatenate([matrix, (middle - np.einsum("nij,nj->ni", matrix, base))[..., None]], 2)


def _affine(wanted: np.ndarray, both: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(N, 2, 3) that take places of wanted points (N, K, 2) to the source's (K, 2), over those that ``both`` show."""
    weight = both[..., None].astype(np.float64)
    here = np.concatenate([wanted, np.ones_like(weight)], -1)  # (N, K, 3)
    square = np.swapaxes(here * weight, 1, 2) @ here + 1e-6 * np.eye(3)
    return np.swapaxes(np.linalg.solve(square, np.swapaxes(here * weight, 1, 2) @ own), 1, 2)


def _placed(maps: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Maps (N, 2, 3) of nodes (n, m, 2) -> (N, n, m, 2)."""
    return np.einsum("nij,hwj->nhwi", maps[:, :, :2], nodes) + maps[:, None, None, :, 2]


def _warped(wanted: np.ndarray, both: np.ndarray, nodes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Where in the source the nodes (N, n, n, 2) are, by points (N, K, 2) here and (K, 2) there that ``both`` show."""
    count = len(wanted)
    affine = np.swapaxes(_affine(wanted, both, own), 1, 2)  # (N, 3, 2)
    left_over = (own - wanted @ affine[:, :2] - affine[:, 2:]) * both[..., None]
    flat = nodes.reshape(count, -1, 2)  # (N, n * n, 2)
    apart = (flat**2).sum(-1)[..., None] - 2 * flat @ np.swapaxes(wanted, 1, 2) + (wanted**2).sum(-1)[:, None]
    near = np.exp(-apart / (2 * _SPREAD**2)) * both[:, None]  # (N, n * n, K)
    moved = near @ left_over / (near.sum(-1, keepdims=True) + _HOLD)
    placed = flat @ affine[:, :2] + affine[:, 2:] + moved
    return placed.reshape(nodes.shape)


def nearest_heads(points: np.ndarray, sources: Sequence[SourceRegions]) -> np.ndarray:
    """Which source's head is turned most like those of ``points`` (N, 133, 3): (N,)."""
    return _nearest([source.head_distances(points) for source in sources], len(points))


def nearest_hands(points: np.ndarray, sides: np.ndarray, sources: Sequence[SourceRegions]) -> np.ndarray:
    """Which source's hand is shaped most like those of ``points`` (N, 133, 3), ``sides`` (N,): (N,)."""
    return _nearest([source.hand_distances(points, sides) for source in sources], len(points))


def each_source(nearest: np.ndarray, sources: Sequence[SourceRegions]) -> Iterator[tuple[SourceRegions, np.ndarray]]:
    """The sources that are the ``nearest`` (N,) of some of N frames, and which frames those are."""
    for number, source in enumerate(sources):
        if len(which := np.flatnonzero(nearest == number)):
            yield source, which


def _nearest(distances: Sequence[np.ndarray], count: int) -> np.ndarray:
    if len(distances) < 2:
        return np.zeros(count, np.int64)
    known = np.stack(distances)
    return np.where(np.isfinite(known), known, np.inf).argmin(0)


def _face_mask(faces: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """(N, n, n) at nodes (N, n, n, 2): 1 inside of faces of points (N, 68, 3), forehead included, fading to 0."""
    return _inside(*_face_hull(faces), nodes)


def _face_hull(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, K, 2) around faces of points (N, 68, 3), forehead included, and which of them are seen, (N, K)."""
    brows = faces[:, BROWS.start - FACE.start : BROWS.stop - FACE.start, :2]
    raised = brows + (brows.mean(1) - faces[:, _CHIN, :2])[:, None] * _FOREHEAD
    seen = np.concatenate([faces[..., 2] >= CONFIDENT, np.ones(brows.shape[:2], bool)], 1)
    return np.concatenate([faces[..., :2], raised], 1), seen


def _guessed_hand(elbow: np.ndarray, wrist: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """(N, 8, 3): points around a hand that no estimator found, beyond the wrist; unseen where the hand was found, or
    the forearm was not. A hand too fast to be found is seen in the picture all the same.

    Args:
        elbow, wrist: (N, 1, 3), x, y and confidence. hand: (N, 21, 3).
    """
    along = wrist[..., :2] - elbow[..., :2]
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], -1) * np.linalg.norm(along, axis=-1, keepdims=True)
    around = wrist[..., :2] + _BEYOND * along + _BROAD * circle
    lost = (hand[..., 2] >= CONFIDENT).sum(1) < LEAST_HAND
    sure = lost & (np.minimum(elbow, wrist)[:, 0, 2] >= CONFIDENT)
    return np.concatenate([around, np.broadcast_to(sure[:, None, None], (len(sure), 8, 1))], -1)


def _inside(points: np.ndarray, seen: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """(N, n, n): 1 in the convex hull of the points (N, K, 2) that are seen, fading to 0 around it."""
    angles = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    normals = np.stack([np.cos(angles), np.sin(angles)])  # (2, D)
    reach = np.where(seen[..., None], points @ normals, -np.inf).max(1)  # (N, D)
    beyond = (nodes @ normals - reach[:, None, None]).max(-1)  # px outside
    return np.clip((_HULL + _SOFT - beyond) / _SOFT, 0, 1)


class Crops(NamedTuple):
    """N crops of one kind of region, ready for a `RegionRefiner`.

    Attributes:
        which: (N,) the frame of each; regions: (N,) which of `REGIONS` it is.
        places: (N, 2) left and top in pixels.
        inputs: float32 (N, 16, S, S), see `RegionRefiner.forward`.
    """

    which: np.ndarray
    regions: np.ndarray
    places: np.ndarray
    inputs: Tensor


def region_crops(
    kind: str,
    side: int,
    frames: np.ndarray,
    poses: np.ndarray,
    points: np.ndarray,
    solid: np.ndarray | None,
    sources: Sequence[SourceRegions],
    device: torch.device | str = "cpu",
) -> Crops:
    """The crops of all hands or faces that are seen in some frames.

    Args:
        kind: ``hand`` or ``face``.
        side: S of the crops.
        frames, poses: uint8 (T, H, W, 3), what was painted, and the pose images in the same pixels.
        points: (T, 133, 3), the driving keypoints in pixels of the frames.
        solid: uint8 (T, H, W, 6), the hands fitted to them (`SolidHands.pictures`); None: none are drawn.
        sources: what the sources show; none: nothing is known of it. Each crop gets the one that is most like it.
    """
    size = frames.shape[2], frames.shape[1]
    middles = centres(points, size)[:, :2] if kind == "hand" else centres(points, size)[:, 2:]
    which, regions = np.nonzero(np.isfinite(middles[..., 0]))
    places = corners(middles[which, regions], side, size)
    if kind == "face":
        regions = regions + 2
    count = len(which)
    if not count:
        return Crops(which, regions, places, torch.zeros(0, 16, side, side, device=device))
    reference, known = reference_crops(kind, points[which], regions, places, side, sources)
    drawn = np.full((count, side, side, 6), 128, np.uint8) if solid is None else cut(solid, which, places, side)
    parts = (
        to_signed(cut(frames, which, places, side), device), to_signed(cut(poses, which, places, side), device),
        reference.to(device), known.to(device), from_solid(drawn, device),
    )  # fmt: skip
    return Crops(which, regions, places, torch.cat(parts, 1).contiguous(memory_format=torch.channels_last))


def reference_crops(
    kind: str, points: np.ndarray, sides: np.ndarray, places: np.ndarray, side: int, sources: Sequence[SourceRegions]
) -> tuple[Tensor, Tensor]:
    """What the sources show for N crops, (N, 3, S, S) in [-1, 1] and how far it is known, (N, 1, S, S).

    Args:
        kind: ``hand`` or ``face``. points: (N, 133, 3). sides: (N,) of hands.
        places: (N, 2) left and top. side: S.
        sources: each crop is given the one that is most like it.
    """
    colours, known = torch.zeros(len(points), 3, side, side), torch.zeros(len(points), 1, side, side)
    nearest = nearest_heads(points, sources) if kind == "face" else nearest_hands(points, sides, sources)
    for source, which in each_source(nearest, sources):
        colours, known = colours.to(source.pictures.device), known.to(source.pictures.device)
        colours[which], known[which] = source.shown(kind, points[which], sides[which], places[which], side)
    return colours, known


def from_solid(drawn: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """Solid hands as they are drawn, uint8 (N, S, S, 6), 128 for nothing -> float32 (N, 6, S, S) in about [-1, 1]."""
    return channels_first(drawn, device).float().sub(128).div(127)


def hidden_by(matte: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """bool (H, W): what a person surely hides, by a matte uint8 (H, W) that may have holes: these, and of ``points``
    (133, 3) the trunk below the shoulders and the hands. What is hidden too much is filled from around; what is hidden
    too little is seen twice.
    """
    import cv2
    from scipy.ndimage import binary_fill_holes

    person = (matte > 127).astype(np.uint8)
    shoulders = [LEFT_SHOULDER, RIGHT_SHOULDER]
    if points is not None and (points[shoulders, 2] >= _GUESSED).all():
        (left, right), below = sorted(points[shoulders, :2].tolist()), float(len(matte) + 1)
        corners_ = np.array([left, right, [right[0], below], [left[0], below]])
        cv2.fillPoly(person, [np.rint(corners_).astype(np.int32)], 1)
    for x, y, seen in [] if points is None else points[HANDS[0].start : HANDS[1].stop]:
        if seen >= CONFIDENT:
            cv2.circle(person, (round(float(x)), round(float(y))), _FINGER, 1, -1)
    closed = np.pad(person, ((0, 1), (0, 0)), constant_values=1)  # a body goes on below
    return binary_fill_holes(closed)[:-1]


def keep_faces(composed: np.ndarray, painted: np.ndarray, mattes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Composed frames uint8 (T, H, W, 3) with the faces that are seen as they were painted, fading out around them.

    Args:
        painted: uint8 (T, H, W, 3). mattes: uint8 (T, H, W); nothing changes away from the person.
        points: (T, 133, 3), keypoints in pixels of the frames.
    """
    which = np.flatnonzero((points[:, FACE, 2] >= CONFIDENT).sum(1) >= LEAST_FACE)
    if not len(which):
        return composed
    kept, (height, width) = composed.copy(), mattes.shape[1:]
    hull, seen = _face_hull(points[which][:, FACE].astype(np.float64))
    low, high = np.where(seen[..., None], hull, np.inf).min(1), np.where(seen[..., None], hull, -np.inf).max(1)
    reach = _HULL + _SOFT
    there = np.flatnonzero(((low < (width + reach, height + reach)) & (high > -reach)).all(1))
    if not len(there):
        return composed
    which, hull, seen = which[there], hull[there], seen[there]
    # A face may reach far out of the frame, and what is drawn must not.
    low, high = (np.clip(end[there], -reach, np.array([width, height]) + reach) for end in (low, high))
    starts = np.floor((low - reach) / _STEP) * _STEP  # nodes where those of a whole frame are
    count = int((np.ceil(high + reach) - starts).max()) // _STEP + 2
    cover = _finer(_inside(hull, seen, _grid(starts, count, _STEP))[..., None], "cpu")[:, 0].numpy()
    for number, (left, top), share in zip(which, starts.astype(int), cover, strict=True):
        x = slice(*np.clip([left, left + share.shape[1]], 0, width))
        y = slice(*np.clip([top, top + share.shape[0]], 0, height))
        near = share[y.start - top : y.stop - top, x.start - left : x.stop - left] * (mattes[number, y, x] / 255)
        part = composed[number, y, x].astype(np.float32)
        kept[number, y, x] = part + near[..., None] * (painted[number, y, x] - part) + 0.5
    return kept


def person_reach(mattes: np.ndarray, solid: np.ndarray | None) -> np.ndarray:
    """float32 (T, H, W, 1): 1 on the person and the hands fitted to them, falling to 0 some pixels beside.

    Args:
        mattes: uint8 (T, H, W). solid: uint8 (T, H, W, 6), see `region_crops`.
    """
    import cv2

    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _REACH + 1, 2 * _REACH + 1))
    reach = np.empty((*mattes.shape, 1), np.float32)
    for number, matte in enumerate(mattes):
        hands = 0 if solid is None else (solid[number] != 128).any(-1).astype(np.uint8) * 255
        both = cv2.dilate(np.maximum(matte, hands), wide)
        reach[number, ..., 0] = cv2.blur(both, (_REACH, _REACH)) / 255.0
    return reach


def paste(frames: np.ndarray, refined: Sequence[tuple[Crops, Tensor]], reach: np.ndarray | None = None) -> np.ndarray:
    """Frames with refined crops, uint8 (T, H, W, 3).

    Crops fade out towards their borders, but not where these are the frame's; where crops overlap, their changes are
    averaged.

    Args:
        frames: uint8 (T, H, W, 3), what was painted.
        refined: crops, and what they became, (N, 3, S, S) about [-1, 1].
        reach: float32 (T, H, W, 1), how far a pixel may change; None: all may.
    """
    height, width = frames.shape[1:3]
    total = np.zeros(frames.shape, np.float32)
    weight = np.zeros((*frames.shape[:3], 1), np.float32)
    for crops, output in refined:
        change = channels_last((output.float() - crops.inputs[:, :3].float()) * 127.5).cpu().numpy()  # (N, S, S, 3)
        side = change.shape[1]
        for i, (x, y), crop in zip(crops.which, crops.places, change, strict=True):
            share = (_fade(y, side, height)[:, None] * _fade(x, side, width))[..., None]
            total[i, y : y + side, x : x + side] += share * crop
            weight[i, y : y + side, x : x + side] += share
    change = total / np.maximum(weight, 1)
    if reach is not None:
        change *= reach
    return np.clip(np.rint(frames + change), 0, 255).astype(np.uint8)


def _fade(start: int, side: int, length: int) -> np.ndarray:
    """float32 (S,): 1, falling at both ends that do not lie on the frame's border."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip((np.arange(side) + 0.5) / _FEATHER, 0, 1))
    low = np.ones(side) if start <= 0 else ramp
    high = np.ones(side) if start + side >= length else ramp[::-1]
    return np.minimum(low, high).astype(np.float32)
