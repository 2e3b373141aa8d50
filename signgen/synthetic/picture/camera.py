"""The studio camera and backdrop, framed like the PHOENIX weather broadcast: 210x260 pixels, squeezed sideways."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from signgen.synthetic import VERSION

NATIVE = (210, 260)  # the corpus' frame, (width, height)
MM_PER_PIXEL = 3.25  # vertically, at the signer's depth and native size
STUDIO_ROWS = np.array([0, 30, 80, 130, 180, 220, 240, 248, 260.0])  # backdrop brightness by row of the native frame
_GREY = np.array([209, 193, 157, 136, 164, 194, 207, 222, 236.0])
STUDIOS = {  # brightness at STUDIO_ROWS; the first is the corpus' grey with its dark band, the second its white
    "band": _GREY,
    "white": np.array([212, 216, 224, 230, 233, 234, 234, 232, 236.0]),
    "bluish": np.array([176, 186, 200, 210, 216, 222, 228, 233, 238.0]),
    "dim": np.array([92, 98, 108, 116, 118, 112, 104, 100, 98.0]),
    "dark": np.array([46, 50, 60, 72, 80, 82, 78, 74, 70.0]),
    "falling": np.array([204, 198, 184, 168, 152, 138, 130, 127, 122.0]),
}
_HUES = {"bluish": np.array([0.90, 0.98, 1.06]), "white": np.array([0.985, 0.995, 1.01])}
_ODDS = {"band": 0.38, "white": 0.22, "bluish": 0.14, "dim": 0.10, "dark": 0.06, "falling": 0.10}
_TINT = np.array([0.955, 0.99, 1.03])


@dataclass(frozen=True)
class Camera:
    """A camera 3 m in front of the signer. Places are in native pixels and scale with the picture.

    `x` is the column of the body's middle, `top` the row of the top of the head at rest, `squeeze` the horizontal scale
    over the vertical one, `mm` the millimetres of one native pixel, `turn` degrees by which the signer faces aside.
    """

    x: float = 99.0
    top: float = 19.0
    squeeze: float = 0.81
    mm: float = MM_PER_PIXEL
    distance: float = 3.0
    turn: float = 0.0
    backdrop: float = 1.0  # brightness of the backdrop
    tint: float = 0.0  # -1 warm .. 1 cold
    waist: float = 0.0  # rows by which the darkest band of the backdrop lies lower
    studio: str = "band"  # how the backdrop's brightness runs from top to bottom
    exposure: float = 1.0  # factor of all light
    warmth: float = 0.0  # white balance: share by which red gains and blue loses

    @classmethod
    def drawn(cls, seed: int, version: int = VERSION) -> Camera:
        """A camera with the variation of framing (and, before content version 5, backdrop) by which recordings differ.

        From version 5 on half of them are squeezed less than television was, and framing varies more.
        """
        rng = np.random.default_rng([seed, 31])
        camera = cls(
            x=float(rng.normal(99, 2.5)),
            top=float(rng.uniform(13, 23)),
            squeeze=float(rng.uniform(0.79, 0.83)),
            mm=float(rng.uniform(3.15, 3.4)),
            turn=float(rng.normal(0, 2.5)),
            backdrop=float(rng.uniform(0.93, 1.05)),
            tint=float(rng.uniform(-0.6, 0.6)),
            waist=float(rng.uniform(-14, 14)),
            studio=str(rng.choice(list(_ODDS), p=list(_ODDS.values()))),
            exposure=float(np.exp(np.clip(rng.normal(0, 0.09), -0.18, 0.18))),
            warmth=float(np.clip(rng.normal(0.0, 0.025), -0.05, 0.05)),
        )
        if version < 5:
            return camera
        squeeze = camera.squeeze if rng.random() < 0.55 else float(rng.uniform(0.83, 1.0))
        return replace(
            camera,
            x=float(rng.normal(101, 4.0)),
            top=float(rng.uniform(12, 26)),
            squeeze=squeeze,
            mm=camera.mm * float(rng.uniform(0.97, 1.06)) * squeeze / 0.81,
            turn=float(rng.normal(0, 4.0)),
            exposure=float(np.exp(np.clip(rng.normal(0.03, 0.10), -0.18, 0.22))),
            warmth=float(np.clip(rng.normal(0.0, 0.035), -0.08, 0.08)),
        )

    def project(self, points: np.ndarray, head_top: float, size: tuple[int, int]) -> np.ndarray:
        """(n, 3) float32: column, row in pixels of a picture of `size` (W, H), and depth y in metres (less is nearer).

        `head_top` is the height z of the top of the signer's head at rest.
        """
        width, height = size
        turn = np.radians(self.turn)
        x = points[:, 0] * np.cos(turn) - points[:, 1] * np.sin(turn)
        y = points[:, 0] * np.sin(turn) + points[:, 1] * np.cos(turn)
        near = self.distance / (self.distance + y)
        scale = 1000.0 / self.mm
        middle = head_top - 0.33  # optical axis, near the shoulders
        column = self.x + x * near * scale * self.squeeze
        row = self.top + ((middle - points[:, 2]) * near + head_top - middle) * scale
        out = np.empty((len(points), 3), np.float32)
        out[:, 0], out[:, 1], out[:, 2] = column * (width / NATIVE[0]), row * (height / NATIVE[1]), y
        return out

    def background(self, size: tuple[int, int]) -> np.ndarray:
        """(H, 3) float32 backdrop colour of each row, 0..1 as displayed; rows are constant."""
        _, height = size
        rows = (np.arange(height) + 0.5) * NATIVE[1] / height
        shifted = np.clip(rows - self.waist * np.sin(np.pi * rows / NATIVE[1]), 0, NATIVE[1])
        grey = self.backdrop * np.interp(shifted, STUDIO_ROWS, STUDIOS[self.studio]) / 255.0
        tint = _HUES.get(self.studio, _TINT) + self.tint * np.array([-0.02, 0.0, 0.02])
        return np.clip(grey[:, None] * tint, 0, 1).astype(np.float32)

    def gains(self) -> np.ndarray:
        """(3,) float32 factors of linear red, green and blue: exposure and white balance."""
        return (self.exposure * np.array([1 + self.warmth, 1.0, 1 - self.warmth])).astype(np.float32)
