"""What can be wrong with a genotype or a space.

SearchSpaceError
├── InvalidArchitectureError   a network that cannot be built
├── InvalidSpaceError          a space that cannot be searched
├── UnknownNameError           no published network or space of that name
└── NoSampleError              no member met the constraint in the attempts allowed
"""


class SearchSpaceError(Exception):
    """The root of this package's errors."""


class InvalidArchitectureError(SearchSpaceError, ValueError):
    """A network that cannot be built."""


class InvalidSpaceError(SearchSpaceError, ValueError):
    """A search space that cannot be searched."""


class UnknownNameError(SearchSpaceError, LookupError):
    """No published network or space of that name."""


class NoSampleError(SearchSpaceError):
    """No member met the constraint in the attempts allowed."""
