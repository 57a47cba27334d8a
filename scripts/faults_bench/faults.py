"""Ways to break a site from outside, and what each cost."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from faults_bench.cluster import wait_for
from faults_bench.site import SLOTS, Site, describe
from nas.store import JobState

WHOLE_WITHIN_S = 300
SHORTEST_OUTAGE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault and what it cost.

    Args:
        at: When, in seconds since 1970.
        whole_s: Until every slot computed again.
        idle_s: Of that, what a slot did not compute on average.
        lost: Trials that had ended well by the store, and have not any more.
        story: What was waited for in vain, where it was not survived.
    """

    kind: str
    at: float
    whole_s: float
    idle_s: float
    lost: int
    story: str = ""

    @property
    def survived(self) -> bool:
        return not self.story


@dataclass(frozen=True, slots=True)
class Broken:
    """When the hand from outside was done, and which workers can't be seen again."""

    over: float
    gone: frozenset[int] = frozenset()


def kill_worker(site: Site, job: str, rng: random.Random) -> Broken:
    """Kill a process that computes a trial."""
    since = time.time() - 5
    seen = {line.pid for line in site.witness.lines(since) if line.what == "epoch"}
    pids = sorted(site.worker_pids() & seen) or sorted(site.worker_pids())
    pid = rng.choice(pids)
    psutil.Process(pid).kill()
    return Broken(time.time(), frozenset({pid}))


def kill_node(site: Site, job: str, rng: random.Random) -> Broken:
    """Kill a node with everything on it; another comes soon after."""
    node = rng.choice(site.cluster.nodes)
    gone = frozenset(worker.pid for worker in node.workers())
    site.cluster.nodes.remove(node)
    node.kill()
    over = time.time()
    time.sleep(rng.uniform(0, 3))
    site.cluster.add_node()
    return Broken(over, gone)


def kill_driver(site: Site, job: str, rng: random.Random) -> Broken:
    """Kill the process that searches; then resume as a user does."""
    gone, pid = site.worker_pids(), site.row(job).driver_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    site.resume(job)
    return Broken(time.time(), gone)


def stop_database(site: Site, job: str, rng: random.Random) -> Broken:
    """Stop the database as a crash does, and start it after seconds."""
    site.database.stop()
    time.sleep(rng.uniform(SHORTEST_OUTAGE_S, site.longest_outage_s))
    site.database.start()
    return Broken(time.time())


def restart_head(site: Site, job: str, rng: random.Random) -> Broken:
    """Kill the head with everything on it (the driver, too), and start another in its place."""
    gone = site.worker_pids()
    assert site.cluster.head is not None
    site.cluster.head.kill()
    time.sleep(rng.uniform(0, 3))
    if not site.cluster.keeps_state:  # a new head doesn't know the old one's nodes
        for node in site.cluster.nodes:
            node.kill()
    site.cluster.start_head()
    site.tend()
    site.resume(job)
    return Broken(time.time(), gone)


KINDS: dict[str, Callable[[Site, str, random.Random], Broken]] = {
    "worker": kill_worker,
    "node": kill_node,
    "driver": kill_driver,
    "database": stop_database,
    "head": restart_head,
}


def break_once(site: Site, job: str, kind: str, rng: random.Random) -> Fault:
    """Break something and wait until every slot computes again (or the job is complete)."""
    before, at, story = site.completed(job), time.time(), ""
    try:
        broken = KINDS[kind](site, job, rng)

        def whole() -> bool:
            site.tend()
            if site.ended(job) and site.row(job).state != JobState.COMPLETED:
                raise TimeoutError("the job ended before every slot computed again")
            return site.ended(job) or site.busy(broken.over, broken.gone)

        wait_for(whole, WHOLE_WITHIN_S, "every slot computes again")
    except TimeoutError as error:
        story = f"{error}; {describe(site, job)}"
    until = time.time()
    after = site.completed(job)
    return Fault(
        kind=kind,
        at=at,
        whole_s=until - at,
        idle_s=idle_seconds(site, at, until),
        lost=sum(after.get(number) != evaluation for number, evaluation in before.items()),
        story=story,
    )


def idle_seconds(site: Site, since: float, until: float) -> float:
    """What a slot did not compute in that time, on average."""
    lines = [line for line in site.witness.lines(since) if line.at <= until]
    computed = sum(min(line.seconds, line.at - since) for line in lines if line.what == "epoch")
    return max(0.0, until - since - computed / SLOTS)
