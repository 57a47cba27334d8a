"""Random spaces and answers for Hypothesis.

A space is made from a seed: drawing its fifty fields one by one takes Hypothesis a hundred
times longer than what is tested.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

from search_spaces.architecture import Activation, Operator, Padding, Skip
from search_spaces.space import BlockVariant, Option, SearchSpace, SqueezeRule, StageSpace

WIDTHS = (4, 8, 12, 16, 24)
EXPANSIONS = (1.0, 1.5, 3.0)
RATIOS = (0.0, 0.25)
KERNELS = (1, 3, 5)


def one_or_more(rng: Random, values: Sequence[Any]) -> Any:
    """One value, or a list of up to three options."""
    if rng.random() < 0.5:
        return rng.choice(values)
    return tuple(rng.sample(values, rng.randint(1, min(3, len(values)))))


def random_variant(rng: Random) -> BlockVariant:
    """A variant in which any field may be left to the stage."""
    fields: dict[str, Sequence[Any]] = {
        "operator": list(Operator),
        "kernel_size": KERNELS,
        "expansion": EXPANSIONS,
        "se_ratio": RATIOS,
        "groups": (1, 2),
        "skip": list(Skip),
        "activation": list(Activation),
        "keep_expansion": (True, False),
    }
    return BlockVariant(**{k: rng.choice(v) for k, v in fields.items() if rng.random() < 0.5})


def random_stage(rng: Random, name: str) -> StageSpace:
    """A stage with any of its fields a decision."""
    operators = one_or_more(rng, list(Operator))
    variants = {key: random_variant(rng) for key in "abc"[: rng.choice((0, 0, 2, 3))]}
    plain = operators if isinstance(operators, tuple) else (operators,)
    own = {variant.operator for variant in variants.values()}
    only_identity = set(plain) == {Operator.IDENTITY} or own == {Operator.IDENTITY}
    return StageSpace(
        name=name,
        channels=one_or_more(rng, WIDTHS),
        stride=rng.choice((1, 2)),
        channel_factor=one_or_more(rng, (0.75, 1.0, 1.25)),
        repeats=one_or_more(rng, (1, 2, 3)),
        repeats_change=one_or_more(rng, (-1, 0, 1)),
        per_block=rng.random() < 0.5,
        block=variants,
        operator=operators,
        kernel_size=one_or_more(rng, KERNELS),
        expansion=one_or_more(rng, EXPANSIONS),
        se_ratio=one_or_more(rng, RATIOS),
        skip=one_or_more(rng, list(Skip)),
        activation=rng.choice(list(Activation)),
        pointwise_activation=rng.random() < 0.5,
        keep_expansion=rng.random() < 0.5,
        exclude_identity=not only_identity and rng.random() < 0.5,
    )


def random_space(seed: int) -> SearchSpace:
    """One to three random stages, and one that is always there."""
    rng = Random(seed)
    fixed = StageSpace(name="fixed", channels=8, operator=Operator.SEPARABLE)
    return SearchSpace(
        name=f"drawn{seed}",
        stages=(*[random_stage(rng, f"s{i}") for i in range(rng.randint(1, 3))], fixed),
        stem_channels=one_or_more(rng, WIDTHS),
        stem_stride=rng.choice((1, 2)),
        head_channels=one_or_more(rng, (0, 32, 64)),
        head_expansion=rng.choice((0.0, 0.0, 6.0)),
        head_hidden_channels=one_or_more(rng, (0, 48, 96)),
        head_hidden_bias=rng.random() < 0.5,
        resolution=one_or_more(rng, (17, 32, 64)),
        width_multiplier=one_or_more(rng, (0.5, 1.0, 1.5)),
        rounding=rng.choice(("round_filters", "round_filters_v2")),
        scale_stem=rng.random() < 0.5,
        scale_head=rng.choice(("always", "never", "up")),
        squeeze=SqueezeRule(of=rng.choice(("input", "expanded")), divisor=rng.choice((1, 8))),
        num_classes=7,
        drop_connect=rng.choice((0.0, 0.2)),
        padding=rng.choice(list(Padding)),
    )


spaces = st.integers(0, 2**32 - 1).map(random_space)


def choices_of(space: SearchSpace) -> st.SearchStrategy[dict[str, Option]]:
    """Any answers to a space's decisions."""
    return st.fixed_dictionaries({d.name: st.sampled_from(d.options) for d in space.decisions})


spaces_with_choices = spaces.flatmap(lambda space: st.tuples(st.just(space), choices_of(space)))
