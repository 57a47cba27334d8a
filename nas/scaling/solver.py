"""Any target: the member of a family closest under what it may cost.

A rule's members are far apart, since channels, repeats and pixels are whole numbers. The search
takes the largest member under the targets, fills it up with those steps to the next member that
still fit, and then tries small moves around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from nas.cost import Costs, count
from nas.errors import InvalidRequestError
from nas.quantity import Bound, format_quantity
from nas.scaling.member import LatencyModel, Member, UnmetTargetError, describe
from nas.scaling.neighbourhood import Move, inside, moves, propose, steps_between
from nas.scaling.rules.contract import Rule
from nas.scaling.target import LATENCY, TARGET_METRICS
from nas.scaling.transform import Shape, build
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidArchitectureError

_FARTHEST_PHI = 64.0
_CLOSE_ENOUGH = 0.01
_WIDE, _MOST_HELD, _FARTHEST_HELD = 0.05, 12, 2.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    shape: Shape
    architecture: Architecture
    costs: Costs
    latency_ms: float | None
    loads: tuple[float, ...]
    """Every cost over its limit, in the targets' order."""

    @property
    def load(self) -> float:
        return max(self.loads)


@dataclass(slots=True)
class _Problem:
    """A baseline, its rule and its targets; remembers what was counted."""

    baseline: Architecture
    rule: Rule
    targets: tuple[Bound, ...]
    latency_model: LatencyModel | None
    seen: dict[Shape, _Candidate | None] = field(default_factory=dict)
    refusal: InvalidRequestError | None = None
    limit: InvalidArchitectureError | None = None

    def at(self, phi: float, held: Sequence[Move] = ()) -> _Candidate | None:
        """The rule's member at phi, but for places that are held back."""
        try:
            shape = self.rule.shape(self.baseline, self.rule.coefficients(phi))
        except InvalidRequestError:  # beyond what factors may be
            return None
        for move in held:
            shape = move.apply(shape)
        return self.count(shape)

    def count(self, shape: Shape) -> _Candidate | None:
        """The shape with its loads; None for one that cannot be built or has no latency."""
        if shape not in self.seen:
            self.seen[shape] = self._count(shape)
        return self.seen[shape]

    def _count(self, shape: Shape) -> _Candidate | None:
        try:
            architecture = build(self.baseline, shape)
        except InvalidArchitectureError as error:
            self.limit = self.limit or error
            return None
        latency_ms = None
        if self.latency_model is not None:
            try:
                latency_ms = float(self.latency_model(architecture))
            except InvalidRequestError as refusal:
                self.refusal = self.refusal or refusal
                return None
            if not 0.0 < latency_ms < math.inf:
                raise InvalidRequestError(
                    f"A latency model must give milliseconds above 0, but gave {latency_ms!r}."
                )
        costs = count(architecture)
        values: list[float] = [
            (latency_ms or 0.0) if target.metric == LATENCY else getattr(costs, target.metric)
            for target in self.targets
        ]
        loads = tuple(value / target.limit for value, target in zip(values, self.targets))
        return _Candidate(shape, architecture, costs, latency_ms, loads)


def solve(
    baseline: Architecture,
    rule: Rule,
    targets: Sequence[Bound],
    latency_model: LatencyModel | None = None,
    *,
    tolerance: float = 0.002,
) -> Member:
    """The member of a baseline's family that comes closest under all targets, never above one.

    Only what the rule scales is adjusted: blocks by 1 a stage (2 for depth alone), channels by 8
    or 16 a stage, the head by up to 128, pixels by up to 6 steps of the rule's. Where one step of
    the rule jumps wide over the target, that place waits while the others go on. Members within
    `tolerance` of the tightest target count as equally close; of these the one nearest to the
    rule is taken. The same arguments always give the same member.

    Args:
        targets: As `parse_targets` reads them.
        latency_model: Architecture to milliseconds; needed by a target on `latency_ms`.

    Raises:
        UnmetTargetError: If not even the rule's smallest member meets the targets.
        InvalidRequestError: If a target is none, or no target ends the rule's growth.

    >>> from search_spaces.published import get_published
    >>> from nas.scaling.rules import get_rule
    >>> b0 = get_published("efficientnet_b0")
    >>> member = solve(b0, get_rule("compound"), [Bound("macs", 1.2e9)])
    >>> member.costs.macs <= 1.2e9, member.gap < 0.01
    (True, True)
    """
    problem = _Problem(baseline, rule, _check(targets, latency_model), latency_model)
    phi, best = _climb(problem)
    box = moves(baseline, rule, best.shape)
    for enough in (tolerance, _CLOSE_ENOUGH, _CLOSE_ENOUGH):
        if 1.0 - best.load > enough:
            best = _near(problem, best, inside(box, moves(baseline, rule, best.shape)), tolerance)
    return _member(problem, phi, best)


