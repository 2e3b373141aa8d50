"""What this installation and this machine have, what a training needs, and how to get what is missing."""

from signgen.doctor.machine import describe_machine
from signgen.doctor.packages import OptionalPackage, Package, installed_packages, optional_packages
from signgen.doctor.weights import Need, Weights, needs_of, packaged_weights

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
