"""What an augmentation starts from: the signers, the model; and ``augment.json``, which says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signgen.augmentation.origin import USUAL_FRAME
from signgen.augmentation.settings import Settings
from signgen.augmentation.signers import fingerprint, keep_drawn, load_drawn, load_signers
from signgen.augmentation.store import SIGNERS, VIDEOS, Store, store_of
from signgen.dataset.files import locked, read_json, write_text
from signgen.dataset.phoenix import PhoenixIndex
from signgen.dataset.survey import frame_size
from signgen.dataset.trees import PHOENIX14T
from signgen.errors import Damaged, Mismatch, Missing, NotWritable, RunError
from signgen.package import versions
from signgen.rendering import load_model
from signgen.rendering.manifest import NOTICE, PACKAGES
from signgen.rendering.several import consent_in, personal_record
from signgen.rendering.source import Source

if TYPE_CHECKING:
    from signgen.model import SignGenPipeline

PLAN = "augment.json"
ANOTHER = "delete it, or name another folder"
_SAID = {"nested": "layouts (corrnet's frames lie in folders of their own)", "variation": "--vary or --mirror"}
OF_PHOENIX = (
    "Motion, glosses and translations are those of RWTH-PHOENIX-Weather 2014 T, CC BY-NC-SA 3.0: for research, not for "
    "commercial use, and copies are shared under the same licence."
)


@dataclass(frozen=True)
class Recipe:
    """What every worker needs beside its jobs; can be sent to other processes.

    Attributes:
        store: where clips go.
        settings: what is made.
        sources: the signers' pictures by name.
        frame: (width, height) of the data set's frames.
        weights: SHA-256 of the model's weights; computes: device, numbers and engine, as `what_computes` says.
        licence: of the data set, which its copies inherit.
        consent: that of the person whom the model has learned, ``consent`` and the words, or nothing.
    """

    store: Store
    settings: Settings
    sources: dict[str, Source]
    frame: tuple[int, int]
    weights: str
    computes: dict[str, str]
    licence: str
    consent: dict[str, str]


def open_recipe(
    index: PhoenixIndex, out: Path, settings: Settings, dry: bool = False
) -> tuple[Recipe, SignGenPipeline]:
    """What all workers need, and the model that it was found out with; ``out`` is begun with it.

    Args:
        dry: write nothing; ``out`` need not be there.

    Raises:
        InputError: ``out`` was begun with something else that clips depend on.
    """
    import torch

    sources = load_signers(settings.signers, out / SIGNERS)
    folder = Path(settings.model)
    model = str(folder.absolute()) if folder.is_dir() else settings.model  # as other processes find it
    with threads_restored():
        torch.set_num_threads(settings.threads)
        pipeline = open_model(settings)
    recipe = Recipe(
        store=store_of(out.absolute(), settings),
        settings=replace(settings, model=model),
        sources=sources,
        frame=frame_size(index) or USUAL_FRAME,
        weights=pipeline.weights_sha256(),
        computes=what_computes(pipeline),
        licence=licence_of(index),
        consent=consent_in(personal_record(model)),
    )
    return (_compared(index, recipe) if dry else _begun(index, recipe)), pipeline


def reopen_recipe(index: PhoenixIndex, out: Path, settings: Settings) -> Recipe:
    """The recipe of a folder that was begun, without the model: enough to finish it, on any machine.

    Raises:
        InputError: nothing was begun there, or something else.
    """
    if not (out / PLAN).is_file():
        raise Missing(out, f"has no {PLAN}", "let a share make its clips first")
    before = read_json(out / PLAN, ANOTHER)
    try:
        decides = before["decides"]
        computes = {name: decides[f"model_{name}"] for name in ("device", "dtype", "engine")}
        weights = decides["weights_sha256"]
    except (KeyError, TypeError):
        raise Damaged(out / PLAN, "does not say what made its clips", ANOTHER) from None
    store = store_of(out.absolute(), settings)
    frame = frame_size(index) or USUAL_FRAME
    signers, licence = load_signers(settings.signers, out / SIGNERS), licence_of(index)
    return _begun(index, Recipe(store, settings, signers, frame, weights, computes, licence, consent_in(before)))


# -- the data set -----------------------------------------------------------------------------------------------------


def make_folder(out: Path, dataset: Path) -> None:
    """Makes the output folder; InputError where it cannot be one or is the data set itself."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(out, f"cannot be made a folder ({error.strerror})", "name another folder") from None
    check_not_itself(out, dataset)


