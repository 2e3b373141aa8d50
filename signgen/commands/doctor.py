"""``signgen doctor``: what is installed, what will be used, what is missing and how to get it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from signgen.commands.common import common_options, emit

if TYPE_CHECKING:
    from signgen.doctor import Need, OptionalPackage, Package, Weights

SHOWN = {
    "python": "Python", "signgen": "signgen", "torch": "torch", "device": "device", "device_name": "",
    "device_memory_gb": "its memory, GB", "dtype": "numbers", "attention": "attention", "threads": "threads",
    "memory_gb": "memory, GB", "disk_free_gb": "free disk here, GB", "encoders": "video",
    "hub_cache": "cache of the hub",
}  # fmt: skip


@click.command()
@click.option("--config", "path", metavar="CONFIG", help="Also say what this training needs and lacks.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting of CONFIG first.")
@common_options
def command(path: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Say what is installed, which device, numbers and attention will be used, and what is missing.

    Nothing is downloaded: for what is missing the command that gets it is shown. Exits with 1 if something that is
    needed is missing.
    """
    from signgen.doctor import describe_machine, installed_packages, optional_packages, packaged_weights
    from signgen.errors import Missing, RunError, SignGenError

    if settings and path is None:
        raise Missing("--set", "got it without --config", "name the configuration that it changes")
    packages, optional, weights = installed_packages(), optional_packages(), packaged_weights()
    lacking = sum(not package.fits for package in packages if not package.extra)
    needs: list[Need] = []
    machine: dict[str, Any] | None = None
    try:
        needs = _needs(path, settings) if path is not None else []
        machine = describe_machine()
    except SignGenError:
        raise
    except Exception:  # what is missing, or does harm, keeps others from being imported: it is named below
        if not lacking:
            raise
    missing = lacking + sum(not need.here for need in needs)
    result: dict[str, Any] = {
        "machine": machine,
        "packages": [asdict(package) for package in packages],
        "optional": [asdict(package) for package in optional],
        "weights": [asdict(part) for part in weights],
        "config": path,
        "needs": [asdict(need) for need in needs],
        "missing": missing,
    }
    text = [*(_machine_lines(machine) if machine else ()), *_weight_lines(weights), "", *_package_lines(packages)]
    text += map(_optional_line, optional)
    if needs:
        text += ["", f"{path} needs:", *map(_need_line, needs)]
    emit(result, as_json, "\n".join(text))
    if missing:
        raise RunError("doctor", f"{missing} missing", "the commands that get them are above")


def _needs(path: str, settings: tuple[str, ...]) -> list[Need]:
    from signgen import config as configuration
    from signgen.doctor import needs_of
    from signgen.training.config import TrainConfig

    return needs_of(configuration.load(TrainConfig, path, settings))


def _machine_lines(machine: dict[str, Any]) -> list[str]:
    rows = [(label, machine[name]) for name, label in SHOWN.items() if machine[name] is not None]
    clip = machine["clip"]
    takes = f"{clip['memory_mb']} MB of memory with mini, as for any length; up to {clip['most_disk_mb']} MB as PNG"
    lines = [f"{label:<20} {value}" for label, value in rows]
    label = f"a clip of {clip['frames']:,}"
    return [*lines, f"{label:<20} frames of 210x260: {takes}"]


def _weight_lines(weights: list[Weights]) -> list[str]:
    return [f"{part.name:<20} {part.megabytes:.1f} MB, sha256 {part.sha256[:12]}: {part.use}" for part in weights]


def _package_lines(packages: list[Package]) -> list[str]:
    """One line for all that is well, one for each needed package that is not; extras have lines of their own."""
    well = [f"{package.name} {package.found}" for package in packages if package.fits]
    lines = [f"installed            {', '.join(well) or 'nothing'}"]
    for package in packages:
        if package.fits or (package.extra and package.found is None):
            continue
        kind = f"optional, {package.extra}" if package.extra else "needed"
        got = f"{package.found}, wanted {package.wanted}" if package.found else "not installed"
        lines.append(f"{kind:<20} {package.name}: {got}; {package.command}")
    return lines


def _optional_line(package: OptionalPackage) -> str:
    name = f"optional             {package.name}, for {package.use}: "
    if package.found:
        return f"{name}{package.found}"
    lacks = "" if package.missing == package.distributions else f" (lacks {', '.join(package.missing)})"
    return f"{name}not installed{lacks}; {package.command}"


def _need_line(need: Need) -> str:
    size = f" ({need.megabytes / 1000:.1f} GB)" if need.megabytes else ""
    name = f"  {need.key:<20} {need.what}, {need.where or 'not named'}"
    return f"{name}: here" if need.here else f"{name}: missing{size}; {need.command}"
