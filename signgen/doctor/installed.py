"""Which of the packages that signgen asks for are there, in a version that will do."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from signgen.doctor.commands import install_command

TEST_EXTRAS = ("test", "dev")  # of no use to those who only run signgen


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name; wanted: versions that will do, "" = any.
        found: the version that is there, or None.
        extra: the optional part of signgen that it belongs to, "" = all of signgen needs it.
        fits: whether what is there will do.
        command: how to get it.
    """

    name: str
    wanted: str
    found: str | None
    extra: str
    fits: bool
    command: str


def installed_packages(distribution: str = "signgen") -> list[Package]:
    """All that a distribution asks for on this platform, needed ones first; then packages known to do harm."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return [Package(distribution, "", None, "", False, "pip install .  # in the folder of its source")]
    found = [package for line in lines if (package := _look_up(Requirement(line), distribution)) is not None]
    found.sort(key=lambda package: (package.extra, package.name))
    return found + _harmful()


def _look_up(requirement: Requirement, distribution: str) -> Package | None:
    """None for what this platform does not need, and for tests."""
    extra = next((name for name in _extras(distribution) if _holds(requirement, name)), "")
    if not _holds(requirement, "") and not extra:
        return None
    extra = "" if _holds(requirement, "") else extra
    found = _version(requirement.name)
    fits = found is not None and requirement.specifier.contains(found, prereleases=True)
    command = install_command(extra) if extra else f'pip install "{requirement.name}{requirement.specifier}"'
    return Package(requirement.name, str(requirement.specifier), found, extra, fits, command)


def _extras(distribution: str) -> list[str]:
    names = metadata.metadata(distribution).get_all("Provides-Extra") or []
    return [name for name in names if name not in TEST_EXTRAS]


def _holds(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _harmful() -> list[Package]:
    """torchvision made for another torch than the one that is there breaks transformers on import."""
    found, torch = _version("torchvision"), _version("torch")
    if found is None or torch is None:
        return []
    wanted = next((str(r.specifier) for line in metadata.requires("torchvision") or []
                   if (r := Requirement(line)).name == "torch"), "")  # fmt: skip
    if not wanted or Requirement(f"torch{wanted}").specifier.contains(torch, prereleases=True):
        return []
    words = f"made for torch{wanted}, this is torch {torch}"
    return [Package("torchvision", words, found, "", False, "pip uninstall torchvision")]
