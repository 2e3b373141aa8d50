"""Where in the frames to look: the box that a user gives, or the person who is found in a few of them."""

from __future__ import annotations

import numpy as np

from signgen.errors import InputError
from signgen.extract.estimator import Estimator, whole_frame
from signgen.extract.footage import Footage
from signgen.extract.people import Someone, choose, find_people, signing_box
from signgen.video import read_frame

Box = tuple[float, float, float, float]
LOOKS = 5  # frames that are looked at to find the people


def choose_region(
    footage: Footage, numbers: np.ndarray, estimator: Estimator, given: Box | None, person: int | None
) -> tuple[np.ndarray, list[Someone], list[str]]:
    """The box to look at in every frame, everybody who was found on the way, and warnings.

    Args:
        numbers: of the frames that will be looked at.
        given: the user's box; nobody is looked for then.
        person: number of the person from the left; None: the largest.

    Raises:
        InputError: a box outside of the frame, a box and a person, or no such person.
    """
    if given is not None:
        if person is not None:
            raise InputError("--person", "got it with --box", "one of them says who is meant")
        return _checked_box(given, footage), [], []
    chosen = np.unique(numbers[np.linspace(0, len(numbers) - 1, LOOKS).round().astype(int)])
    people = find_people(estimator, (read_frame(footage.path, int(number)) for number in chosen))
    someone = choose(people, person, footage.path)
    warnings = []
    if someone is None:
        warnings = [f"nobody is found for sure in {len(chosen)} of its frames; looks at the whole frame (--box)"]
    elif len(people) > 1 and person is None:
        mine = next(number for number, other in enumerate(people, 1) if other is someone)
        warnings = [f"{len(people)} people; takes number {mine} from the left, the largest (--person)"]
    return signing_box(someone, footage.width, footage.height), people, warnings


def _checked_box(box: Box, footage: Footage) -> np.ndarray:
    place = np.asarray(box, np.float64)
    frame = whole_frame(footage.width, footage.height)
    inside = np.concatenate([np.maximum(place[:2], frame[:2]), np.minimum(place[2:], frame[2:])])
    if not (np.isfinite(place).all() and (inside[2:] - inside[:2] >= 16).all()):
        allowed = f"give X0,Y0,X1,Y1 in pixels, at least 16 each way inside of {footage.width}x{footage.height}"
        raise InputError("--box", f"got {','.join(f'{side:g}' for side in box)}", allowed)
    return inside
