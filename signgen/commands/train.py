"""``signgen train``: one stage of training from a configuration."""

from __future__ import annotations

import os

import click

from signgen.commands.common import common_options, emit, progress


@click.command()
@click.argument("config")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting, such as optim.lr=3e-4.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint of the output folder.")
@common_options
def command(config: str, settings: tuple[str, ...], resume: bool, as_json: bool) -> None:
    """Train the stage that CONFIG describes: a YAML file, or the name of a preset, such as mini/denoiser.

    Stages build on each other: autoencoder, fusion, denoiser, video, distill, then matte and composer, hand_refiner
    and face_refiner. Checkpoints, contact sheets and a log
    are in the output folder; the trained parts are in its folder model. SIGTERM and Ctrl-C save a checkpoint and end
    the run; --resume goes on as if it had never stopped.

    Several processes: torchrun --nproc_per_node N -m signgen train CONFIG, or on GPUs accelerate launch -m signgen
    train CONFIG, whose configuration also says FSDP and several machines.
    """
    from signgen import config as configuration
    from signgen.training.config import TrainConfig
    from signgen.training.run import run_stage

    resolved = configuration.load(TrainConfig, config, settings)
    if os.environ.get("RANK", "0") != "0":  # one of several processes; the first one speaks for all
        run_stage(resolved, resume)
        return
    with progress(resolved.steps, resolved.stage) as advance:
        result = run_stage(resolved, resume, advance)
    state = "done" if result["finished"] else "stopped; go on with --resume"
    done = f"{result['steps']} steps in {result['seconds']:.0f} s"
    text = f"{result['stage']}: {done}, {state}; model in {result['output']}/model"
    emit(result, as_json, text)
