"""What this installation and this machine have, what a training needs, and how to get what is missing."""

from signgen.doctor.installed import Package, installed_packages
from signgen.doctor.machine import describe_machine
from signgen.doctor.needs import Need, needs_of

__all__ = ["Need", "Package", "describe_machine", "installed_packages", "needs_of"]
