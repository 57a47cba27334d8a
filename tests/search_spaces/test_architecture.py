"""The genotype: one form for one network, and fingerprints that never change."""

import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.architecture import (
    Activation,
    Architecture,
    Block,
    Head,
    Operator,
    Padding,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)
from search_spaces.errors import InvalidArchitectureError
from tests.search_spaces.examples import efficientnet_b0, every_field, mobilenet_v1_start

# Stored by every job there is: a change here loses their results.
GOLDEN = {
    efficientnet_b0: ("026b71605a2cb5c61d4b835f4d3d2bc3", "e2efb5fa00736b48660384c77f2ec309"),
    every_field: ("f33a407569b56138bb8ae204eb105776", "72c9c6f2003fd03675f9e166d9ce8f46"),
    mobilenet_v1_start: ("b00227353fc61714c1fe7c065afed8aa", "c92a299da91838d1afa5b7534b02110d"),
}


def network(*blocks: Block, stem: int = 16, **settings: object) -> Architecture:
    """One stage a block, after a stem of 16 channels."""
    stages = tuple(Stage(blocks=(block,)) for block in blocks)
    return Architecture(stem=Stem(channels=stem), stages=stages, **settings)  # type: ignore[arg-type]


def mbconv(out_channels: int = 16, **fields: object) -> Block:
    return Block(
        operator=Operator.MBCONV,
        out_channels=out_channels,
        expanded_channels=64,
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("build", GOLDEN, ids=lambda build: build.__name__)
def test_fingerprints_never_change(build):
    architecture = build()
    assert (architecture.fingerprint, architecture.body_fingerprint) == GOLDEN[build]


def test_fingerprints_are_the_same_in_another_process():
    script = (
        "from tests.search_spaces import examples as e\n"
        "for f in (e.efficientnet_b0, e.every_field, e.mobilenet_v1_start):\n"
        "    a = f(); print(a.fingerprint, a.body_fingerprint)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(root)}
    printed = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env=environment,
    ).stdout
    assert printed.split() == [digest for pair in GOLDEN.values() for digest in pair]


def test_every_field_survives_json():
    defaults = {f.name: f.default for f in dataclasses.fields(Architecture)}
    architecture = every_field()
    for name, default in defaults.items():
        assert getattr(architecture, name) != default
    again = Architecture.from_json(architecture.to_json(indent=2))
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.fingerprint == architecture.fingerprint


def test_copies_and_pickles_are_equal():
    architecture = every_field()
    assert architecture.fingerprint  # cached_property must not get in the way
    assert copy.deepcopy(architecture) == architecture
    assert pickle.loads(pickle.dumps(architecture)) == architecture


@pytest.mark.parametrize(
    ("field", "value"),
    [("resolution", 192), ("input_channels", 1), ("num_classes", 10)],
)
def test_the_body_fingerprint_leaves_the_task_out(field, value):
    one = efficientnet_b0()
    other = dataclasses.replace(one, **{field: value})
    assert one.body_fingerprint == other.body_fingerprint
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("head", Head(channels=640)),
        ("dropout", 0.3),
        ("drop_connect", 0.1),
        ("batch_norm_eps", 1e-5),
        ("batch_norm_momentum", 0.1),
        ("padding", Padding.SAME),
        ("stem", Stem(channels=32, kernel_size=5)),
    ],
)
def test_the_body_fingerprint_sees_the_rest(field, value):
    other = dataclasses.replace(efficientnet_b0(), **{field: value})
    assert other.body_fingerprint != efficientnet_b0().body_fingerprint


@pytest.mark.parametrize(
    ("plain", "idle"),
    [
        pytest.param(
            network(mbconv(24)), network(mbconv(24, skip=Skip.IDENTITY)), id="skip-over-channels"
        ),
        pytest.param(
            network(mbconv(16, stride=2)),
            network(mbconv(16, stride=2, skip=Skip.IDENTITY)),
            id="skip-over-stride",
        ),
        pytest.param(
            network(mbconv(16, skip=Skip.IDENTITY)),
            network(mbconv(16, skip=Skip.PROJECTION)),
            id="projection-without-change",
        ),
        pytest.param(
            network(Block(operator=Operator.CONV, out_channels=16)),
            network(Block(operator=Operator.CONV, out_channels=16, expanded_channels=64)),
            id="expansion-of-a-conv",
        ),
        pytest.param(
            network(mbconv()), network(mbconv(pointwise_activation=True)), id="pointwise-activation"
        ),
        pytest.param(
            network(mbconv()),
            network(mbconv(), Block(operator=Operator.IDENTITY, out_channels=16)),
            id="identity-block",
        ),
        pytest.param(network(mbconv(24)), network(mbconv(24), drop_connect=0.5), id="no-skips"),
        pytest.param(
            network(mbconv(skip=Skip.IDENTITY)),
            network(mbconv(skip=Skip.IDENTITY), drop_connect=0.5),
            id="the-first-block-is-never-dropped",
        ),
        pytest.param(
            network(mbconv(), head=Head()),
            network(mbconv(), head=Head(activation=Activation.RELU, hidden_bias=False)),
            id="head-without-layers",
        ),
        pytest.param(
            Architecture(stem=Stem(channels=16, stride=1), stages=(Stage(blocks=(mbconv(),)),)),
            Architecture(
                stem=Stem(channels=16, stride=1),
                stages=(Stage(blocks=(mbconv(),)),),
                padding=Padding.SAME,
            ),
            id="padding-without-strides",
        ),
        pytest.param(
            network(Block(operator=Operator.SEPARABLE, out_channels=16)),
            network(Block(operator="separable", out_channels=16, skip="none")),
            id="plain-text-for-a-member",
        ),
    ],
)
def test_what_has_no_effect_changes_nothing(plain, idle):
    assert plain == idle
    assert plain.fingerprint == idle.fingerprint
    assert plain.to_json() == idle.to_json()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (network(mbconv(skip=Skip.NONE)), network(mbconv(skip=Skip.IDENTITY))),
        (network(mbconv(24, skip=Skip.NONE)), network(mbconv(24, skip=Skip.PROJECTION))),
        (network(mbconv(24, skip=Skip.NONE)), network(mbconv(24, skip=Skip.POOL))),
        (
            network(mbconv()),
            network(mbconv(squeeze_excitation=SqueezeExcitation(channels=4))),
        ),
        (network(mbconv()), network(mbconv(groups=2))),
        (
            Architecture(stem=Stem(channels=16), stages=(Stage(blocks=(mbconv(), mbconv())),)),
            network(mbconv(), mbconv()),
        ),
    ],
)
def test_what_has_an_effect_changes_the_fingerprint(one, other):
    assert one != other
    assert one.fingerprint != other.fingerprint


