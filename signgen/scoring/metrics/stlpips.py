"""ST-LPIPS: LPIPS by networks that bear small shifts, whose weights come in a Python package (Ghildyal and Liu 2022).

The package ``stlpips-pytorch`` (BSD-2) ships its weights as ``.pth`` files, so that this distance needs no download
from elsewhere. It is another distance than LPIPS: its values belong into no published table. Networks are written anew
here; of the package only the weights are taken, for parts of its code have another licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from signgen.errors import BadValue, Mismatch, NotFound, missing_extra
from signgen.extraction.packages import UNREADABLE, fingerprint
from signgen.files import check_replaceable, check_target, whole, writing
from signgen.scoring.metrics.lpips import SMALLEST, WeightedDistance, perceptual
from signgen.scoring.metrics.metric import Chunk, FrameMean, Score
from signgen.scoring.metrics.weight_files import DIGITS, Published, fill, read_tensors

PACKAGE, EXTRA = "stlpips_pytorch", "perceptual"
FILES = "weights/vST0.0/{}_shift_tolerant.pth"
MADE = Published("ST-LPIPS", "alex.safetensors", "stlpips-pytorch", made_by="signgen convert-checkpoint stlpips FOLDER")
LICENCE = "BSD-2-Clause, Copyright (c) 2022, Abhijay Ghildyal, Feng Liu; from the package stlpips-pytorch"
# Layers between two comparisons: side of a maximum before them (0: none), and (channels, kernel, padding) of each
# convolution, with a ReLU behind.
Group = tuple[int, tuple[tuple[int, int, int], ...]]
NETWORKS: dict[str, tuple[Group, ...]] = {
    "alex": ((0, ((64, 11, 2),)), (3, ((192, 5, 2),)), (3, ((384, 3, 1),)), (0, ((256, 3, 1),)), (0, ((256, 3, 1),))),
    "vgg": (
        (0, ((64, 3, 1),) * 2), (2, ((128, 3, 1),) * 2), (2, ((256, 3, 1),) * 3), (2, ((512, 3, 1),) * 3),
        (2, ((512, 3, 1),) * 3),
    ),
}  # fmt: skip


def halved(images: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,C,H/2+1,W/2+1), about: blurred by 1-2-1 both ways, so that a shift by a pixel changes little."""
    taps = torch.tensor([1.0, 2.0, 1.0], device=images.device, dtype=images.dtype) / 4
    blur = (taps[:, None] * taps).expand(images.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), blur, stride=2, groups=images.shape[1])


class STLPIPSNetwork(WeightedDistance):
    """Shift-tolerant AlexNet or VGG16 with heads; ``features`` are its convolutions in their order.

    Args:
        kind: ``alex`` or ``vgg``.
    """

    def __init__(self, kind: str = "alex") -> None:
        self.kind = kind
        super().__init__([convolutions[-1][0] for _, convolutions in NETWORKS[kind]])
        self.features = nn.ModuleList()
        width = 3
        for _, convolutions in NETWORKS[kind]:
            for channels, kernel, padding in convolutions:
                self.features.append(nn.Conv2d(width, channels, kernel, 1, padding))
                width = channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B,3,H,W), normalised -> five maps, the last a 16th of the size, about."""
        layers, maps = iter(self.features), []
        for pooling, convolutions in NETWORKS[self.kind]:
            if pooling:
                images = halved(F.max_pool2d(images, pooling, 1))
            for _, kernel, _ in convolutions:
                images = next(layers)(images)
                images = F.relu(halved(images) if kernel == 11 else images)  # AlexNet's stride of the first one
            maps.append(images)
        return maps


def own_names(tensors: Mapping[str, Tensor], source: object) -> dict[str, Tensor]:
    """The package's state dict under the names of `STLPIPSNetwork`; blurs and the scale of images are left out."""
    convolutions = sorted({name.rpartition(".")[0] for name in tensors if name.startswith("net.")}, key=_place)
    convolutions = [name for name in convolutions if f"{name}.bias" in tensors]
    named = {name: value for name, value in tensors.items() if name.startswith("lin")}
    for number, name in enumerate(convolutions):
        named |= {f"features.{number}.{part}": tensors[f"{name}.{part}"] for part in ("weight", "bias")
                  if f"{name}.{part}" in tensors}  # fmt: skip
    if not convolutions:
        raise Mismatch(source, "holds none of ST-LPIPS's layers", MADE.advice)
    return named


def _place(name: str) -> int:
    """``net.slice2.5`` -> 5, a layer's place in the whole network."""
    last = name.rpartition(".")[2]
    return int(last) if last.isdecimal() else -1


def convert_installed(folder: Path) -> dict[str, Any]:
    """Writes the networks of the installed package as ``alex.safetensors`` and ``vgg.safetensors``, running none of it.

    Raises:
        NotInstalled: the package is not there. InputError: its files are others, or the folder holds other things.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("stlpips-pytorch", EXTRA)
    place = Path(spec.submodule_search_locations[0])
    check_target(folder, "folder")
    check_replaceable(folder, [f"{kind}.safetensors" for kind in NETWORKS])
    with writing(folder, "check free space and permissions"), whole(folder) as temporary:
        temporary.mkdir()
        for kind in NETWORKS:
            source = place / FILES.format(kind)
            if not source.is_file():
                raise NotFound(source, "is not in the installed package", "install stlpips-pytorch 0.0.2")
            network = STLPIPSNetwork(kind)
            fill(network, own_names(read_tensors(source), source), source, "install stlpips-pytorch 0.0.2")
            tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
            save_file(tensors, temporary / f"{kind}.safetensors", {"network": kind, "licence": LICENCE})
    return {"output": str(folder), "files": [f"{kind}.safetensors" for kind in NETWORKS], "licence": LICENCE}


def load_stlpips(weights: str | Path | None) -> tuple[STLPIPSNetwork, str]:
    """The network of a file that `convert_installed` wrote, ready to run, and the file's fingerprint.

    Raises:
        InputError: the file is missing or another.
    """
    path = MADE.find(weights)
    tensors = read_tensors(path)
    try:
        with safe_open(path, "pt") as file:
            kind = (file.metadata() or {}).get("network")
    except UNREADABLE:  # a file of another kind, from which the tensors could be read
        raise Mismatch(path, "is no file that signgen has converted", MADE.advice) from None
    if kind not in NETWORKS:
        raise BadValue(path, f"says that its network is {kind!r}", MADE.advice)
    network = STLPIPSNetwork(kind)
    fill(network, tensors, path, MADE.advice)
    return network.eval().requires_grad_(False), fingerprint(path, DIGITS)


class STLPIPS(FrameMean):
    """Mean ST-LPIPS over frames at their own size, in float32.

    Args:
        weights: as `load_stlpips`.
    """

    higher_is_better = False

    def __init__(self, weights: str | Path | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network, self.fingerprint = load_stlpips(weights)

    @property
    def signature(self) -> str:
        return f"stlpips|{self.network.kind},heads:vST0.0,weights:{self.fingerprint}|size:native|mean:frames|rgb|v1"

    def _values(self, chunk: Chunk) -> np.ndarray:
        return perceptual(*chunk.unit, self.network)


STLPIPS_SCORE = Score(
    "stlpips", "ST-LPIPS", "lower", lambda tools: STLPIPS(tools.options.stlpips_weights), smallest_side=SMALLEST,
    weights=MADE, on_request=True,
)  # fmt: skip
