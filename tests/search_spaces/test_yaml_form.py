"""Spaces as YAML: what is printed reads back, and no document gets further than one sentence."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_spaces.errors import InvalidSpaceError
from search_spaces.space import SearchSpace, StageSpace
from search_spaces.spaces import SPACES, get_space
from search_spaces.yaml_form import load_space, read_scalar, space_from_yaml, space_to_yaml
from tests.search_spaces.strategies import spaces

SMALL = """\
name: mine
resolution: [32, 48]
stages:
- name: first
  channels: 16
  kernel_size: [3, 5]
- name: second
  channels: [24, 32]
  stride: 2
  block:
    small: {expansion: 3}
    large: {expansion: 6, se_ratio: 0.25}
"""


@given(spaces)
@settings(max_examples=50, deadline=None)
def test_a_printed_space_reads_back_equal(space):
    assert space_from_yaml(space_to_yaml(space)) == space


@pytest.mark.parametrize("name", ["on", "1e3", "012", "1_000", "null", "1.5", "true", "1:30", "-"])
def test_names_that_look_like_other_things_stay_names(name):
    stages = (StageSpace(name=name.replace(".", "_").replace(":", "_"), channels=8),)
    text = {"1.5": "1.5: x", "1:30": "1:30"}.get(name, name)
    space = SearchSpace(name="mine", stages=stages, description=text)
    assert space_from_yaml(space_to_yaml(space)) == space


def test_a_written_space_is_read():
    space = space_from_yaml(SMALL)
    assert [d.name for d in space.decisions] == [
        "resolution",
        "first.kernel_size",
        "second.channels",
        "second.block",
    ]
    assert space.size == 2 * 2 * 2 * 2
    assert space.stages[1].block["large"].expansion == 6.0


def test_aliases_are_read_out():
    text = SMALL.replace("[3, 5]", "&k [3, 5]").replace("stride: 2", "stride: 2\n  kernel_size: *k")
    assert space_from_yaml(text).stages[1].kernel_size == (3, 5)


def test_the_printed_header_names_every_field():
    text = space_to_yaml(get_space("mnasnet"))
    header = text[: text.index("version:")]
    for cls in (SearchSpace, StageSpace):
        for field in cls.__dataclass_fields__:
            assert field in header, field


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stride: 2", "stride: 3", "mine.yaml, line 9: `stages[1].stride` must be 1 or 2"),
        ("stride: 2", "strid: 2", "line 9: `stages[1].strid` is not a known field. Known: activ"),
        ("[3, 5]", "[3, 4]", "line 6: `stages[0].kernel_size` must be odd"),
        ("[3, 5]", "[3, '5']", "line 6: `stages[0].kernel_size[1]` must be a whole number"),
        ("channels: 16", "channels: true", "line 5: `stages[0].channels` must be a whole number"),
        ("  channels: 16\n", "", "line 4: `stages[0].channels` is missing"),
        ("expansion: 3", "expansion: .nan", "line 11: `stages[1].block.small.expansion` must be a"),
        ("expansion: 3", "expansion: 1e999", "line 11: `stages[1].block.small.expansion` must be"),
        ("expansion: 3", "se_ratio: 3, se_ratio: 3", "line 11: the document has 'se_ratio' twice"),
        ("small:", "3:", "line 11: the document must have text for its keys, but got 3"),
        ("small:", "sm all:", "line 10: `stages[1].block` must be 1 to 40 letters"),
        ("name: mine", "name: [mine]", "line 1: `name` must be text"),
        ("name: mine", "nam: mine", "line 1: `nam` is not a known field"),
        ("name: mine", "version: 9\nname: mine", "line 1: `version` must be 1, but got 9"),
        ("16", "9" * 31, "line 5: the document must hold numbers of at most 30 digits"),
        ("16", "9" * 30, "line 5: `stages[0].channels` must be a whole number from 1 to 65536"),
        ("16", "!!python/object/apply:os.system [echo]", "line 5: the document must have no tag"),
        ("16", "!!int '16'", "line 5: the document must have no tag"),
        ("[32, 48]", "[32, 48", "must be YAML: "),
        ("[32, 48]", "*none", "line 2: must be YAML: found undefined alias"),
        ("mine", "mi\x00ne", r"line 1: must be YAML: '\x00' is not allowed"),
        ("mine", '"mi\\UFFFFFFFFne"', "must be YAML"),
        ("mine", '"mi\\uD800ne"', "line 1: `name` must be"),
        ("name: mine\n", "name: mine\n---\n", "must be YAML: but found another document"),
        ("name: mine\n", "name: mine\n<<: {dropout: 0.1}\n", "`'<<'` is not a known field"),
    ],
)
def test_an_error_names_file_line_and_field(old, new, message):
    assert old in SMALL
    with pytest.raises(InvalidSpaceError) as caught:
        space_from_yaml(SMALL.replace(old, new, 1), "mine.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("mine.yaml")
    assert "\n" not in str(caught.value)


def laughs(levels: int, each: int) -> str:
    """Each list holds the one before it many times over."""
    lines = ["- &a0 [ha]"]
    for level in range(1, levels):
        lines.append(f"- &a{level} [{', '.join([f'*a{level - 1}'] * each)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("- 1", id="list"),
        pytest.param("~", id="null"),
        pytest.param("[" * 30_000, id="open"),
        pytest.param("[" * 25 + "]" * 25, id="deep"),
        pytest.param("{a: " * 15_000, id="open-mappings"),
        pytest.param("- " * 30_000, id="deep-lists"),
        pytest.param("? " * 30_000, id="deep-keys"),
        pytest.param(laughs(10, 9), id="billion-laughs"),
        pytest.param("stages: " + laughs(4, 30).replace("\n", "\n  "), id="laughs"),
        pytest.param("&a [*a]", id="holds-itself"),
        pytest.param("&a {b: *a}", id="mapping-holds-itself"),
        pytest.param("a" * 70_000, id="long"),
        pytest.param("name: " + "a" * 60_000, id="long-name"),
        pytest.param("x" * 60_000 + ": 1", id="long-key"),
        pytest.param("%YAML " + "9" * 6_000 + ".1\n--- {}", id="version"),
        pytest.param("\ud800", id="surrogate"),
        pytest.param("\ufeff", id="mark"),
        pytest.param("name: x\nstages: [" + "{name: a, channels: 8}, " * 2_700 + "]", id="stages"),
        pytest.param(
            "s: &s {name: s, channels: 8, repeats: ["
            + ", ".join(map(str, range(1, 200)))
            + "]}\nname: x\nstages: ["
            + "*s, " * 90
            + "]",
            id="many-depths",
        ),
    ],
)
def test_hostile_documents_end_in_one_sentence(text):
    with pytest.raises(InvalidSpaceError) as caught:
        space_from_yaml(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900
    str(caught.value).encode()


def read_or_refuse(text: str) -> None:
    refused = None
    try:
        space = space_from_yaml(text, "f.yaml")
    except InvalidSpaceError as error:
        refused = str(error)
    if refused is None:
        assert space_from_yaml(space_to_yaml(space)) == space
    else:
        assert refused.startswith("f.yaml")
        assert "\n" not in refused
        refused.encode()


PIECES = st.one_of(
    st.sampled_from([" ", "? ", "- ", "\n", "\t", "\0", "\x85", "\u2028", "\ud800", "\U0001f600"]),
    st.sampled_from([":", "[", "]", "{", "}", "&a", "*a", "!", "!!int", "|", ">", "'", '"', "\\"]),
    st.sampled_from(["#", "%", "@", "`", "---", "...", "<<:", "~", "", "true", "identity"]),
    st.sampled_from(["0x1", "1e9", "9" * 40, "-1"]),
)
LONG = space_to_yaml(SPACES["small_images"]).split("\nversion")[1]


@given(
    st.sampled_from([SMALL, "version" + LONG]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4),
)
@settings(max_examples=200, deadline=None)
@example(SMALL, [(0.0, 10_000, "")])
def test_a_garbled_document_is_read_or_refused(text, changes):
    for place, cut, piece in changes:
        start = int(place * len(text))
        text = text[:start] + piece + text[start + cut :]
    read_or_refuse(text)


@given(st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_a_truncated_document_is_read_or_refused(share):
    read_or_refuse(SMALL[: int(share * len(SMALL))])


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_refused(text):
    read_or_refuse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("017", 17),
        ("+3", 3),
        ("1.", 1.0),
        (".5", 0.5),
        ("1_0", "1_0"),
        ("no", "no"),
        ("0x1", "0x1"),
    ],
)
def test_scalars_are_decimal_numbers_words_or_text(text, value):
    assert read_scalar(text) == value
    assert type(read_scalar(text)) is type(value)


def test_a_space_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL)
    assert get_space(str(path)) == space_from_yaml(SMALL)
    path.write_text(SMALL.replace("16", "-16"))
    with pytest.raises(InvalidSpaceError, match=r"mine.yaml, line 5: .*channels"):
        get_space(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidSpaceError, match=r"none.yml: cannot read the space: No such file"):
        get_space(str(tmp_path / "none.yml"))
    with pytest.raises(InvalidSpaceError, match="cannot read the space: Is a directory"):
        load_space(tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: mine\ndescription: caf\xe9\n")
    with pytest.raises(InvalidSpaceError, match=r"latin.yaml, line 2: must be UTF-8"):
        load_space(path)
    path.write_bytes(b"\xff" * 200_000)
    with pytest.raises(InvalidSpaceError, match="must be UTF-8"):
        load_space(path)
