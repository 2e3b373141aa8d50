"""A small recogniser of continuous signing, to measure whether generated video can still be understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signgen.package import on_first_use

if TYPE_CHECKING:
    from signgen.scoring.recogniser.recogniser import Recogniser
    from signgen.scoring.recogniser.recognition import Recognition, WordErrors, word_errors

_PUBLIC = {
    "Recogniser": ".recogniser",
    "Recognition": ".recognition",
    "WordErrors": ".recognition",
    "word_errors": ".recognition",
}
__all__ = ["Recogniser", "Recognition", "WordErrors", "word_errors"]
__getattr__, __dir__ = on_first_use(__name__, _PUBLIC)
