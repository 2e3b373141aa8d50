"""Who is in the picture, and where the signer stands: a few frames looked at before all of them.

A top-down estimator says nothing of where people are. It is asked about the whole frame and, in a wide one, about
upright strips of it as well; points that are confident and at one place are one person. No other network is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from signgen.errors import BadValue, Mismatch
from signgen.extraction.estimator import Estimator, whole_frame
from signgen.extraction.footage import Footage
from signgen.keypoints.orientation import BELOW, HEAD_ROOM, SIDE_ROOM
from signgen.keypoints.people import Person, check_person, pick_person, worth
from signgen.keypoints.skeleton import (
    CONFIDENT,
    HEAD,
    LEFT_ELBOW,
    LEFT_SHOULDER,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_SHOULDER,
    SHOULDERS,
    WRISTS,
)

Box = tuple[float, float, float, float]
LOOKS = 5  # frames that are looked at to find the people
_TELLING = [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW]  # in view wherever somebody signs
_BUST = [*range(HEAD.start, HEAD.stop), LEFT_SHOULDER, RIGHT_SHOULDER]
STRIP = 0.75  # width of an upright strip over its height, that of estimators' inputs
_SAME_PLACE = 0.75  # shoulder widths between two sightings of one person
_SAME_BUST = 0.5  # shared part of the smaller of two busts from which one of them is a mistake
_OFTEN = 0.4  # share of the looks in which a person must be seen
_NEARLY_ALL = 0.8  # share of the frame from which a box may as well be all of it


@dataclass(frozen=True)
class Someone:
    """A person as seen in a few frames.

    Attributes:
        box: (4,) x0, y0, x1, y1 of the space that this person signs in, inside of the frame.
        shoulders: width of the shoulders in pixels.
        score: mean of the telling points' scores.
        seen: in how many of the looks.
        moving: how far the hands go between the looks, standard deviation in shoulder widths.
    """

    box: np.ndarray
    shoulders: float
    score: float
    seen: int
    moving: float = 0.0


def choose_region(
    footage: Footage, numbers: np.ndarray, estimator: Estimator, given: Box | None, person: int | str | None
) -> tuple[np.ndarray, list[Someone], list[str]]:
    """The box to look at in every frame, everybody who was found on the way, and warnings.

    Args:
        numbers: of the frames that will be looked at.
        given: the user's box; nobody is looked for then.
        person: see `check_person`; None: the likely signer.

    Raises:
        InputError: a box outside of the frame, a box and a person, or no such person.
    """
    if given is not None:
        if person is not None:
            raise Mismatch("--person", "got it with --box", "one of them says who is meant")
        return _checked_box(given, footage), [], []
    chosen = np.unique(numbers[np.linspace(0, len(numbers) - 1, LOOKS).round().astype(int)])
    people = find_people(estimator, footage.read_at(chosen.tolist()))
    someone = choose(people, person, footage.width, footage.path)
    warnings = []
    if someone is None:
        warnings = [f"nobody is found for sure in {len(chosen)} of its frames; looks at the whole frame (--box)"]
    elif len(people) > 1 and person is None:
        mine = next(number for number, other in enumerate(people, 1) if other is someone)
        warnings = [f"{len(people)} people; takes number {mine} from the left, the likely signer (--person)"]
    return signing_box(someone, footage.width, footage.height), people, warnings


def find_people(estimator: Estimator, frames: Iterable[np.ndarray]) -> list[Someone]:
    """Everybody in some frames (H,W,3) of one size, from the left of the picture to the right."""
    sightings: list[tuple[int, Person]] = []
    size, looks = (0, 0), 0
    for look, frame in enumerate(frames):
        size, looks = (frame.shape[1], frame.shape[0]), look + 1
        for window in windows(*size):
            points = estimator.look(frame[None], window, follows=False)[0].astype(np.float64)
            person = Person(points[:, :2], points[:, 2], float(points[_TELLING, 2].mean()))
            if person.rank >= CONFIDENT and person.reach > 0:
                sightings.append((look, person))
    groups = _groups(sightings)
    people = [_someone(group, size) for group in groups if len({look for look, _ in group}) >= _OFTEN * looks]
    return sorted(people, key=lambda someone: someone.box[0] + someone.box[2])


def windows(width: int, height: int) -> list[np.ndarray]:
    """Where people are looked for: the whole frame, and strips of a wide one that overlap by half."""
    places = [whole_frame(width, height)]
    strip = STRIP * height
    if width <= 1.1 * height:
        return places
    count = int(np.ceil((width - strip) / (strip / 2))) + 1
    for left in np.linspace(0, width - strip, count) - 0.5:
        places.append(np.array([left, -0.5, left + strip, height - 0.5]))
    return places


def choose(people: Sequence[Someone], wanted: int | str | None, width: int, subject: object) -> Someone | None:
    """The person who is wanted, see `check_person`; else the likely signer, see `worth`. None if there is nobody.

    Args:
        width: of the frame.

    Raises:
        NotFound: there is no such person.
    """
    if not people and not isinstance(wanted, int):
        return None
    places = [(someone.box[0] + someone.box[2]) / 2 for someone in people]
    sizes = [someone.shoulders for someone in people]
    if wanted is not None:
        return people[pick_person(places, sizes, check_person(wanted), width / 2, subject)]
    scores, moving = np.array([[someone.score**3, someone.moving] for someone in people]).T
    aside = np.abs(np.array(places) / (width / 2) - 1)
    return people[int(np.argmax(worth(scores, np.array(sizes), aside, moving)))]


def signing_box(someone: Someone | None, width: int, height: int) -> np.ndarray:
    """Where to look in every frame; all of it if nobody was found, or if the person takes up nearly all of it."""
    everything = whole_frame(width, height)
    if someone is None:
        return everything
    sides = someone.box[2:] - someone.box[:2]
    return someone.box if sides.prod() < _NEARLY_ALL * width * height else everything


def _checked_box(box: Box, footage: Footage) -> np.ndarray:
    place = np.asarray(box, np.float64)
    frame = whole_frame(footage.width, footage.height)
    inside = np.concatenate([np.maximum(place[:2], frame[:2]), np.minimum(place[2:], frame[2:])])
    if not (np.isfinite(place).all() and (inside[2:] - inside[:2] >= 16).all()):
        allowed = f"give X0,Y0,X1,Y1 in pixels, at least 16 each way inside of {footage.width}x{footage.height}"
        raise BadValue("--box", f"got {','.join(f'{side:g}' for side in box)}", allowed)
    return inside


# --- sightings to people ------------------------------------------------------------------------------------------
Group = list[tuple[int, Person]]


def _groups(sightings: Sequence[tuple[int, Person]]) -> list[Group]:
    """Sightings of one person each; the surest come first and decide which others are mistakes."""
    groups: list[Group] = []
    for look, person in sorted(sightings, key=lambda pair: -pair[1].rank):
        own = next((group for group in groups if _is_near(group[0][1], person)), None)
        if own is not None:
            own.append((look, person))
        elif not any(_shared(_bust(group[0][1]), _bust(person)) > _SAME_BUST for group in groups):
            groups.append([(look, person)])
    return groups


def _is_near(one: Person, other: Person) -> bool:
    return float(np.linalg.norm(one.place - other.place)) < _SAME_PLACE * max(one.reach, other.reach)


def _bust(person: Person) -> np.ndarray:
    """x0, y0, x1, y1 of head and shoulders."""
    points = person.points[_BUST][person.scores[_BUST] > 0]
    return np.concatenate([points.min(0), points.max(0)])


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    smaller = min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())
    return float(sides.clip(0).prod() / max(smaller, 1e-9))


def _someone(group: Group, size: tuple[int, int]) -> Someone:
    """Room for arms in every direction, all that was seen of the person, and never more than the frame."""
    people = [person for _, person in group]
    shoulders = float(np.median([person.reach for person in people]))
    middles = np.array([person.points[[LEFT_SHOULDER, RIGHT_SHOULDER]].mean(0) for person in people])
    seen = np.concatenate([person.points[person.scores >= CONFIDENT] for person in people])
    side, up, down = (share * shoulders for share in (SIDE_ROOM, HEAD_ROOM, BELOW))
    low = np.minimum(middles.min(0) - [side, up], np.quantile(seen, 0.02, axis=0))
    high = np.maximum(middles.max(0) + [side, down], np.quantile(seen, 0.98, axis=0))
    frame = whole_frame(*size)
    box = np.concatenate([np.maximum(low, frame[:2]), np.minimum(high, frame[2:])])
    hands = np.array([person.points[[*WRISTS]] - person.points[[*SHOULDERS]].mean(0) for person in people])  # (n,2,2)
    moving = float(np.sqrt((hands / max(shoulders, 1e-9)).var(0).sum(-1)).max())
    score = float(np.mean([person.rank for person in people]))
    return Someone(box, shoulders, score, len({look for look, _ in group}), moving)
