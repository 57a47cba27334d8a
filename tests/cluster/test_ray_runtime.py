import pytest

from cluster.errors import ClusterError
from cluster.ray_runtime import enter_ray


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
    with pytest.raises(ClusterError, match=words):
        enter_ray(address, "/nowhere", cpus=1)
