"""The family: members of a baseline trained by the full recipe and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.scaling import Member
from nas.search.candidates import Candidate, Finished
from nas.search.evaluations import Evaluations, evaluate_all


def train_members(
    members: Sequence[Member],
    make_candidate: Callable[[Member], Candidate],
    evaluations: Evaluations,
    on_end: Callable[[int, Finished], None] | None = None,
) -> list[Finished]:
    """Train every member, the dearest first: it takes longest, and the others fill the gaps."""
    order = sorted(range(len(members)), key=lambda i: -members[i].costs.macs)
    candidates = [make_candidate(members[i]) for i in order]

    def heard(place: int, finished: Finished) -> None:
        if on_end:
            on_end(order[place], finished)

    ends = evaluate_all(evaluations, candidates, heard)
    return [end for _, end in sorted(zip(order, ends), key=lambda pair: pair[0])]
