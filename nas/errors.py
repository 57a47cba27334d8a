"""What can go wrong in nas, and what the command line makes of it.

NasError                     it ran and failed: exit status 1
└── InvalidRequestError      the request was wrong: exit status 2; the message says what to write
"""


class NasError(Exception):
    """The root of this package's errors."""


class InvalidRequestError(NasError, ValueError):
    """A wrong job file, flag, data set, database or name; the message says what is allowed."""
