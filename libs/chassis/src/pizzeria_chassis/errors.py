"""Errors of the chassis. Each message is a sentence for whoever runs the service."""

__all__ = [
    "ChassisError",
    "DatabaseUnavailable",
    "EditRefused",
    "FeedUnavailable",
    "LetterDecided",
    "NoSuchLetter",
    "SettingsError",
]


class ChassisError(Exception):
    """Base of all errors that the chassis raises itself."""


class SettingsError(ChassisError):
    """The environment does not describe a service that may start; names variables, never their values."""


class DatabaseUnavailable(ChassisError):  # noqa: N818 - named by what is the case
    """The database cannot be reached, or stays locked. Whether the last commit happened is unknown."""


class FeedUnavailable(ChassisError):  # noqa: N818 - named by what is the case
    """Another service's event feed did not answer."""


class NoSuchLetter(ChassisError):  # noqa: N818 - named by what is the case
    """There is no dead letter with that number."""


class LetterDecided(ChassisError):  # noqa: N818 - named by what is the case
    """A dead letter is not in a state in which that can be done with it."""


class EditRefused(ChassisError):  # noqa: N818 - named by what is the case
    """An edited event could not be handled; ``pointer`` says where."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer
