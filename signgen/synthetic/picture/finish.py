"""What a camera and a recorder do to a picture: lens blur, sharpening, vignette, tone, grain, compression."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image


def _gaussian_taps(sigma: float) -> np.ndarray:
    reach = max(1, int(np.ceil(3 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W, C) float32 with edges repeated; sigma in pixels."""
    taps = _gaussian_taps(sigma)
    reach = len(taps) // 2
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        wide, n = np.pad(image, pad, mode="edge"), image.shape[axis]
        image = sum(tap * wide[(slice(None),) * axis + (slice(k, k + n),)] for k, tap in enumerate(taps))
    return image


LENS_GROWTH = 0.6  # see `Finish.growth`, since content version 5


@dataclass(frozen=True)
class Finish:
    """How one recording looks, the same in all its frames; lengths in native pixels."""

    blur: float  # standard deviation of the lens' blur
    growth: float = 1.0  # exponent with which it grows with the picture's scale: below 1 larger pictures show more
    noise: float = 0.0  # standard deviation of the grain of brightness, 0..1
    coarse: float = 0.0  # standard deviation of the grain's own blur
    colour_noise: float = 0.0  # of its colours
    halo: float = 0.0  # how much the picture was sharpened
    contrast: float = 1.0
    black: float = 0.0  # displayed value of black
    saturation: float = 1.0
    vignette: float = 0.0  # share of the light that corners lose
    quality: int = 0  # of JPEG compression, 0 for none

    @classmethod
    def drawn(cls, seed: int) -> Finish:
        """A recording's finish: a fifth of all are almost out of focus, a third without grain, half uncompressed."""
        rng = np.random.default_rng([seed, 79])
        soft, grainy, packed = rng.random() < 0.2, rng.random() < 0.65, rng.random() < 0.5
        return cls(
            blur=float(rng.uniform(0.7, 1.0) if soft else rng.uniform(0.35, 0.62)),
            growth=LENS_GROWTH,
            noise=float(rng.uniform(0.002, 0.011)) if grainy else 0.0,
            coarse=float(rng.uniform(0.35, 0.7)),
            colour_noise=float(rng.uniform(0.0, 0.005)) if grainy else 0.0,
            halo=float(rng.uniform(0.15, 0.6)) if rng.random() < 0.5 else 0.0,
            contrast=float(rng.uniform(0.92, 1.08)),
            black=float(rng.uniform(0.0, 0.035)),
            saturation=float(rng.uniform(0.85, 1.12)),
            vignette=float(rng.uniform(0.0, 0.18)) if rng.random() < 0.5 else 0.0,
            quality=int(rng.integers(45, 92)) if packed else 0,
        )

    def sigma(self, scale: float) -> float:
        """Standard deviation of the blur in pixels, `scale` of which a native one has a side."""
        return self.blur * scale**self.growth

    def clean(self) -> Finish:
        """The same without what differs from frame to frame: grain and compression."""
        return replace(self, noise=0.0, colour_noise=0.0, quality=0)

    def applied(self, shown: np.ndarray, scale: float, grain: np.random.Generator) -> np.ndarray:
        """Picture uint8 of displayed values float32 (H, W, 3); `scale` is how many pixels a native one has a side."""
        shown = blurred(self._toned(shown), self.sigma(scale))
        if self.halo > 0:
            shown = shown + self.halo * (shown - blurred(shown, 1.3 * scale))
        if self.noise > 0:
            shown = shown + self._noise(shown, scale, grain)
        image = np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8)
        return _compressed(image, self.quality) if self.quality else image

    def _toned(self, shown: np.ndarray) -> np.ndarray:
        if self.vignette > 0:
            height, width = shown.shape[:2]
            y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
            shown = shown * (1 - self.vignette * np.clip(0.5 * (x * x + y * y), 0, 1) ** 1.5)[..., None]
        if self.saturation != 1:
            grey = shown @ np.array([0.30, 0.59, 0.11], np.float32)
            shown = grey[..., None] + self.saturation * (shown - grey[..., None])
        if self.contrast != 1 or self.black:
            shown = self.black + (1 - self.black) * (0.45 + self.contrast * (shown - 0.45))
        return shown.astype(np.float32)

    def _noise(self, shown: np.ndarray, scale: float, grain: np.random.Generator) -> np.ndarray:
        """Grain (H, W, 3) or (H, W, 1): a sensor's is stronger where it is dark."""
        noise: np.ndarray = grain.normal(0, self.noise, shown.shape[:2]).astype(np.float32)[..., None]
        if self.coarse > 0:
            noise = blurred(noise, self.coarse * scale) * np.float32(2.2 * self.coarse * scale)
            noise = noise * (1.35 - 0.7 * np.clip(shown.mean(-1, keepdims=True), 0, 1))
        if self.colour_noise > 0:
            colours = grain.normal(0, self.colour_noise, shown.shape).astype(np.float32)
            noise = noise + blurred(colours, 0.9 * scale) * np.float32(2.5 * scale)
        return noise


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """The picture (H, W, 3) uint8 after JPEG with halved colour resolution, as video has it."""
    packed = io.BytesIO()
    Image.fromarray(image).save(packed, "JPEG", quality=quality, subsampling=2)
    return np.array(Image.open(packed).convert("RGB"))
