"""Job files: what is right is read as it is meant, and what is wrong is one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InvalidRequestError
from nas.jobs.spec import JobSpec, job_from_dict, job_from_yaml, load_job
from nas.search.objectives import parse_objective

EXAMPLES = Path(__file__).parents[3] / "examples"

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "data", "space", "search", "trials", "recipe", "epochs", "scaling", "phi",
                 "execution", "workers", "evaluator", "export", "source", "objectives", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(documents)
def test_any_document_is_a_job_or_one_sentence(document: Any) -> None:
    try:
        job_from_dict(document)
    except InvalidRequestError as error:
        assert "\n" not in str(error)
        assert str(error).endswith(".")


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_any_text_is_yaml_or_one_sentence(text: str) -> None:
    try:
        job_from_yaml(text, "job.yaml")
    except InvalidRequestError as error:
        assert str(error).startswith("job.yaml")


@given(st.data())
def test_a_broken_example_is_one_sentence(data: st.DataObject) -> None:
    text = (EXAMPLES / "quickstart.yaml").read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    broken = text[:start] + data.draw(st.text(max_size=10)) + text[end:]
    try:
        job_from_yaml(broken, "job.yaml")
    except InvalidRequestError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_is_a_job(path: Path) -> None:
    assert load_job(path).name == path.stem


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"search": {"trials": 0}}, ["search.trials", "1", "0"]),
        ({"search": {"trails": 3}}, ["search.trails", "not a known field", "trials"]),
        ({"recipe": {"epochs": "many"}}, ["recipe.epochs", "many"]),
        ({"recipe": {"optimizer": "adam"}}, ["recipe.optimizer", "sgd", "adam"]),
        ({"scaling": {"phi": [99]}}, ["scaling.phi", "-10 to 10", "99"]),
        ({"name": "../x"}, ["name", "../x"]),
        ({"evaluator": "os.system('x'):run"}, ["evaluator.function"]),
        ({"export": ["tflite"]}, ["export", "onnx", "tflite"]),
        ({"search": {"constraints": {"macs": 1}}}, ["search.constraints", "list"]),
        ([], ["mapping"]),
    ],
)
def test_a_wrong_field_is_named_with_what_arrived(document: Any, words: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        job_from_dict(document, "job.yaml")
    for word in ["job.yaml", *words]:
        assert word in str(caught.value)


def test_a_small_file_cannot_mean_gigabytes() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x]\n"
    for old, new in zip("abcdefgh", "bcdefghi"):
        bomb += f"{new}: &{new} [" + ", ".join([f"*{old}"] * 8) + "]\n"
    with pytest.raises(InvalidRequestError, match=r"job\.yaml, line \d+"):
        job_from_yaml(bomb, "job.yaml")


def test_a_field_given_twice_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidRequestError, match="line 3"):
        job_from_yaml("name: a\nspace: efficientnet\nname: b\n", "job.yaml")


def test_a_wrong_field_is_named_with_its_line() -> None:
    with pytest.raises(InvalidRequestError, match=r"line 3: `search\.trials`"):
        job_from_yaml("name: a\nsearch:\n  trials: 0\n", "job.yaml")


def test_where_a_job_runs_does_not_change_what_it_is() -> None:
    assert JobSpec().digest == job_from_dict({"execution": {"executor": "inline"}}).digest
    assert JobSpec().digest != job_from_dict({"search": {"seed": 1}}).digest


def test_a_job_survives_the_store() -> None:
    spec = load_job(EXAMPLES / "quickstart.yaml")
    plain = yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json", exclude_defaults=True)))
    assert job_from_dict(plain) == spec


def test_paths_are_relative_to_the_job_file(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("data: images/mine.npz\nspace: my.yaml\n")
    spec = load_job(tmp_path / "job.yaml")
    assert spec.data.source == str(tmp_path / "images/mine.npz")
    assert spec.space == str(tmp_path / "my.yaml")


@pytest.mark.parametrize(
    "written",
    [
        ["top5: maximize", "macs"],
        [{"top5": "maximize"}, "macs"],
        {"top5": "maximize", "macs": "minimize"},
    ],
)
def test_objectives_may_be_texts_or_yaml_mappings(written: Any) -> None:
    texts = job_from_dict({"name": "a", "search": {"objectives": written}}).search.objectives
    assert [parse_objective(t, {"top5": "maximize"}) for t in texts] == [
        parse_objective("top5: maximize"),
        parse_objective("macs"),
    ]
