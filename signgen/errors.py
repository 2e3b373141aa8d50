"""The two ways in which signgen ends early, with the words that a user sees."""

from __future__ import annotations


class SignGenError(Exception):
    """One line for the user: ``<subject>: <got>; <advice>``.

    Args:
        subject: what is wrong, usually a file, an option or a folder.
        got: what was found there.
        advice: what is allowed, or what to do next.
    """

    exit_code = 1

    def __init__(self, subject: object, got: str, advice: str) -> None:
        self.subject, self.got, self.advice = str(subject), got, advice
        super().__init__(" ".join(f"{self.subject}: {got}; {advice}".split()))

    def __reduce__(self) -> tuple[type[SignGenError], tuple[str, str, str]]:
        """On its way between processes an exception of three parts would else be made anew from its one line."""
        return type(self), (self.subject, self.got, self.advice)


class InputError(SignGenError, ValueError):
    """Bad usage or bad input: the command line exits with code 2."""

    exit_code = 2


class RunError(SignGenError, RuntimeError):
    """A failure while running (disk full, encoder gone): the command line exits with code 1."""


def missing_extra(package: str, extra: str) -> InputError:
    """The error for a package of an optional extra, with the command that installs it."""
    return InputError(package, "is not installed", f'install it with: pip install "signgen[{extra}]"')
