"""The quickstart, whole: time, memory of all its processes, and the chosen member's accuracy.

scripts/bench quickstart [JOB.yaml] [--data SOURCE]

Memory is the proportional set size (shared pages counted once) of this process's tree, the Ray
processes included, looked at twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


def tree_memory_gib(root: psutil.Process) -> float:
    """Proportional memory of a process and all that it started."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it ended meanwhile
            continue
    return total / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", nargs="?", default=str(ROOT / "examples" / "quickstart.yaml"))
    parser.add_argument("--data")
    options = parser.parse_args()
    command = [sys.executable, "-m", "nas", "run", os.path.abspath(options.job), "--json"]
    if options.data:
        command += ["--data", os.path.abspath(options.data)]
    with tempfile.TemporaryDirectory() as folder:
        started, peak = time.perf_counter(), 0.0
        with open(Path(folder) / "answer.json", "w") as answer:
            run = subprocess.Popen(command, cwd=folder, stdout=answer)
            watched = psutil.Process(run.pid)
            while run.poll() is None:
                peak = max(peak, tree_memory_gib(watched))
                time.sleep(0.5)
        seconds = time.perf_counter() - started
        if run.returncode:
            sys.exit(run.returncode)
        result = json.loads((Path(folder) / "answer.json").read_text())
    chosen = result["chosen"]
    print(f"time                 {seconds / 60:.1f} min")
    print(f"memory, peak         {peak:.2f} GiB")
    print(f"networks trained     {result['trained']}")
    print(f"front                {len(result['front'])} models")
    print(f"chosen member        {chosen['macs']:,} MACs, {chosen['parameters']:,} parameters")
    print(f"  validation         {chosen['val_accuracy']:.2%} +- {chosen['val_accuracy_se']:.2%}")
    print(f"  test               {chosen['test_accuracy']:.2%} +- {chosen['test_accuracy_se']:.2%}")


if __name__ == "__main__":
    main()
