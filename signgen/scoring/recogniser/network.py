"""The network of the recogniser: frames to a distribution over glosses at each of a few instants a second.

The usual make-up of continuous sign recognition (VAC, Min et al. 2021; CorrNet, Hu et al. 2023), much smaller: 2-d
convolutions look at single frames, 1-d convolutions at half a second of them, a bidirectional LSTM at the sentence.
Two heads that only training uses are no part of it: see `signgen.scoring.recogniser.training`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from signgen.model.networks.wrist_finder import Residual, conv_block

POOL = 2  # frames that become one instant


@dataclass(frozen=True)
class NetworkSize:
    """What decides the shape of the weights.

    Attributes:
        height, width: of the frames the network sees, multiples of 16.
        channels: of the convolutions at 1/4, 1/8 and 1/16 of the frame.
        squeezed: channels of the last map before it is read out place by place.
        features: D, of a frame.
        hidden: units of each direction of the LSTM.
    """

    height: int = 112
    width: int = 96
    channels: tuple[int, int, int] = (32, 64, 96)
    squeezed: int = 48
    features: int = 192
    hidden: int = 128


class FrameEncoder(nn.Module):
    """One frame to D features. The last map is read out place by place: where a hand is tells signs apart."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        first, second, third = size.channels
        self.convolutions = nn.Sequential(
            conv_block(3, first, 4, 4, 0),
            conv_block(first, second, stride=2),
            Residual(second),
            conv_block(second, third, stride=2),
            Residual(third),
            conv_block(third, size.squeezed, 1, padding=0),
        )
        places = (size.height // 16) * (size.width // 16)
        self.readout = nn.Linear(size.squeezed * places, size.features)
        self.norm = nn.LayerNorm(size.features)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, D)."""
        maps = self.convolutions(frames * 2 - 1)  # (N, squeezed, H/16, W/16)
        return self.norm(self.readout(maps.flatten(1)))  # (N, D)


class GlossNetwork(nn.Module):
    """Frames of clips to logits over blank (0) and the glosses (1, 2, ...).

    Args:
        glosses: how many.
        size: see `NetworkSize`.
    """

    def __init__(self, glosses: int, size: NetworkSize = NetworkSize()) -> None:
        super().__init__()
        self.size = size
        width = size.features
        self.frames = FrameEncoder(size)
        self.dropout = nn.Dropout(0.2)
        self.temporal = nn.Sequential(
            nn.Conv1d(width, width, 5, padding=2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool1d(POOL, ceil_mode=True),
        )
        self.sentence = nn.LSTM(width, size.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * size.hidden, glosses + 1)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, D); every frame for itself."""
        return self.frames(frames)

    def local(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, D) of clips of ``lengths`` (B,) frames -> (B, L, D) at L instants, and how many count."""
        inside = torch.arange(features.shape[1], device=features.device) < lengths[:, None].to(features.device)
        masked = self.dropout(features) * inside[..., None]  # (B, T, D)
        return self.temporal(masked.transpose(1, 2)).transpose(1, 2), instants(lengths)

    def logits(self, local: Tensor, lengths: Tensor) -> Tensor:
        """(B, L, D) of which ``lengths`` (B,) instants count -> (B, L, 1 + glosses)."""
        packed = pack_padded_sequence(local, lengths.cpu(), batch_first=True, enforce_sorted=False)
        context, _ = pad_packed_sequence(self.sentence(packed)[0], batch_first=True, total_length=local.shape[1])
        return self.head(self.dropout(context))  # (B, L, 1 + glosses)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (B, T, 3, H, W) in [0, 1] of ``lengths`` (B,) frames -> logits (B, L, 1 + glosses), instants (B,)."""
        features = self.encode_frames(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])  # (B, T, D)
        local, counts = self.local(features, lengths)  # (B, L, D)
        return self.logits(local, counts), counts


def instants(frames: Tensor) -> Tensor:
    """How many instants so many frames become."""
    return -(-frames // POOL)
