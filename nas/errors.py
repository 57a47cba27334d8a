"""What can go wrong in nas, and what the command line makes of it.

NasError                     it ran and failed: exit status 1
└── InvalidRequestError      the request was wrong: exit status 2; the message says what to write
    └── WrongDataError       the data set is not the job's, or out of reach of its workers
"""


class NasError(Exception):
    """The root of this package's errors."""


class InvalidRequestError(NasError, ValueError):
    """A wrong job file, flag, data set, database or name; the message says what is allowed."""


class WrongDataError(InvalidRequestError):
    """A data set that is not what a job began with, or not where its workers are: none of them
    can do anything for the job."""
