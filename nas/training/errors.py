"""What ends a training early without being a fault of the program."""

from nas.errors import NasError


class TrainingInfeasible(NasError):
    """This network can't be trained so: a NaN loss, out of memory, or out of time."""


class OutOfMemory(TrainingInfeasible):
    """There was not enough memory, with whatever else was there."""
