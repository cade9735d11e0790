"""Errors of the command line: each is a sentence for the person in front of it."""


class PizzeriaError(Exception):
    """Base of all errors that the command line shows without a traceback."""


class AlreadyRunningError(PizzeriaError):
    """Another supervisor holds this home folder."""


class NotRunningError(PizzeriaError):
    """The command needs a running pizzeria."""


class StartFailedError(PizzeriaError):
    """A process ended, or was not ready in time; the message holds the end of its log."""


class NoFreePortError(PizzeriaError):
    """Every port that was tried is taken."""


class CallFailedError(PizzeriaError):
    """A service refused a call."""


class UnavailableError(CallFailedError):
    """A service could not be reached, or says that it cannot answer now; trying again may help."""