def _check(targets: Sequence[Bound], latency_model: LatencyModel | None) -> tuple[Bound, ...]:
    if not targets:
        raise InvalidRequestError("`targets` must hold at least one bound, but got none.")
    for target in targets:
        if target.metric not in TARGET_METRICS or not target.at_most or not target.limit > 0:
            raise InvalidRequestError(
                f"A target must be an upper bound above 0 on one of {', '.join(TARGET_METRICS)}, "
                f"but got '{target}'."
            )
        if target.metric == LATENCY and latency_model is None:
            raise InvalidRequestError(
                f"Target '{target}' needs a latency model; give a table of block latencies."
            )
    return tuple(targets)


def _climb(problem: _Problem) -> tuple[float, _Candidate]:
    """The largest member under the targets, and its phi; steps too large to fit are held back.

    Where one step (a block more of a dear stage) jumps over the target and leaves a wide gap,
    the rest of the network goes on along the rule without it.
    """
    start = problem.at(0.0)
    if start is None:
        raise problem.refusal or InvalidRequestError("The baseline itself has no cost.")
    ends = _upwards(problem, 0.0, start) if start.load <= 1.0 else _downwards(problem, start)
    held: list[Move] = []
    first, phi, best = math.inf, 0.0, None
    while True:
        at, below, above = _narrow(problem, *ends, held)
        filled = _fill(problem, below, above)
        if best is None or filled.load > best.load:
            phi, best, first = at, filled, min(first, at)
        else:
            above = None  # what is left to grow changes nothing
        if above is None or 1.0 - best.load <= _WIDE or len(held) > _MOST_HELD:
            return phi, best
        held += steps_between(above.shape, best.shape)
        ends = _upwards(problem, phi, best, held, farthest=first + _FARTHEST_HELD)


def _narrow(
    problem: _Problem,
    low: float,
    high: float,
    below: _Candidate,
    above: _Candidate | None,
    held: Sequence[Move],
) -> tuple[float, _Candidate, _Candidate | None]:
    """The largest phi whose member meets the targets, that member, and the next one above it."""
    phi = low
    while high - low > 1e-6:
        middle = (low + high) / 2.0
        candidate = problem.at(middle, held)
        if candidate is None or candidate.load > 1.0:
            high, above = middle, candidate or above
            continue
        low = middle
        if candidate.load > below.load:  # by rounding, a larger phi may cost the same or less
            phi, below = middle, candidate
    return phi, below, above


def _upwards(
    problem: _Problem,
    phi: float,
    start: _Candidate,
    held: Sequence[Move] = (),
    farthest: float = _FARTHEST_PHI,
) -> tuple[float, float, _Candidate, _Candidate | None]:
    """Ends between which the targets are passed; without an upper member where growth ends."""
    low, high, below, step = phi, phi, start, 0.5
    while low < farthest:
        high = min(low + step, farthest)
        above = problem.at(high, held)
        if above is None:
            break
        if above.load > 1.0:
            return low, high, below, above
        low, below, step = high, above, 2.0 * step
    if low > phi and below.loads == start.loads and not held:
        _raise_endless(problem)
    return low, high, below, None


