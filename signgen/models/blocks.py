"""Blocks of the small convolutional networks that measure: cheap enough for a CPU to train within minutes."""

from __future__ import annotations

from torch import Tensor, nn


def conv_block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU: (N, inputs, H, W) -> (N, outputs, H', W')."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """x + conv(x), one 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv_block(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        return x + self.conv(x)
