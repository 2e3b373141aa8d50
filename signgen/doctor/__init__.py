"""What this installation and this machine have, what a training needs, and how to get what is missing."""

from signgen.doctor.installed import Package, installed_packages
from signgen.doctor.machine import describe_machine
from signgen.doctor.needs import Need, needs_of
from signgen.doctor.optional import OptionalPackage, optional_packages
from signgen.doctor.weights import Weights, packaged_weights

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
