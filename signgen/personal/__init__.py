"""A model learns one person from a short video: `personalise`."""

from signgen.personal.recipe import Recipe
from signgen.personal.run import PersonalResult, personalise

__all__ = ["PersonalResult", "Recipe", "personalise"]
