"""Latency from a table of blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InvalidRequestError
from nas.quantity import Bound
from nas.scaling import get_rule, read_latency_table, solve
from search_spaces.architecture import (
    Architecture,
    Block,
    Operator,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)

HEADER = "hw_in,cin,cout,expand,stride,k,se,ms_phone"
ROWS = """
64,16,16,1,1,3,0,0.5
64,16,24,3,2,5,1,1.25
32,24,24,3,1,5,1,0.75
"""


def block(operator: Operator, out: int, **settings: object) -> Block:
    return Block(operator=operator, out_channels=out, skip=Skip.IDENTITY, **settings)  # type: ignore[arg-type]


FIRST = block(Operator.SEPARABLE, 16)
STRIDED = block(
    Operator.MBCONV, 24, expanded_channels=48, kernel_size=5, stride=2,
    squeeze_excitation=SqueezeExcitation(channels=4),
)  # fmt: skip
NETWORK = Architecture(
    stem=Stem(channels=16),
    stages=(Stage(blocks=(FIRST,)), Stage(blocks=(STRIDED,))),
    resolution=128,
)
OTHER_KERNEL = replace(NETWORK, stages=(Stage(blocks=(replace(STRIDED, kernel_size=3),)),))
CONVOLUTION = replace(NETWORK, stages=(Stage(blocks=(replace(FIRST, operator=Operator.CONV),)),))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "phone.csv"
    path.write_text(HEADER + ROWS)
    return path


def test_a_network_takes_the_sum_of_its_blocks_and_the_fixed_share(table: Path) -> None:
    assert read_latency_table(table, "ms_phone")(NETWORK) == 0.5 + 1.25
    assert read_latency_table(table, "ms_phone", fixed_ms=2.0)(NETWORK) == 0.5 + 1.25 + 2.0


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (replace(NETWORK, resolution=130), r"Block 1 of stage 1 is not in .*phone.csv.*65 pixels"),
        (OTHER_KERNEL, r"mbconv, 16 to 24 channels .*kernel 3, stride 2, with squeeze-excitation"),
        (CONVOLUTION, "a conv block of a kind it cannot hold"),
    ],
)
def test_a_block_that_is_not_there_is_refused_by_name(
    table: Path, network: Architecture, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        read_latency_table(table, "ms_phone")(network)


def test_the_solver_stays_within_the_table(table: Path) -> None:
    model = read_latency_table(table, "ms_phone")
    member = solve(NETWORK, get_rule("depth"), [Bound("latency_ms", 3.0)], model)
    assert [len(stage.blocks) for stage in member.architecture.stages] == [2, 2]
    assert member.latency_ms == 0.5 + 0.5 + 1.25 + 0.75
    # 1 and 3 blocks, or 4 and 1: nothing comes nearer
    assert solve(NETWORK, get_rule("depth"), [Bound("latency_ms", 3.4)], model).latency_ms == 3.25
    assert "not in the latency table" not in member.note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hw_in,cin\n64,16\n", "needs the columns .*lacks cout, expand"),
        (HEADER + "\n", "must hold at least one block"),
        (HEADER + "\n64,16,16,1,1,3,0,fast\n", "Line 2 .*latency above 0 ms in 'ms_phone'"),
        (HEADER + "\n64,16,16,1,1,3\n", "Line 2"),
        (HEADER + "\n64,16,16,1,1,3.5,0,1\n", "Line 2"),
        (HEADER + "\n64,16,16,1,1,3,0,-1\n", "Line 2"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(InvalidRequestError, match=message):
        read_latency_table(path, "ms_phone")


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="must be a readable CSV file"):
        read_latency_table(tmp_path / "none.csv", "ms_phone")


def test_the_phones_table_is_read_whole() -> None:
    shared = Path(__file__).resolve().parents[4] / "shared/data/mbconv_latency"
    path = shared / "mbconv_lut_1788x4.csv"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    table = read_latency_table(path, "ms_pixel4")
    assert len(table.blocks_ms) == 1788
    first = replace(NETWORK, stages=NETWORK.stages[:1])
    assert table(first) == pytest.approx(0.235199)
