"""What can go wrong in this package."""


class ClusterError(Exception):
    """The root of this package's errors; the message says what to do."""


class WrongClusterError(ClusterError, ValueError):
    """What was asked of a cluster, or said of it, is wrong: address, token, version, resources."""


def wants_token(address: str) -> WrongClusterError:
    """What to say to somebody without a valid one."""
    return WrongClusterError(
        f"The cluster at {address} wants a valid token: put the head's into RAY_AUTH_TOKEN, "
        "or its file's path into RAY_AUTH_TOKEN_PATH, with RAY_AUTH_MODE=token."
    )