def _downwards(
    problem: _Problem, start: _Candidate
) -> tuple[float, float, _Candidate, _Candidate | None]:
    high, above, smallest, step = 0.0, start, (0.0, start), 0.5
    while True:
        low = high - step
        below = problem.at(low) if low >= -_FARTHEST_PHI else None
        if below is not None and below.load <= 1.0:
            return low, high, below, above
        if below is not None:
            above = below
            smallest = min(smallest, (low, below), key=lambda pair: pair[1].load)
        if low < -_FARTHEST_PHI:
            _raise_unmet(problem, *smallest)
        high, step = low, 2.0 * step


def _fill(problem: _Problem, below: _Candidate, above: _Candidate | None) -> _Candidate:
    """The member below with as many of its steps to the one above as fit, the dearest first.

    Where repeats of several stages grow at the same phi, this lets some of them grow.
    """
    if above is None:
        return below
    steps = [
        (candidate.load, i, move)
        for i, move in enumerate(steps_between(below.shape, above.shape))
        if (candidate := problem.count(move.apply(below.shape))) is not None
    ]
    best = below
    for _, _, move in sorted(steps, key=lambda step: (-step[0], step[1])):
        candidate = problem.count(move.apply(best.shape))
        if candidate is not None and best.load < candidate.load <= 1.0:
            best = candidate
    return best


def _near(problem: _Problem, best: _Candidate, singles: list[Move], tolerance: float) -> _Candidate:
    """The closest under the targets of the shapes that a few moves make of one."""
    counted = [
        (move, candidate)
        for move in singles
        if (candidate := problem.count(move.apply(best.shape))) is not None
        and candidate.loads != best.loads  # as resolution is to parameters
    ]
    if not counted:
        return best
    start = np.log(best.loads)
    changes = np.log([candidate.loads for _, candidate in counted]) - start
    for chosen in propose([move for move, _ in counted], changes, start, tolerance):
        shape = best_shape = best.shape
        for move in chosen:
            shape = move.apply(shape)
        candidate = problem.count(shape) if shape != best_shape else None
        if candidate is not None and 1.0 - tolerance <= candidate.load <= 1.0:
            return candidate
    known = [c for c in problem.seen.values() if c is not None and c.load <= 1.0]
    return max([best, *known], key=lambda c: c.load)


def _member(problem: _Problem, phi: float, candidate: _Candidate) -> Member:
    coefficients = problem.rule.coefficients(phi)
    shape = problem.rule.shape(problem.baseline, coefficients)
    tightest = max(range(len(candidate.loads)), key=candidate.loads.__getitem__)
    return Member(
        architecture=candidate.architecture,
        rule=problem.rule.name,
        phi=phi,
        coefficients=coefficients,
        costs=candidate.costs,
        latency_ms=candidate.latency_ms,
        adjusted=describe(shape, candidate.shape),
        targets=problem.targets,
        gap=1.0 - candidate.load,
        binding=problem.targets[tightest].metric,
        note=_note(problem, candidate),
    )


def _note(problem: _Problem, candidate: _Candidate) -> str:
    if 1.0 - candidate.load <= _CLOSE_ENOUGH:
        return ""
    if problem.refusal is not None:
        return f"The latency model refused networks on the way: {problem.refusal}"
    return f"Growth ends: {problem.limit}" if problem.limit is not None else ""


def _raise_unmet(problem: _Problem, phi: float, smallest: _Candidate) -> NoReturn:
    nearest = _member(problem, phi, smallest)
    target = next(t for t in problem.targets if t.metric == nearest.binding)
    value = target.limit * smallest.load
    raise UnmetTargetError(
        f"No member of rule {problem.rule.name!r} meets '{target}': the smallest has "
        f"{format_quantity(value)}. Raise the target, or choose a rule that shrinks more.",
        target,
        nearest,
    )


def _raise_endless(problem: _Problem) -> NoReturn:
    listed = ", ".join(f"'{target}'" for target in problem.targets)
    raise InvalidRequestError(
        f"Rule {problem.rule.name!r} does not change what {listed} bounds, so that no member is "
        "the closest under it; add a target on another cost, such as macs."
    )
