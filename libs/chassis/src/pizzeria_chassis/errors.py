"""Errors of the chassis. Each message is a sentence for whoever runs the service."""

__all__ = ["ChassisError", "DatabaseUnavailable", "FeedUnavailable", "SettingsError"]


class ChassisError(Exception):
    """Base of all errors that the chassis raises itself."""


class SettingsError(ChassisError):
    """The environment does not describe a service that may start; names variables, never their values."""


class DatabaseUnavailable(ChassisError):  # noqa: N818 - named by what is the case
    """The database cannot be reached, or stays locked. Whether the last commit happened is unknown."""


class FeedUnavailable(ChassisError):  # noqa: N818 - named by what is the case
    """Another service's event feed did not answer."""
