"""What running and ended trials hold, by a clock of our own, against sums by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.search.spending import Limits, Reserved, Spending, Spent

HELD = Reserved(cpus=2.0, gpus=0.5)
NO_LIMITS, NOTHING = Limits(), Spent()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spending(clock: Clock, limits: Limits = NO_LIMITS, before: Spent = NOTHING) -> Spending:
    return Spending(HELD, limits, before, clock=clock)


def test_a_trial_that_waits_for_a_slot_holds_nothing() -> None:
    clock = Clock()
    counted = spending(clock)
    for key in ("a", "b", "c"):
        counted.begin(key, slots=2)
    clock.now += 10.0
    assert counted.open_seconds == 20.0
    assert (counted.seconds_of("a"), counted.seconds_of("c")) == (10.0, 0.0)
    counted.end("a", 10.0)  # its slot is c's from now on
    clock.now += 5.0
    assert (counted.seconds_of("b"), counted.seconds_of("c")) == (15.0, 5.0)


@pytest.mark.parametrize(
    ("limits", "seconds", "name"),
    [
        (Limits(cpu_hours=1.0), 1800.0, "max_cpu_hours"),  # two CPUs, one hour
        (Limits(gpu_hours=1.0), 7200.0, "max_gpu_hours"),  # half a GPU, one hour
        (Limits(wall_time_s=90.0), 90.0, "max_wall_time"),
    ],
)
def test_a_budget_is_spent_to_the_second(limits: Limits, seconds: float, name: str) -> None:
    clock = Clock()
    counted = spending(clock, limits)
    counted.begin("a", slots=1)
    clock.now += seconds - 0.5
    assert counted.spent() is None
    clock.now += 0.5
    spent = counted.spent()
    assert spent is not None
    assert spent.name == name
    assert f"`{name}`" in str(spent)


def test_earlier_drivers_have_spent_of_the_same_budget() -> None:
    clock = Clock()
    before = Spent(cpu_seconds=3000.0, wall_time_s=50.0)
    assert spending(clock, Limits(wall_time_s=50.0), before).spent() is not None
    counted = spending(clock, Limits(cpu_hours=1.0), before)
    counted.begin("a", slots=1)
    counted.end("a", 299.0)
    assert counted.spent() is None
    counted.begin("b", slots=1)
    counted.end("b", 1.0)
    assert counted.spent() is not None


@given(
    st.lists(st.floats(0.125, 1e4), min_size=1, max_size=20),
    st.floats(0.01, 50.0),
)
def test_hours_are_those_of_all_trials_together(seconds: list[float], limit: float) -> None:
    clock = Clock()
    counted = spending(clock, Limits(cpu_hours=limit))
    for number, each in enumerate(seconds):
        counted.begin(str(number), slots=1)
        counted.end(str(number), each)
    used = 2.0 * sum(seconds) / 3600.0
    if used != pytest.approx(limit):
        assert (counted.spent() is not None) == (used >= limit)


def test_trials_left_are_those_that_nobody_counted() -> None:
    done = 3
    counted = Spending(HELD, Limits(trials=5), count_trials=lambda: done)
    assert counted.trials_left() == 2
    assert counted.trials_spent() is None
    done = 6
    assert counted.trials_left() == 0
    assert (
        str(counted.trials_spent()) == "ended by its budget `max_trials`: 5 trials were evaluated"
    )
