"""The network of the hand-shape classifier: the crop of a right hand to one logit a shape."""

from __future__ import annotations

from torch import Tensor, nn

from signgen.model.networks.wrist_finder import Residual, conv_block

CROP = 64  # pixels of the crop along a side


class HandshapeNetwork(nn.Module):
    """Crops of a right hand to logits of hand shapes.

    The last map is read out place by place: which fingers are up is told by where something is, which an average over
    the crop would forget.

    Args:
        shapes: S, how many there are.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the crop.
        depths: residual blocks at 1/4, 1/8 and 1/16.
        dropout: share of the last map's values that training leaves out.
    """

    def __init__(
        self,
        shapes: int,
        widths: tuple[int, int, int, int] = (24, 48, 96, 128),
        depths: tuple[int, int, int] = (1, 2, 1),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_block(3, widths[0], stride=2)]
        for inputs, outputs, depth in zip(widths, widths[1:], depths, strict=False):
            layers += [conv_block(inputs, outputs, stride=2), *(Residual(outputs) for _ in range(depth))]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1] * (CROP // 16) ** 2, shapes))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, 64, 64) in [0, 1] -> logits (N, S)."""
        return self.head(self.features(crops * 2 - 1))  # features: (N, 128, 4, 4)