def test_walk_gives_every_block_its_shapes():
    places = list(efficientnet_b0().walk())
    assert [p.in_size for p in places] == [112] * 2 + [56] * 2 + [28] * 2 + [14] * 6 + [7] * 4
    assert places[0].in_channels == 32
    assert places[-1].in_channels == 192
    assert places[-1].out_size == 7


def change(data, path, value):
    """The document with one value put in at a place; `...` takes it out."""
    *inner, last = path
    target = data
    for key in inner:
        target = target[key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("stages", 1, "blocks", 0, "stride"), 3, "`stages[1].blocks[0].stride` must be 1 or 2"),
        (("stages", 1, "blocks", 0, "kernel_size"), 4, "must be odd"),
        (("stages", 1, "blocks", 0, "operator"), "mbconf", "must be one of 'conv', 'separable'"),
        (("stages", 1, "blocks", 0, "operator"), ..., "`stages[1].blocks[0].operator` is missing"),
        (("stages", 0, "blocks", 0, "groups"), 7, "`stages[0].blocks[0].groups` must divide"),
        (("stages", 0, "blocks", 0, "out_channels"), 24.0, "must be a whole number"),
        (("stages", 0, "blocks", 0, "out_channels"), True, "must be a whole number"),
        (("stages", 0, "blocks", 0, "out_channels"), 10**30, "from 1 to 65536"),
        (("stages",), [], "`stages` must hold at least one block"),
        (("stem", "chanels"), 3, "`stem.chanels` is not a known field. Known: activation, channe"),
        (("stem",), [3], "`stem` must be a mapping, but got [3]"),
        (("dropout",), 1.0, "`dropout` must be from 0.0 to below 1.0"),
        (("dropout",), float("nan"), "`dropout`"),
        (("version",), 2, "`version` must be 1"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(path, value, message):
    data = change(json.loads(every_field().to_json()), path, value)
    with pytest.raises(InvalidArchitectureError) as caught:
        Architecture.from_json(json.dumps(data))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stage_strides_in_its_first_block_only():
    with pytest.raises(InvalidArchitectureError, match="begin a new stage"):
        Architecture(stem=Stem(channels=16), stages=(Stage(blocks=(mbconv(), mbconv(stride=2))),))


def test_identity_where_the_shape_changes_is_refused_with_the_way_out():
    with pytest.raises(InvalidArchitectureError, match="conv block of kernel 1"):
        network(Block(operator=Operator.IDENTITY, out_channels=24))


def test_a_field_given_twice_is_refused():
    with pytest.raises(InvalidArchitectureError, match="'dropout' twice"):
        Architecture.from_json('{"dropout": 0.1, "dropout": 0.2}')


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["mbconv", "silu", "same", "identity", 1, 2, 0, -1, 10**40, [[[]]]]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    """Every place inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


DOCUMENT = json.loads(every_field().to_json())


def read_or_refuse(text: str) -> None:
    try:
        architecture = Architecture.from_json(text)
    except InvalidArchitectureError as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 1_000
        message.encode()
    else:
        assert Architecture.from_json(architecture.to_json()) == architecture


@given(st.lists(st.tuples(st.sampled_from(list(places(DOCUMENT))), JSON_VALUES), max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_document_with_wrong_values_is_read_or_refused(changes):
    data = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        try:
            change(data, path, value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    read_or_refuse(json.dumps(data))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_truncated_or_garbled_document_is_read_or_refused(data):
    text = every_field().to_json()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    read_or_refuse(text[:start] + data.draw(st.text(max_size=5)) + text[end:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"mbconv"',
        "9" * 5_000,
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"resolution": ' + "9" * 5_000 + "}",
        '{"dropout": 1e400}',
        '{"dropout": NaN}',
        '{"\\ud800": 1}',
        '{"' + "x" * 100_000 + '": 1}',
        '{"version": ' + "[" * 500 + "]" * 500 + "}",
        "\x00",
        "\ufeff{}",
    ],
    ids=range(15),
)
def test_hostile_documents_are_refused_in_one_sentence(text):
    with pytest.raises(InvalidArchitectureError) as caught:
        Architecture.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    str(caught.value).encode()
