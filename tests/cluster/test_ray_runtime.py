import platform
import socket
import time

import pytest
import ray

from cluster.errors import WrongClusterError
from cluster.ray_runtime import check_versions, enter_ray


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://head:8265", "must be 'auto' or the HOST:PORT of a Ray head"),
        ("ray://head:10001", "must be 'auto' or the HOST:PORT of a Ray head"),
        ("head", "must be 'auto' or the HOST:PORT of a Ray head"),
        ("127.0.0.1:1", "No Ray head answers at '127.0.0.1:1'"),
        ("127.0.0.1:99999999", "No Ray head answers at '127.0.0.1:99999999'"),
    ],
)
def test_a_wrong_address_is_refused_with_the_way_out(address: str, words: str) -> None:
    with pytest.raises(WrongClusterError, match=words):
        enter_ray(address, "/nowhere", cpus=1)


def test_something_that_listens_and_is_no_head_is_named_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(WrongClusterError, match=f"No Ray head answers at '{address}' .nothing"):
            enter_ray(address, "/nowhere", cpus=1)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("ray_version", f"runs Ray 2.9.0, but here is Ray {ray.__version__}; have the same"),
        ("python_version", f"runs Python 2.9.0, but here is Python {platform.python_version()}"),
    ],
)
def test_another_version_on_the_cluster_is_named(field: str, words: str) -> None:
    same = {"ray_version": ray.__version__, "python_version": platform.python_version()}
    check_versions("head:6379", same)
    check_versions("head:6379", None)
    with pytest.raises(WrongClusterError, match=words):
        check_versions("head:6379", {**same, field: "2.9.0"})
