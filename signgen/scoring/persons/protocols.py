"""How papers of person synthesis score pictures: protocols with names, each of one family.

Two measures are called SSIM in their tables, and pictures reach the size that is scored in four ways. A plain copy of
the source scores .243 by one family's SSIM and .560 by another's on the same pairs, so that a number says something
beside those of its own family alone. Read in the released code of CFLD, FPDM, PIDM and PCDMs. PCDMs' true
pictures are files of their own, made in a way that is not said; here they are PIL's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from signgen.dataset.shards import stretched
from signgen.errors import BadValue, Mismatch
from signgen.scoring.metrics.image import WANG_PRED_RANGE, WIN51, SSIMDefinition

# PIDM's and PCDMs' second SSIM: sigma 1.2, which scikit-image cuts off at 9 pixels.
GAUSS12 = SSIMDefinition("gauss12", "gaussian", 9, False, data_range=None, sigma=1.2)
GAUSS15 = replace(WANG_PRED_RANGE, name="gauss15")  # CFLD's second one, and PATN's
WHOLE_BATCHES = 128  # PCDMs' FID leaves out what does not fill a batch
Size = tuple[int, int]


def by_torch(picture: np.ndarray, size: Size) -> np.ndarray:
    """uint8 (H,W,3) -> float64 in [0, 1] of ``size`` (W,H): antialiased bicubic on floats, then uint8 by truncation."""
    if picture.shape[1::-1] != size:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        image = F.interpolate(image, size[::-1], mode="bicubic", antialias=True)
        picture = (image * 255).clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).numpy()
    return picture / 255.0


def by_pil(picture: np.ndarray, size: Size) -> np.ndarray:
    """As `by_torch`, by PIL, which rounds."""
    return stretched(picture, size) / 255.0


def by_opencv(picture: np.ndarray, size: Size) -> np.ndarray:
    """As `by_torch`, by OpenCV's cubic: not antialiased, not rounded, and a little outside of [0, 1] at edges."""
    return cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_CUBIC).astype(np.float64) / 255.0


def as_stored(picture: np.ndarray, size: Size) -> np.ndarray:
    """As it is; `Mismatch` for another size, for which these protocols have no rule."""
    if picture.shape[1::-1] != size:
        got = f"is {picture.shape[1]}x{picture.shape[0]}"
        raise Mismatch("picture", got, f"this protocol scores pictures of {size[0]}x{size[1]} as they are stored")
    return picture / 255.0


def plain(images: np.ndarray) -> np.ndarray:
    """What LPIPS is defined for: values in [0, 1], which the network doubles and shifts."""
    return images


def small(images: np.ndarray) -> np.ndarray:
    """PIDM's: (N,256,256,3) at 176x256 by OpenCV's bilinear on whole numbers."""
    levels = np.rint(images * 255).astype(np.uint8)
    return np.stack([cv2.resize(image, (176, 256)) for image in levels]) / 255.0


def unshifted(images: np.ndarray) -> np.ndarray:
    """PCDMs': the network gets [0, 1] where it expects [-1, 1], so this undoes its doubling and shift."""
    return (images + 1) / 2


Resize = Callable[[np.ndarray, Size], np.ndarray]
_WORDS: dict[Callable, str] = {
    by_torch: "torch-bicubic-antialias,uint8-truncated", by_pil: "pil-bicubic", by_opencv: "opencv-cubic,floats",
    as_stored: "as-stored", plain: "[0,1]", small: "opencv-bilinear-176x256", unshifted: "[0,1]-as-is",
}  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """One way of scoring.

    Attributes:
        name: for ``--protocol``; family: whose numbers it may stand beside.
        market: of Market-1501, not of DeepFashion.
        size: (W, H) in which pictures are scored.
        generated, true: how they get there.
        ssim: definitions, the one that the family reports as SSIM first.
        lpips: what its network gets.
        fid: name of the score -> its reference set: ``train``, ``others`` (all that are no target) or ``targets``.
        whole_batches: FID leaves out pictures that do not fill a batch of 128.
    """

    name: str
    family: str
    size: Size
    generated: Resize
    true: Resize
    ssim: tuple[SSIMDefinition, ...]
    lpips: Callable[[np.ndarray], np.ndarray] = plain
    fid: tuple[tuple[str, str], ...] = (("fid", "train"),)
    whole_batches: bool = False
    market: bool = False

    @property
    def resolution(self) -> str:
        """As papers write it, height first."""
        return f"{self.size[1]}x{self.size[0]}"

    @property
    def ssim_names(self) -> dict[str, SSIMDefinition]:
        """Name of each SSIM in results."""
        return {f"ssim_{definition.name}": definition for definition in self.ssim}

    def signature(self, name: str, what: str, reference: str) -> str:
        """Of a score: its own definition ``what``, and family, protocol, sizes, resize rules and reference set."""
        rules = f"generated:{_WORDS[self.generated]}|true:{_WORDS[self.true]}"
        size = f"{self.size[0]}x{self.size[1]}"
        return f"{name}|family:{self.family}|protocol:{self.name}|{what}|size:{size}|{rules}|reference:{reference}|v1"

    def lpips_words(self) -> str:
        return f"input:{_WORDS[self.lpips]}"


_CFLD, _PCDM = (WIN51, GAUSS15), (GAUSS12, WIN51)
_BOTH = (("fid", "others"), ("fid_test", "targets"))
_LIST = (
    Protocol("cfld-256", "cfld", (176, 256), by_torch, by_pil, _CFLD),
    Protocol("cfld-512", "cfld", (352, 512), by_torch, by_pil, _CFLD),
    Protocol("fpdm-256", "cfld", (176, 256), by_pil, by_pil, _CFLD, fid=_BOTH),
    Protocol("fpdm-512", "cfld", (352, 512), by_pil, by_pil, _CFLD, fid=_BOTH),
    Protocol("pidm-256", "pidm", (256, 256), as_stored, by_pil, _PCDM, small),
    Protocol("pcdm-256", "pcdm", (176, 256), by_opencv, by_pil, _PCDM, unshifted, whole_batches=True),
    Protocol("pcdm-512", "pcdm", (352, 512), by_opencv, by_pil, _PCDM, unshifted, whole_batches=True),
    Protocol("market", "patn", (64, 128), as_stored, as_stored, (GAUSS15,), market=True),
)
PROTOCOLS = {protocol.name: protocol for protocol in _LIST}
RETRIEVAL = "retrieval"


def protocol_of(name: str, layout: str) -> Protocol:
    """The protocol of a name, which must be one of the data set's.

    Raises:
        BadValue: no such name. Mismatch: it is of the other data set.
    """
    if name not in PROTOCOLS:
        raise BadValue("--protocol", f"got {name!r}", f"choose from {', '.join([*PROTOCOLS, RETRIEVAL])}")
    found = PROTOCOLS[name]
    if found.market != (layout == "market"):
        fitting = ", ".join(known.name for known in _LIST if known.market == (layout == "market"))
        raise Mismatch("--protocol", f"got {name} for a data set of layout {layout}", f"choose from {fitting}")
    return found
