"""The network of the recogniser: frames to a distribution over glosses at each of a few instants a second.

The usual make-up of continuous sign recognition (VAC, Min et al. 2021; CorrNet, Hu et al. 2023), much smaller: 2-d
convolutions look at single frames, 1-d convolutions at half a second of them, a bidirectional LSTM at the sentence.
With `LARGE` the 2-d convolutions also follow what moves from frame to frame, as CorrNet's do.
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
        correlation: whether each frame is compared with the one before and the one after it; see `Correlation`.
    """

    height: int = 112
    width: int = 96
    channels: tuple[int, int, int] = (32, 64, 96)
    squeezed: int = 48
    features: int = 192
    hidden: int = 128
    correlation: bool = False

    @property
    def reach(self) -> int:
        """How many frames before and after it a frame's features depend on."""
        return 2 * self.correlation


LARGE = NetworkSize(80, 64, (48, 96, 192), 64, 384, 256, correlation=True)  # 3 to 5 million weights


class Correlation(nn.Module):
    """x + a * y * w: what moved since the frame before and will have moved in the one after.

    After the correlation and identification modules of CorrNet (Hu et al. 2023), the latter with convolutions of one
    scale. For each place p of frame t, y sums the features of all places q of both neighbours by how much they are like
    p's: (sigmoid(<k(p), k(q)> / sqrt(c)) - 1/2) x(q), weighted by neighbour. w, between -1/2 and 1/2, says which places
    move at all, by convolutions over time and place. a is 0 at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.neighbours = nn.Parameter(torch.full((2,), 0.5))
        self.down = nn.Conv2d(channels, inner, 1, bias=False)
        self.moving = nn.Conv2d(3 * inner, inner, 3, padding=1, groups=inner)  # each channel over time and place
        self.up = nn.Conv2d(inner, channels, 1, bias=False)
        self.amount = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """(N, C, h, w) and the numbers (3, N) of the frames before, itself and after -> the same shape as x."""
        keys = self.key(x).flatten(2)  # (N,c,P)
        flat = x.flatten(2)  # (N,C,P)
        joined = torch.zeros_like(flat)
        for other, weight in zip(places[[0, 2]], self.neighbours, strict=True):
            alike = torch.einsum("ncp,ncq->npq", keys, keys[other]) / keys.shape[1] ** 0.5
            joined = joined + weight * torch.einsum("ncq,npq->ncp", flat[other], alike.sigmoid() - 0.5)
        around = self.down(x)[places].permute(1, 2, 0, 3, 4)  # (N,c,3,h,w)
        where = self.up(self.moving(around.flatten(1, 2))).sigmoid() - 0.5  # (N,C,h,w)
        return x + self.amount * joined.view_as(x) * where


class FrameEncoder(nn.Module):
    """Frames to D features each. The last map is read out place by place: where a hand is tells signs apart."""

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
        after = {2: second, 4: third} if size.correlation else {}  # after which of the convolutions: at 1/8 and 1/16
        self.correlations = nn.ModuleDict({str(number): Correlation(width) for number, width in after.items()})
        places = (size.height // 16) * (size.width // 16)
        self.readout = nn.Linear(size.squeezed * places, size.features)
        self.norm = nn.LayerNorm(size.features)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1], clips of N / B frames of which ``lengths`` (B,) count -> (N, D)."""
        maps, places = frames * 2 - 1, _neighbours(len(frames), lengths.to(frames.device))
        for number, layer in enumerate(self.convolutions):
            maps = layer(maps)  # in the end (N, squeezed, H/16, W/16)
            if str(number) in self.correlations:
                maps = self.correlations[str(number)](maps, places)
        return self.norm(self.readout(maps.flatten(1)))  # (N, D)


def _neighbours(frames: int, lengths: Tensor) -> Tensor:
    """(3, N): of each of N frames the one before, itself, the one after; the first and last of a clip are their own."""
    clips = len(lengths)
    time = torch.arange(frames // clips, device=lengths.device)
    last = torch.maximum(time, lengths[:, None] - 1)  # (B,T); behind the end nobody looks
    first = torch.arange(clips, device=lengths.device)[:, None] * len(time)  # (B,1)
    sides = [(time - 1).clamp(min=0).expand_as(last), time.expand_as(last), torch.minimum(time + 1, last)]
    return torch.stack([(first + side).flatten() for side in sides])


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

    def encode_frames(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Clips of ``lengths`` (B,) frames, filled up and in a row (B T, 3, H, W) in [0, 1] -> (B T, D)."""
        return self.frames(frames, lengths)

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
        features = self.encode_frames(frames.flatten(0, 1), lengths).unflatten(0, frames.shape[:2])  # (B, T, D)
        local, counts = self.local(features, lengths)  # (B, L, D)
        return self.logits(local, counts), counts


def instants(frames: Tensor) -> Tensor:
    """How many instants so many frames become."""
    return -(-frames // POOL)
