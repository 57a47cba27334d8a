"""What can go wrong in this package."""


class ClusterError(Exception):
    """The root of this package's errors; the message says what to do."""
