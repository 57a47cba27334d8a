"""Tables as evaluators: the contract, every form of a file, and all that may be wrong in one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InvalidRequestError
from nas.evaluation.contract import Request, Status
from nas.evaluation.table import TableEvaluator
from nas.evaluation.table_file import Table, make_table, read_cells
from search_spaces.space import Decision
from tests.nas.evaluation.contract import EvaluatorContract, evaluate

ROWS = """kernel,skip,acc,flops,note
3,none,70.5,10,a
5,none,72.0,20,b
3,identity,,12,c
"""


def read(folder: Path, text: str = ROWS, name: str = "t.csv", **arguments: Any) -> Table:
    (folder / name).write_text(text)
    given = {"measured": ["acc"], "known": ["flops"], "decisions": ["kernel", "skip"], **arguments}
    return make_table(read_cells(folder / name), given.pop("decisions"), **given)


@pytest.fixture
def evaluator(tmp_path: Path) -> TableEvaluator:
    return TableEvaluator(identity="table:t", needs=("acc",), table=read(tmp_path))


@pytest.fixture
def make_request() -> Callable[[str], Request]:
    return lambda key: Request(key=key, choices={"kernel": 5, "skip": "none"})


@pytest.fixture
def bad_request() -> Request:
    return Request(key="bad", choices={"kernel": 5, "skip": "identity"})


class TestTableEvaluator(EvaluatorContract):
    """The contract."""


def test_columns_are_typed_and_other_numbers_come_along(tmp_path: Path) -> None:
    table = read(tmp_path, known=())
    assert table.decisions == (Decision("kernel", (3, 5)), Decision("skip", ("identity", "none")))
    assert table.rows[0] == {"kernel": 3, "skip": "none"}
    assert table.metrics(0) == {"acc": 70.5, "flops": 10.0}
    assert table.find({"skip": "none", "kernel": 5}) == 1


def test_a_missing_row_and_a_missing_value_are_infeasible(evaluator: TableEvaluator) -> None:
    choices = [{"kernel": 5, "skip": "identity"}, {"kernel": 3, "skip": "identity"}, {}]
    _, outcomes = evaluate(evaluator, [Request(key="k", choices=c) for c in choices])
    assert {o.status for o in outcomes} == {Status.INFEASIBLE}
    assert [o.reason for o in outcomes] == [
        "t.csv has no such row",
        "t.csv has no 'acc' for it",
        "t.csv has no such row",
    ]


def test_many_costs_are_looked_up_at_once(tmp_path: Path) -> None:
    table = read(tmp_path)
    found = table.look_up(["flops"], [*table.rows, {"kernel": 5, "skip": "identity"}])
    np.testing.assert_array_equal(found["flops"], [10.0, 20.0, 12.0, math.nan])


@pytest.mark.parametrize(
    "document",
    [
        [{"kernel": 3, "skip": "none", "acc": 70.5, "flops": 10, "extra": [1, 2]},
         {"kernel": 5, "skip": "none", "acc": None, "flops": 20}],
        {"kernel": [3, 5], "skip": ["none", "none"], "acc": [70.5, None], "flops": [10, 20]},
        {"x": {"kernel": 3, "skip": "none", "acc": 70.5, "flops": 10},
         "y": {"kernel": 5, "skip": "none", "flops": 20}},
    ],
    ids=["rows", "columns", "named rows"],
)  # fmt: skip
def test_json_comes_in_three_forms(tmp_path: Path, document: Any) -> None:
    table = read(tmp_path, json.dumps(document), "t.json")
    assert table.rows == ({"kernel": 3, "skip": "none"}, {"kernel": 5, "skip": "none"})
    assert [table.metrics(i) for i in (0, 1)] == [{"acc": 70.5, "flops": 10.0}, {"flops": 20.0}]


def test_what_is_no_metric_is_a_decision_unless_it_is_named(tmp_path: Path) -> None:
    text = "a,b,accuracy,macs,acc_se\n1,x,0.5,10,0.1\n"
    table = read(tmp_path, text, decisions=(), measured=["accuracy"], known=[])
    assert [d.name for d in table.decisions] == ["a", "b"]
    assert set(table.numbers) == {"accuracy", "macs", "acc_se"}


def test_given_options_choose_the_rows(tmp_path: Path) -> None:
    decisions = (Decision("kernel", (3, 7)), Decision("skip", ("none", "identity")))
    table = read(tmp_path, decisions=decisions)
    assert table.decisions == decisions
    assert [row["kernel"] for row in table.rows] == [3, 3]
    assert table.look_up(["flops"], table.rows)["flops"].tolist() == [10.0, 12.0]


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    table = read(tmp_path, "kernel,skip,acc,flops\n01,1_0,1,1\n10,1_1,2,2\n")
    assert table.rows[0] == {"kernel": "01", "skip": "1_0"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "t.csv is empty"),
        ("kernel,skip,acc,flops\n", "t.csv has no rows"),
        ("kernel,skip,acc\n3,none,70\n", "'flops' is not a column of t.csv; its columns are"),
        ("kernel,acc,flops\n3,70,1\n", "Decision 'skip' is not a column of t.csv"),
        ("kernel,skip,acc,flops\n3,none,high,1\n", "line 2: 'acc' must be a number, but got 'hi"),
        ("kernel,skip,acc,flops\n3,none,1,\n", "line 2: 'flops' must be a number, but got an"),
        ("kernel,skip,acc,flops\n3,none,inf,1\n", "'acc' must be a number, but got 'inf'"),
        (ROWS + "3,none,1,2,d\n", "line 5: the choice kernel=3, skip=none is there twice, first in "
         "line 2"),
        ("kernel,skip,acc,flops\n,none,1,2\n", "line 2: decision 'kernel' must be a number or"),
        ("kernel,skip,acc,flops\n3,none,1\n", "line 2: it has 3 cells, but there are 4 columns"),
        ("kernel,skip,acc,acc\n", "'acc' twice"),
        ("kernel,,acc,flops\n", "a column without a name"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.json"])
@given(
    text=st.text(max_size=40) | st.from_regex(r'(\[|\{)("a"|1|:|,|\]|\}|\[|\{)*', fullmatch=True)
)
def test_any_text_is_a_table_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        make_table(read_cells(folder / name))
    except InvalidRequestError as error:
        assert str(error).endswith(".")


def test_files_that_are_not_there_or_of_another_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"Cannot read the table .*nowhere\.csv"):
        read_cells(tmp_path / "nowhere.csv")
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(InvalidRequestError, match=r"must be a \.csv or a \.json file"):
        read_cells(tmp_path / "t.xlsx")


def test_a_column_of_many_values_is_not_taken_for_a_decision(tmp_path: Path) -> None:
    text = "a,id,acc\n" + "".join(f"{i % 3},{i},1\n" for i in range(300))
    with pytest.raises(InvalidRequestError, match=r"'id' of t\.csv has 300 different values"):
        read(tmp_path, text, decisions=(), known=())
