"""Convolutions with fewer multiplications, for networks that only infer on a CPU.

A 3x3 convolution multiplies nine times for each pair of channels and place. Winograd's minimal filtering F(4x4, 3x3)
(Lavin and Gray 2016) takes 6x6 places together: both input tile and filter are transformed to 36 numbers, multiplied
place by place, and what comes out is transformed back to 4x4 places, which is 36 multiplications instead of 144. The
products are 36 matrix products, which torch computes; the transforms are sums, compiled here. Results differ from the
plain convolution's by rounding, about 1e-5 of the largest value.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

TILE, STEP = 6, 4  # places that are read, and that are written, along each side
LEAST_CHANNELS = 64  # with fewer, the transforms take as long as the multiplications that they save
LEAST_TILES = 20
ROWS = 64  # tiles that are worked on at once, so that they stay in a core's cache
MOST_THREADS = 8  # with more, plain convolutions are as fast: they share their work better
_FILTERS = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
_inlined = njit(inline="always")
_2, _4, _5, _8 = (np.float32(number) for number in (2, 4, 5, 8))


class WinogradConv(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps the size; the plain one wherever it is not a float32 inference on a CPU.

    Made of a plain convolution by `use_winograd`; parameters and results are the same.
    """

    _filters: tuple[Any, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W), channels last in memory."""
        if not self._pays(input):
            return super().forward(input)
        return convolved(input, self._transformed(), self.bias)

    def _pays(self, images: Tensor) -> bool:
        plain = type(images) is Tensor and images.device.type == "cpu" and images.dtype == torch.float32
        if not plain or torch.is_grad_enabled() or torch.jit.is_tracing() or torch.compiler.is_compiling():
            return False
        height, width = images.shape[-2:]
        tiles = len(images) * -(-height // STEP) * -(-width // STEP)
        return tiles >= LEAST_TILES and self.weight.dtype == torch.float32 and torch.get_num_threads() <= MOST_THREADS

    def _transformed(self) -> Tensor:
        """The filters, transformed when they are first asked for and whenever they have changed."""
        weight = self.weight
        state = weight.data_ptr(), None if weight.is_inference() else weight._version
        if self._filters is None or self._filters[0] != state:
            self._filters = state, transformed(weight)
        return self._filters[1]


def use_winograd(network: nn.Module) -> None:
    """Makes every convolution inside ``network`` that gains by it a `WinogradConv`."""
    for part in network.modules():
        if type(part) is not nn.Conv2d:
            continue
        shape = part.kernel_size, part.stride, part.padding, part.dilation, part.groups, part.padding_mode
        wide = min(part.in_channels, part.out_channels) >= LEAST_CHANNELS
        if wide and shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros"):
            part.__class__ = WinogradConv


def transformed(filters: Tensor) -> Tensor:
    """Filters (O, C, 3, 3) -> float32 (36, C, O)."""
    matrix = torch.tensor(_FILTERS, dtype=torch.float64)
    places = torch.einsum("ai,bj,ocij->abco", matrix, matrix, filters.double())
    return places.flatten(0, 1).float().contiguous()


def convolved(images: Tensor, filters: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution of float32 images (N, C, H, W) with filters from `transformed`, zeros around them.

    Returns:
        (N, O, H, W), channels last in memory.
    """
    count, channels, height, width = images.shape
    outputs = filters.shape[2]
    source = images.permute(0, 2, 3, 1).contiguous().view(count, height, width * channels).numpy()
    made = torch.empty(count, height, width, outputs)
    rows = made.view(count, height, width * outputs).numpy()
    added = np.zeros(outputs, np.float32) if bias is None else bias.detach().numpy()
    grid = width, -(-height // STEP), -(-width // STEP)

    def some(first: int, last: int) -> None:
        size = min(ROWS, last - first)
        before, after = torch.empty(TILE**2, size, channels), torch.empty(TILE**2, size, outputs)
        read, written = before.numpy(), after.numpy()
        for start in range(first, last, size):
            stop = min(start + size, last)
            _read(source, read, *grid, start, stop)
            torch.bmm(before, filters, out=after)
            _write(written, added, rows, *grid, start, stop)

    tiles, threads = count * grid[1] * grid[2], torch.get_num_threads()
    if threads == 1:
        some(0, tiles)
    else:
        cuts = [tiles * part // threads for part in range(threads + 1)]
        for part in [_threads().submit(some, *cuts[at : at + 2]) for at in range(threads)]:
            part.result()
    return made.permute(0, 3, 1, 2)


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads in each of which torch computes alone: each has tiles of its own, and none waits for another one.

    There are as many as anybody may ask for, so that two who convolve at a time do not wait for each other."""
    before, ready = torch.get_num_threads(), Barrier(MOST_THREADS + 1)

    def alone() -> None:
        torch.get_num_threads()  # from now on the thread has a number of its own
        torch.set_num_threads(1)
        ready.wait()

    pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="signgen-convolving", initializer=alone)
    for _ in range(MOST_THREADS):
        pool.submit(int)
    ready.wait()
    torch.set_num_threads(before)  # of threads that are still to come
    return pool


# Each loop writes one row and reads six at most: so many the compiler can tell apart, and it takes several numbers at a
# time. For the same reason rows are indexed out of whole arrays: of a slice it would not know that they lie close.
@_inlined
def _to_places(
    a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, r0: Any, r1: Any, r2: Any, r3: Any, r4: Any, r5: Any
) -> None:
    """Six rows a to f to six rows, along one side of a tile."""
    count = len(a)
    for i in range(count):
        r0[i] = _4 * a[i] - _5 * c[i] + e[i]
    for i in range(count):
        r1[i] = e[i] + d[i] - _4 * (c[i] + b[i])
    for i in range(count):
        r2[i] = e[i] - d[i] - _4 * (c[i] - b[i])
    for i in range(count):
        r3[i] = e[i] - c[i] + _2 * (d[i] - b[i])
    for i in range(count):
        r4[i] = e[i] - c[i] - _2 * (d[i] - b[i])
    for i in range(count):
        r5[i] = _4 * b[i] - _5 * d[i] + f[i]


@_inlined
def _from_places(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, r0: Any, r1: Any, r2: Any, r3: Any) -> None:
    """Six rows a to f to four rows."""
    count = len(a)
    for i in range(count):
        r0[i] = a[i] + (b[i] + c[i]) + (d[i] + e[i])
    for i in range(count):
        r1[i] = (b[i] - c[i]) + _2 * (d[i] - e[i])
    for i in range(count):
        r2[i] = (b[i] + c[i]) + _4 * (d[i] + e[i])
    for i in range(count):
        r3[i] = (b[i] - c[i]) + _8 * (d[i] - e[i]) + f[i]


@_compiled
def _read(source: np.ndarray, places: np.ndarray, width: int, down: int, across: int, first: int, last: int) -> None:
    """Images (N, H, W * C) -> tiles ``first`` to ``last`` as ``places`` (36, P, C)."""
    _, height, row = source.shape
    n = row // width
    half, cut = np.empty((6, 6 * n), np.float32), np.empty((6, 6 * n), np.float32)
    for tile in range(first, last):
        image, place = tile // (down * across), tile % (down * across)
        y, x, at = place // across * 4 - 1, place % across * 4 - 1, tile - first
        if y >= 0 and x >= 0 and y + 6 <= height and x + 6 <= width:
            a, b = x * n, (x + 6) * n
            _to_places(source[image, y, a:b], source[image, y + 1, a:b], source[image, y + 2, a:b],
                       source[image, y + 3, a:b], source[image, y + 4, a:b], source[image, y + 5, a:b],
                       half[0], half[1], half[2], half[3], half[4], half[5])  # fmt: skip
        else:
            a, b = max(x, 0), min(x + 6, width)
            for k in range(6):
                cut[k] = 0
                if 0 <= y + k < height:
                    cut[k, (a - x) * n : (b - x) * n] = source[image, y + k, a * n : b * n]
            _to_places(cut[0], cut[1], cut[2], cut[3], cut[4], cut[5],
                       half[0], half[1], half[2], half[3], half[4], half[5])  # fmt: skip
        for k in range(6):
            s = half[k]
            _to_places(s[:n], s[n : 2 * n], s[2 * n : 3 * n], s[3 * n : 4 * n], s[4 * n : 5 * n], s[5 * n :],
                       places[6 * k, at], places[6 * k + 1, at], places[6 * k + 2, at], places[6 * k + 3, at],
                       places[6 * k + 4, at], places[6 * k + 5, at])  # fmt: skip


@_compiled
def _write(
    places: np.ndarray, bias: np.ndarray, made: np.ndarray, width: int, down: int, across: int, first: int, last: int
) -> None:
    """``places`` (36, P, O) -> tiles ``first`` to ``last`` of images (N, H, W * O)."""
    _, height, row = made.shape
    n = row // width
    half, done = np.empty((4, 6 * n), np.float32), np.empty((4, n), np.float32)
    for tile in range(first, last):
        image, place = tile // (down * across), tile % (down * across)
        y, x, at = place // across * 4, place % across * 4, tile - first
        for k in range(6):
            a, b = k * n, (k + 1) * n
            _from_places(places[k, at], places[6 + k, at], places[12 + k, at], places[18 + k, at], places[24 + k, at],
                         places[30 + k, at], half[0, a:b], half[1, a:b], half[2, a:b], half[3, a:b])  # fmt: skip
        for k in range(min(4, height - y)):
            s = half[k]
            _from_places(s[:n], s[n : 2 * n], s[2 * n : 3 * n], s[3 * n : 4 * n], s[4 * n : 5 * n], s[5 * n :],
                         done[0], done[1], done[2], done[3])  # fmt: skip
            for j in range(min(4, width - x)):
                to, own = made[image, y + k, (x + j) * n : (x + j + 1) * n], done[j]
                for i in range(n):
                    to[i] = own[i] + bias[i]
