"""Frames per second of each metric: ``python benchmarks/metric_speed.py [--networks]``. Asserts nothing.

CPU time of one thread comes first, because other work on the machine does not count in it; "cores" is the rate that
all cores give at that cost. The last line runs everything that needs no weights in one process per core, by the clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import click
import numpy as np
from scipy.ndimage import gaussian_filter

Clip = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # generated, true, keypoints xy and confidence
Work = Callable[[Clip], object]


def made_up_clip(frames: int, width: int, height: int, seed: int = 0) -> Clip:
    """A sliding texture, the same with noise, and hands in it; no metric's cost depends on what is seen."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(height + frames, width, 3)), (5, 5, 0))
    texture = 255 * (texture - texture.min()) / np.ptp(texture)
    true = np.stack([texture[i : i + height] for i in range(frames)]).astype(np.uint8)
    pred = np.clip(true + rng.normal(0, 8, true.shape), 0, 255).astype(np.uint8)
    xy = np.zeros((frames, 133, 2), np.float32)
    xy[:, 100], xy[:, 121] = (0.7 * width, 0.6 * height), (0.3 * width, 0.6 * height)
    return pred, true, xy, np.ones((frames, 133), np.float32)


def weightless() -> dict[str, Work]:
    """Everything that needs neither a detector nor weights."""
    from signgen.scoring import metrics
    from signgen.scoring.metrics.flow import tof
    from signgen.scoring.metrics.hands import hand_ssim
    from signgen.scoring.metrics.image import WANG, WIN51, mae, psnr, ssim
    from signgen.scoring.metrics.temporal import measure_steps

    background = metrics.BackgroundDeviation()
    faces = metrics.FaceSSIM(), metrics.MouthSSIM(), metrics.EyesSSIM()
    sharpness = metrics.HandSharpness(), metrics.FaceSharpness()
    return {
        "ssim_win51": lambda c: ssim(c[0], c[1], WIN51),
        "ssim_wang": lambda c: ssim(c[0], c[1], WANG),
        "psnr": lambda c: psnr(c[0], c[1]),
        "mae": lambda c: mae(c[0], c[1]),
        "hand_ssim": lambda c: hand_ssim(*c),
        "face, mouth and eyes SSIM": lambda c: [metric.update(*c) for metric in faces],
        "sharpness of hands and faces": lambda c: [metric.update(*c) for metric in sharpness],
        "tof": lambda c: tof(c[0], c[1]),
        "flicker, motion ratio, still flicker, step error": lambda c: measure_steps(c[0], c[1]),
        "background_deviation": lambda c: background.update(c[0], c[1]),
    }


def networks() -> dict[str, Work]:
    """LPIPS and FID's features, whose cost does not depend on the weights: here they are random."""
    import torch

    from signgen.scoring.metrics.fid import InceptionFeatures, InceptionOfFrames
    from signgen.scoring.metrics.lpips import LPIPSNetwork, lpips

    alexnet, inception = LPIPSNetwork().eval(), InceptionOfFrames(InceptionFeatures()).eval()

    def features(clip: Clip) -> None:
        with torch.inference_mode():
            for frames in clip[:2]:
                inception(torch.from_numpy(frames).permute(0, 3, 1, 2) / 255)

    return {"lpips": lambda c: lpips(c[0], c[1], alexnet), "fid, without its last step": features}


def one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def cost(work: Work, clip: Clip, seconds: float) -> float:
    """CPU seconds per frame."""
    work(clip)  # compile, allocate
    frames, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        work(clip)
        frames += len(clip[0])
    return (time.process_time() - begun) / frames


def together(frames: int, width: int, height: int, seconds: float) -> tuple[int, float, float]:
    """Frames that pass everything weightless in ``seconds`` by the clock, the time they took, and their CPU time."""
    one_thread()
    clip, works = made_up_clip(frames, width, height), weightless().values()
    for work in works:
        work(clip)
    done, begun, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        for work in works:
            work(clip)
        done += frames
    return done, time.perf_counter() - begun, time.process_time() - cpu


def print_line(name: str, seconds: float, cores: int) -> None:
    click.echo(f"{name:50s} {1000 * seconds:8.2f} {1 / seconds:10.0f} {cores / seconds:10.0f}")


@click.command()
@click.option("--size", default="210x260", show_default=True, help="Width x height of the frames.")
@click.option("--frames", default=16, show_default=True, help="Frames of the clip.")
@click.option("--seconds", default=1.0, show_default=True, help="CPU time given to each metric.")
@click.option("--processes", type=int, help="For the last line; one per core when not given.")
@click.option("--networks", "with_networks", is_flag=True, help="LPIPS and FID too.")
def main(size: str, frames: int, seconds: float, processes: int | None, with_networks: bool) -> None:
    """Print what each metric costs, and the rate of all that need no weights together."""
    one_thread()
    width, height = map(int, size.split("x"))
    cores = processes or len(os.sched_getaffinity(0))
    clip = made_up_clip(frames, width, height)
    click.echo(f"{width}x{height}, {cores} cores\n{'':50s} {'CPU ms':>8s} {'1 core /s':>10s} {'cores /s':>10s}")
    costs = {name: cost(work, clip, seconds) for name, work in weightless().items()}
    for name, spent in costs.items():
        print_line(name, spent, cores)
    print_line("together", sum(costs.values()), cores)
    if with_networks:
        for name, work in networks().items():
            print_line(name, cost(work, clip, seconds), cores)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(together, *zip(*[(frames, width, height, 3 * seconds)] * cores, strict=True)))
    by_the_clock = sum(done / wall for done, wall, _ in runs)
    busy = sum(cpu / wall for _, wall, cpu in runs)
    click.echo(f"together in {cores} processes: {by_the_clock:.0f} frames/s by the clock, with {busy:.2f} cores' time")


if __name__ == "__main__":
    main()
