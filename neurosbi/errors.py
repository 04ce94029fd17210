"""The errors neurosbi raises, and the exit code each of them ends the program with.

Every message says what was wanted, what came, and what to do about it, in one sentence.
"""

__all__ = [
    "BadInputError",
    "FitError",
    "InterruptedRunError",
    "MissingResourceError",
    "NeuroSBIError",
    "one_line",
]


class NeuroSBIError(Exception):
    """Base of all errors a user can meet; ``exit_code`` is what the command line returns."""

    exit_code = 1


class FitError(NeuroSBIError):
    """The input was valid, but the computation failed (exit code 1)."""

    exit_code = 1


class BadInputError(NeuroSBIError, ValueError):
    """A file, an option or an array cannot be used as given (exit code 2)."""

    exit_code = 2


class MissingResourceError(NeuroSBIError):
    """Something is missing on this machine: a GPU, an optional package (exit code 3)."""

    exit_code = 3


class InterruptedRunError(NeuroSBIError):
    """The user stopped a run; what was done so far is on disk (exit code 130)."""

    exit_code = 130


def one_line(error: Exception, *, most: int = 160) -> str:
    """What an error of another library says, in one line; its kind where it says nothing."""
    return (" ".join(str(error).split()) or type(error).__name__)[:most]
