"""The two ways in which signgen ends early, with the words that a user sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 500  # characters of what was found


class SignGenError(Exception):
    """One line for the user: ``<subject>: <got>; <advice>``.

    Args:
        subject: what is wrong, usually a file, an option or a folder.
        got: what was found there.
        advice: what is allowed, or what to do next.

    Attributes:
        code: what kind of error it is, a stable name for programs and tests.
    """

    exit_code = 1
    code = "error"

    def __init__(self, subject: object, got: str, advice: str) -> None:
        got = got if len(got) <= LONGEST else f"{got[:LONGEST]} ..."  # a file may hold names without end
        self.subject, self.got, self.advice = str(subject), got, advice
        super().__init__(" ".join(f"{self.subject}: {got}; {advice}".split()))

    def __reduce__(self) -> tuple[type[SignGenError], tuple[str, str, str]]:
        """On its way between processes an exception of three parts would else be made anew from its one line."""
        return type(self), (self.subject, self.got, self.advice)


class InputError(SignGenError, ValueError):
    """Bad usage or bad input: the command line exits with code 2.

    What is raised is one of the kinds below. Each has a stable ``code`` for programs; words may change.

    Example:
        >>> from signgen import InputError, read_keypoints
        >>> try:
        ...     read_keypoints("absent.json")
        ... except InputError as error:
        ...     print(error.code, error.subject)
        not-found absent.json
    """

    exit_code = 2
    code = "input"


class NotFound(InputError):
    """There is no such file, folder, clip, model or name."""

    code = "not-found"


class Damaged(InputError):
    """Content that is cut off, cannot be read, or contradicts itself."""

    code = "damaged"


class Unsupported(InputError):
    """A kind of file, layout or machine that signgen does not handle."""

    code = "unsupported"


class BadValue(InputError):
    """An option, a setting or an argument outside of what is allowed."""

    code = "bad-value"


class Mismatch(InputError):
    """Two inputs that do not fit together: sizes, counts, options that exclude each other."""

    code = "mismatch"


class TooLarge(InputError):
    """More than signgen is willing to read or to build."""

    code = "too-large"


class Missing(InputError):
    """Something that is needed was not given."""

    code = "missing"


class Empty(InputError):
    """There is nothing to work on."""

    code = "empty"


class NotInstalled(InputError):
    """An optional package is not there, or not in a version that will do."""

    code = "not-installed"


class NotWritable(InputError):
    """An output that cannot be written where it was asked for."""

    code = "not-writable"


class Untrusted(InputError):
    """A file that asks for more than data: code, classes, links to elsewhere."""

    code = "untrusted"


class RunError(SignGenError, RuntimeError):
    """A failure while running (disk full, encoder gone): the command line exits with code 1.

    Example:
        >>> from signgen import RunError, render
        >>> try:
        ...     result = render("clip.pose", output="clip.mp4")
        ... except RunError as error:
        ...     print("try again:", error.advice)
    """

    code = "failed"


@contextmanager
def damage(subject: object, what: str, advice: str, *kinds: type[Exception]) -> Iterator[None]:
    """Reading what may be cut or broken: errors of these kinds become `Damaged`, signgen's own pass as they are."""
    try:
        yield
    except SignGenError:
        raise
    except kinds as error:
        raise Damaged(subject, f"{what} ({type(error).__name__}: {str(error)[:100]})", advice) from None


def missing_extra(package: str, extra: str) -> NotInstalled:
    """The error for a package of an optional extra, with the command that installs it."""
    return NotInstalled(package, "is not installed", f'install it with: pip install "signgen[{extra}]"')
