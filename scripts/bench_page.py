"""Time to first useful paint of the front's page over a large store, in the real Chromium.

    scripts/bench page [--models 100000] [--times 5]

The page is useful once the front's table is painted: "first contentful paint", and "largest" where
the table is (both by the browser's own clock, from the start of the navigation). The plot comes
after: its time is printed, too. Beside them, what was sent without the plot library, and the time
of the server alone.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from nas.search.records import architecture_row
from nas.store import DatasetRow, EvaluationRow, NewTrial, Store, TrialEnd
from search_spaces.published import get_published

BATCH = 1_000
DATASET = "1" * 32
OBJECTIVES = (
    {"metric": "accuracy", "maximize": True, "known": False},
    {"metric": "macs", "maximize": False, "known": True},
)
PAINTS = """() => new Promise((done) => {
  let largest = 0;
  new PerformanceObserver((list) => { for (const e of list.getEntries()) largest = e.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => {
    const first = performance.getEntriesByName("first-contentful-paint")[0];
    const [page] = performance.getEntriesByType("navigation");
    const sent = performance.getEntriesByType("resource")
      .filter((e) => !e.name.includes("plotly.min.js")).reduce((sum, e) => sum + e.transferSize, 0);
    done({ first: first ? first.startTime : NaN, largest, server: page.responseEnd,
           bytes: sent + page.transferSize });
  }, 50);
})"""


def fill(store: Store, models: int, jobs: int = 10) -> None:
    """Jobs with models whose accuracy grows with the logarithm of their MACs, and noise."""
    rng = np.random.default_rng(0)
    base = architecture_row(get_published("mobilenet_v2"))
    store.save_dataset(DatasetRow(hash=DATASET, name="bench", classes=tuple("ab")))
    for number in range(jobs):
        spec = {"name": f"bench-{number}", "search": {"trials": models // jobs}}
        job = store.create_job(spec["name"], spec, {"name": "efficientnet"}, objectives=OBJECTIVES)
        for start in range(0, models // jobs, BATCH):
            size = min(BATCH, models // jobs - start)
            macs = np.exp(rng.uniform(math.log(1e7), math.log(2e9), size)).astype(int)
            accuracy = 0.5 + 0.07 * np.log10(macs / 1e7) + rng.normal(0, 0.02, size)
            rows = [
                replace(base, fingerprint=f"{number:04x}{start + i:028x}", macs=int(macs[i]))
                for i in range(size)
            ]
            trials = [
                NewTrial(number=start + i, choices={"depth": i}, architecture=row)
                for i, row in enumerate(rows)
            ]
            ends = [
                TrialEnd(
                    number=start + i,
                    state="completed",
                    values=(float(accuracy[i]), float(macs[i])),
                    evaluation=_evaluation(row, job.id, float(accuracy[i])),
                )
                for i, row in enumerate(rows)
            ]
            store.add_trials(job.id, trials)
            store.finish_trials(job.id, ends)
        store.set_job_state(job.id, "completed")


def _evaluation(row: Any, job: str, accuracy: float) -> EvaluationRow:
    costs = ("macs", "parameters", "activations", "memory_bytes")
    return EvaluationRow(
        key=row.fingerprint,
        subject=row.fingerprint,
        architecture=row.fingerprint,
        dataset=DATASET,
        split="",
        recipe="r",
        evaluator="training",
        seed=0,
        job=job,
        val_accuracy=accuracy,
        val_accuracy_se=0.005,
        fidelity=5.0,
        seconds=60.0,
        **{name: getattr(row, name) for name in costs},
    )


@contextmanager
def served(store: str, folder: str) -> Iterator[str]:
    """`nas serve` as a process of its own, on any free port."""
    command = [sys.executable, "-m", "nas", "serve", "--port", "0", "--store", store]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert found is not None, "nas serve did not start"
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=20)


def main() -> None:
    parser = argparse.ArgumentParser(description="First useful paint over a large store.")
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        raise SystemExit("There is no Chromium; sudo apt-get install chromium, or set CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = f"sqlite:///{folder}/nas.db"
        begin, used = time.perf_counter(), time.process_time()
        with Store.open(url) as store:
            fill(store, options.models)
        filled, cpu = time.perf_counter() - begin, time.process_time() - used
        print(f"{options.models:,} models filled in {filled:.0f} s ({cpu:.0f} s of processor)")
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        print("page            first paint  useful paint  server     plot     sent")
        with served(url, folder) as site:
            for path in ("/front", "/", "/jobs/bench-3"):
                visit(browser, site + path)  # the first one warms the server
                seen = [visit(browser, site + path) for _ in range(options.times)]
                print(line(path, seen))
        browser.close()


def visit(browser: Any, url: str) -> dict[str, float]:
    """One visit, for its figures."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url, wait_until="load")
    paints: dict[str, float] = page.evaluate(PAINTS)
    paints["plot"] = math.nan
    if "/front" in url:
        page.locator("#plot .scatterlayer path.point").last.wait_for(timeout=120_000)
        paints["plot"] = page.evaluate("performance.now()")
    context.close()
    return paints


def line(path: str, seen: list[dict[str, float]]) -> str:
    """Medians of several visits."""
    of = {name: statistics.median(s[name] for s in seen) for name in seen[0]}
    plot = f"{of['plot']:6.0f} ms" if math.isfinite(of["plot"]) else "        -"
    return (
        f"{path:<15} {of['first']:8.0f} ms {of['largest']:10.0f} ms {of['server']:5.0f} ms "
        f"{plot} {of['bytes'] / 1000:5.0f} kB"
    )


if __name__ == "__main__":
    main()
