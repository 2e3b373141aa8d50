"""Training: stages as values, one loop, checkpoints that survive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["train"]


def train(
    config: str | Path | Mapping[str, Any],
    *,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Trains one stage of the model, as ``signgen train`` does.

    Args:
        config: a YAML file, the name of a preset such as ``"mini/denoiser"``, or the settings themselves.
        resume: go on from the newest checkpoint of the output folder.
        progress: called as ``progress(steps done, steps in all)``.
        **settings: fields of `signgen.training.config.TrainConfig` that replace those of ``config``; for a group of
            settings a mapping, such as ``optim={"lr": 3e-4}``, which replaces those that it names.

    Returns:
        Plain data: stage, output, steps, seconds, finished and more. The trained parts are in ``<output>/model``.

    Raises:
        InputError: a setting that does not exist or is out of its range, no data set or no earlier stage,
            or an output folder that holds another run.
        RunError: the loss is no longer a number, or the disk is full.

    Example:
        >>> from signgen import train
        >>> small = {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_widths": [8, 8], "decoder_blocks": [0, 1]}
        >>> result = train("mini/autoencoder", data="drawn", output="run", steps=2, batch=2, model=small)
        >>> result["stage"], result["steps"], result["finished"]
        ('autoencoder', 2, True)
    """
    from signgen import config as configuration
    from signgen.training.config import TrainConfig
    from signgen.training.run import run_stage

    given = isinstance(config, Mapping)
    content = dict(config) if isinstance(config, Mapping) else configuration.read_yaml(config)
    for name, value in settings.items():
        group = content.get(name)
        merged = {**group, **value} if isinstance(group, Mapping) and isinstance(value, Mapping) else value
        content[name] = str(value) if isinstance(value, Path) else merged
    resolved = configuration.build(TrainConfig, content, "configuration" if given else str(config))
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if progress is not None:
            progress(done, resolved.steps)

    return run_stage(resolved, resume, advance)
