"""``signgen render VIDEO``: extract and render in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from signgen.commands.common import progress_to
from signgen.errors import InputError

MEANINGLESS = {"format": "--from", "clip": "--clip", "frame_size": "--frame-size"}  # for a video


def extract_first(options: dict[str, Any], estimator: str | None, weights: str | None) -> dict[str, Any]:
    """Puts the signer's keypoints in the video's place among the options of a render.

    Args:
        options: of `signgen.rendering.render`; ``keypoints`` is a video or a folder of frames. An ``output`` that is
            not given gets a name other than the video's.

    Returns:
        What to report beside the render: how the keypoints were found.

    Raises:
        InputError: as `signgen.extraction.extract`; options that only keypoint files have; an output that is the input.
    """
    from signgen.extraction import EstimatorSettings, ExtractSettings, extract_keypoints

    video = Path(options["keypoints"])
    for name, option in MEANINGLESS.items():
        if options[name] is not None:
            raise InputError(option, f"got {options[name]} with a video", "it is for keypoint files; leave it out")
    output = Path(options["output"] or f"{video.resolve().stem}_rendered.mp4")
    if output.exists() and output.samefile(video):
        raise InputError(output, "is the input", "write elsewhere")
    settings = ExtractSettings(EstimatorSettings(estimator or "auto", weights), fps=options["fps"])
    with progress_to("extract") as report:
        found = extract_keypoints(video, settings, report)
    options.update(keypoints=found.keypoints, output=output, fps=None)
    return {"extracted": {**found.origin, "missing": found.missing}, "warnings": found.warnings}
