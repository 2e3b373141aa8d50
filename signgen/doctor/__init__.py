"""What this installation and this machine have, what a training needs, and how to get what is missing."""

from signgen.doctor.machine import Need, Weights, describe_machine, needs_of, packaged_weights
from signgen.doctor.optional import OptionalPackage, Package, installed_packages, optional_packages

__all__ = [
    "Need",
    "OptionalPackage",
    "Package",
    "Weights",
    "describe_machine",
    "installed_packages",
    "needs_of",
    "optional_packages",
    "packaged_weights",
]
