"""Which measures an evaluation has, and why it lacks the others."""

from __future__ import annotations

from dataclasses import dataclass, field

from signgen.errors import InputError
from signgen.scoring.hand_measures import HandCrops, HandJoints, Wrists
from signgen.scoring.measures import Measure, MeasureOptions, pixel_measures
from signgen.scoring.pairing import Pair

_HANDS = ("hand_ssim", "hand_pe", "hand_pe_drive", "wrist_px")
_NO_KEYPOINTS = "no keypoints: give those of the true frames with --keypoints"


@dataclass
class Built:
    """The measures, and the reason for each metric that is missing."""

    measures: list[Measure] = field(default_factory=list)
    not_computed: dict[str, str] = field(default_factory=dict)

    @property
    def signatures(self) -> dict[str, str]:
        return {name: text for measure in self.measures for name, text in measure.signatures.items()}


def build_measures(options: MeasureOptions, keypoints: bool = True) -> Built:
    """Loads everything that can be measured with these options.

    Args:
        keypoints: whether any clip has them; without, nothing that needs them is loaded.

    Raises:
        InputError: a weight file or a detector that was asked for is missing or wrong.
    """
    from signgen.scoring.hand_measures import Features, Recognition, perceptual, wanted

    built = Built(pixel_measures())
    if keypoints:
        built.measures += [HandCrops(), Wrists()]
        _add_hand_joints(built, options)
    else:
        built.not_computed |= dict.fromkeys(_HANDS, _NO_KEYPOINTS)
    for name, weights, kind in (("lpips", options.lpips_weights, perceptual), ("fid", options.fid_weights, Features)):
        if weights is None:
            built.not_computed[name] = wanted(name)
        else:
            built.measures.append(kind(weights))
    if options.recogniser:
        built.measures.append(Recognition(options.recogniser_folder))
    return built


def _add_hand_joints(built: Built, options: MeasureOptions) -> None:
    """Hand PE; where the built-in detector cannot be loaded, and no other was asked for, all else is still scored."""
    try:
        built.measures.append(HandJoints(options))
    except InputError as error:
        if options.hand_detector != MeasureOptions.hand_detector or options.hand_weights is not None:
            raise
        built.not_computed |= dict.fromkeys(("hand_pe", "hand_pe_drive"), str(error))


def fitting(built: Built, pairs: tuple[Pair, ...]) -> Built:
    """Without the measures for which some clip's frames are too small."""
    smallest = min(pairs, key=lambda pair: min(pair.size))
    fit = Built(not_computed=dict(built.not_computed))
    for measure in built.measures:
        if min(smallest.size) >= measure.smallest_side:
            fit.measures.append(measure)
            continue
        got = f"the frames of {smallest.name} are {smallest.size[0]}x{smallest.size[1]}"
        reason = f"{got}, it needs {measure.smallest_side} pixels a side"
        fit.not_computed |= dict.fromkeys(measure.signatures, reason)
    return fit


def check_glosses(options: MeasureOptions, pairs: tuple[Pair, ...]) -> None:
    """A recogniser needs to know what is signed."""
    if options.recogniser and not any(pair.true.entry for pair in pairs):
        got = "the reference does not say what is signed"
        raise InputError("--recogniser", got, "give a data set in PHOENIX14T's layout as REFERENCE")