def check_not_itself(out: Path, dataset: Path) -> None:
    """InputError where the output folder is the data set."""
    if dataset.exists() and out.resolve() == dataset.resolve():
        raise NotWritable(out, "is the data set itself", "name another folder for the copies")


def licence_of(index: PhoenixIndex) -> str:
    """What the data set says of itself, in augment.json or synthetic.json, else PHOENIX14T's licence."""
    for folder in (index.root, index.release, index.release.parent.parent):
        for name, key in (("augment.json", "licence"), ("synthetic.json", "statement")):
            with suppress(Damaged):  # there is none
                said = read_json(folder / name).get(key)
                if said and isinstance(said, str):
                    return said
    of_another = f"Motion, glosses and texts are those of {index.tree.label}, whose licence holds for copies, too."
    return OF_PHOENIX if index.tree is PHOENIX14T else of_another


# -- the model --------------------------------------------------------------------------------------------------------


def open_model(settings: Settings) -> SignGenPipeline:
    """The model with the engine of the settings."""
    return load_model(settings.model, settings.render_settings())


def what_computes(pipeline: SignGenPipeline) -> dict[str, str]:
    """Device, numbers and engine: what a frame's last bits depend on beside the weights."""
    numbers = str(pipeline.dtype).removeprefix("torch.")
    return {"device": pipeline.device.type, "dtype": numbers, "engine": pipeline.engine.name}


@contextmanager
def threads_restored() -> Iterator[None]:
    """Leaves the number of torch's threads as it was: a `Maker` sets it for its whole process."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- augment.json -----------------------------------------------------------------------------------------------------


def _begun(index: PhoenixIndex, recipe: Recipe) -> Recipe:
    """Compares with ``augment.json``, if it is there, and writes it; the recipe, with the pictures that are kept there.

    Raises:
        InputError: the folder was begun with something else that clips depend on, or cannot be written.
    """
    out = recipe.store.out
    with locked(out):  # who comes first decides for all what drawn signers look like
        kept = load_drawn(recipe.settings.signers, out / SIGNERS)
        recipe = _compared(index, replace(recipe, sources={**recipe.sources, **kept}))
        try:
            keep_drawn(recipe.sources, out / SIGNERS)
            write_text(out / PLAN, json.dumps(describe(index, recipe), indent=2, ensure_ascii=False) + "\n")
        except (RunError, NotWritable) as error:
            raise NotWritable(out, error.got, "name a folder that can be written") from None
    return recipe


def _compared(index: PhoenixIndex, recipe: Recipe) -> Recipe:
    """The recipe, which fits the ``augment.json`` that is there, if any.

    Raises:
        InputError: the folder was begun with something else that clips depend on.
    """
    path = recipe.store.out / PLAN
    if not path.is_file():
        return recipe
    old = recipe.store.out / VIDEOS.name
    if recipe.settings.media == "mp4" and old.is_dir():
        got = "holds the videos of an older version, which no reader finds there"
        raise Mismatch(old, got, f"move this folder to {recipe.store.out / VIDEOS} and give the command again")
    before, now = read_json(path, ANOTHER).get("decides", {}), describe(index, recipe)["decides"]
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        got = f"was begun with other {', '.join(_SAID.get(name, name) for name in changed)}"
        same = "use the same, here --vary none, to go on" if _was_still(before, now) else "use the same to go on"
        raise Mismatch(recipe.store.out, got, f"{same}, or name another folder")
    return recipe


def _was_still(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a folder that was begun without variation, once the usual, is now asked for some."""
    old, new = (
        [amount for name, amount in said.get("variation", {}).items() if name != "mirror"] for said in (before, now)
    )
    return any(new) and not any(old)


def describe(index: PhoenixIndex, recipe: Recipe) -> dict[str, Any]:
    """How the set is made; ``decides`` holds what its clips depend on."""
    settings = recipe.settings
    decides = {
        **settings.content(),
        "weights_sha256": recipe.weights,
        "pictures": {Path(name).name: fingerprint(source) for name, source in recipe.sources.items()},
        "frame": list(recipe.frame),
        **{f"model_{name}": value for name, value in recipe.computes.items()},
    }
    return {
        "kind": "signgen augmented data set",
        "notice": NOTICE,
        "generated": True,
        "licence": recipe.licence,
        **recipe.consent,
        "dataset": str(index.root.absolute()),
        "splits": list(settings.splits),
        "copies": settings.copies,
        "layouts": list(settings.layouts),
        "decides": json.loads(json.dumps(decides)),  # tuples become lists, as when read back
        "versions": versions(PACKAGES),
    }
