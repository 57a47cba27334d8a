"""One payload on several workers side by side, by Ray Train: for a training across GPUs or nodes.

Ray Train starts the workers and joins them by `torch.distributed` (nccl on GPUs, gloo else); when
one dies it starts them all again. What they train, its checkpoints and who answers are the work's
affair. A ledger, an actor beside the driver, hears reports and the answer.
"""

from __future__ import annotations

import atexit
import os
import queue
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray import cloudpickle

from cluster.executor import (
    LostAttempt,
    OnReport,
    PackLuggage,
    Report,
    Result,
    Verdict,
    Work,
)
from cluster.ray_runtime import enter_ray, gpu_each, is_started_here, make_folder, wait_for_slots

POLL_S = 0.25
ENDING_S = 2.0
"""Time for Ray Train to take its workers down; without a dashboard it waits for ten seconds more
for word of its own controller, and whoever comes next only needs the workers' place."""
MOST_FAILURES = 100
"""Of starts that Ray Train tries again by itself; ours is the limit on deaths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """What happened since somebody last asked.

    Args:
        end: The pickled value and the error, one of them None; None while there is no end.
        workers: Host and process id of each worker of the running start, by rank.
    """

    reports: tuple[bytes, ...]
    end: tuple[bytes | None, str | None] | None
    attempts: int
    lost: tuple[LostAttempt, ...]
    workers: tuple[str, ...]


class Ledger:
    """What the workers of one payload tell the driver; runs as a Ray actor.

    The first end counts. Starts that end with no new checkpoint are limited, since Ray Train
    can't tell a worker that always dies from one that was unlucky.
    """

    def __init__(self, max_worker_deaths: int) -> None:
        self._max_deaths = max_worker_deaths
        self._deaths = self._attempts = 0
        self._reports: list[bytes] = []
        self._lost: list[LostAttempt] = []
        self._end: tuple[bytes | None, str | None] | None = None
        self._workers: dict[int, str] = {}
        self._error = ""
        self._last: Report | None = None
        self._checkpoint = self._checkpoint_at_start = 0.0
        self._started = time.monotonic()

    def enter(self, rank: int, worker: str) -> bool:
        """A worker begins; returns whether there is something left to do."""
        if self._end is not None:
            return False
        self._workers[rank] = worker
        if rank == 0:
            if self._attempts:
                self._note_loss()
            self._attempts += 1
            self._started, self._last = time.monotonic(), None
        return self._end is None

    def _note_loss(self) -> None:
        error = self._error or "A worker died."
        self._lost.append(
            LostAttempt(
                error=error,
                worker=", ".join(worker for _, worker in sorted(self._workers.items())),
                fidelity=self._last.fidelity if self._last else 0.0,
                seconds=time.monotonic() - self._started,
                details=self._last.details if self._last else {},
            )
        )
        self._error = ""
        has_got_on = self._checkpoint > self._checkpoint_at_start
        self._deaths = 1 if has_got_on else self._deaths + 1
        self._checkpoint_at_start = self._checkpoint
        if self._deaths >= self._max_deaths:
            self._end = None, f"Lost {self._deaths} times with no new checkpoint: {error}"

    def report(self, pickled: bytes) -> bool:
        """What the first worker measured; returns whether it is to go on."""
        self._reports.append(pickled)
        self._last = cloudpickle.loads(pickled)
        if self._last is not None and self._last.checkpoint is not None:
            self._checkpoint = max(self._checkpoint, self._last.checkpoint)
        return self._end is None

    def note_error(self, error: str) -> None:
        """Why a worker is about to end; the first is the cause, later ones its echo."""
        self._error = self._error or error

    def finish(self, pickled: bytes | None, error: str | None = None) -> None:
        """Answer for all."""
        self._end = self._end or (pickled, error)

    def ask(self, known_reports: int) -> _News:
        """What is new to somebody who knows that many reports."""
        return _News(
            reports=tuple(self._reports[known_reports:]),
            end=self._end,
            attempts=max(1, self._attempts),
            lost=tuple(self._lost),
            workers=tuple(worker for _, worker in sorted(self._workers.items())),
        )


def _take_part(config: dict[str, Any]) -> None:
    """What Ray Train runs on every worker."""
    from ray import train

    ledger, rank = config["ledger"], train.get_context().get_world_rank()
    if not ray.get(ledger.enter.remote(rank, f"{socket.gethostname()}:{os.getpid()}")):
        return
    _choose_gpu()
    try:
        if config["luggage"] is not None:
            unpack, content = ray.get(config["luggage"])
            unpack(content)
        running = cloudpickle.loads(config["work"])(cloudpickle.loads(config["payload"]))
        while True:
            try:
                report = next(running)
            except StopIteration as end:
                value = end.value
                break
            pickled = cloudpickle.dumps(report)
            if rank == 0 and not ray.get(ledger.report.remote(pickled)):
                raise _EndedElsewhereError  # Ray Train then stops the others, too
    except Exception:
        ray.get(ledger.note_error.remote(traceback.format_exc()))
        raise
    if value is not None:
        ray.get(ledger.finish.remote(cloudpickle.dumps(value)))
        if rank > 0:
            raise _EndedElsewhereError


class _EndedElsewhereError(Exception):
    """There is an answer; the others may wait for this worker for ever."""


def _choose_gpu() -> None:
    """Have `cuda` mean this worker's own GPU."""
    import torch
    from ray.train.torch import get_device

    device = get_device()
    if not isinstance(device, list) and device.type == "cuda":
        torch.cuda.set_device(device)


class RayTrainExecutor:
    """Runs payloads one by one, each on all of `workers` at once.

    The work runs on every worker, joined by `torch.distributed`, with the same payload. The
    first value that is not None is the payload's; the first worker's reports count. When a
    worker or its node dies, or the work raises, all start again from the beginning and pick up
    what they saved; after `max_worker_deaths` times with no new checkpoint in between the
    payload ends with an error.

    Args:
        work: What each worker does with a payload.
        on_report: Called while results are collected; a STOP is heard at the next report.
        gpus_per_worker: None gives each a GPU where there are enough of them.
        address: As in `cluster.ray_tune.RayTuneExecutor`, and so `pack_luggage`, `wait_s` and
            `on_wait`.

    Raises:
        ClusterError: If Ray can't be reached or lacks what the workers need.
    """

    def __init__(
        self,
        work: Work,
        on_report: OnReport | None = None,
        *,
        workers: int,
        cpus_per_worker: float = 1.0,
        gpus_per_worker: float | None = None,
        max_worker_deaths: int = 3,
        pack_luggage: PackLuggage | None = None,
        address: str | None = None,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] = print,
    ) -> None:
        self._pickled_work = cloudpickle.dumps(work)
        self._on_report = on_report or (lambda key, report: Verdict.CONTINUE)
        self._workers, self._max_deaths = workers, max_worker_deaths
        self._folder = make_folder()
        self._entered = False
        try:
            self._entered = enter_ray(address, self._folder, workers * cpus_per_worker)
            gpus = gpu_each(workers) if gpus_per_worker is None else gpus_per_worker
            self._needs = {"CPU": cpus_per_worker} | ({"GPU": gpus} if gpus else {})
            self.needs = {name: workers * amount for name, amount in self._needs.items()}
            """What all workers hold together."""
            own = is_started_here(self._entered, address)
            luggage = None if own or pack_luggage is None else pack_luggage()
            self._luggage = None if luggage is None else ray.put(luggage)
            wait_for_slots(self.needs, 0.0 if own else wait_s, on_wait)
        except BaseException:
            self._leave()
            raise
        self._tasks: queue.Queue[tuple[str, Any] | None] = queue.Queue()
        self._results: queue.Queue[Result] = queue.Queue()
        self._due, self._closing = 0, False
        self._ledger: Any = None
        self.running_on: tuple[str, ...] = ()
        """Host and process id of each worker now at work, by rank."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def slots(self) -> int:
        return 1

    def submit(self, key: str, payload: Any) -> None:
        self._due += 1
        self._tasks.put((key, cloudpickle.dumps(payload)))

    def collect(self, timeout_s: float | None = None) -> list[Result]:
        if not self._due:
            return []
        try:
            results = [self._results.get(timeout=timeout_s)]
        except queue.Empty:
            return []
        self._due -= 1
        return results

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._tasks.put(None)
        if self._ledger is not None and ray.is_initialized():
            self._ledger.finish.remote(None, "The executor was closed.")
        self._thread.join(timeout=1 if self._entered else 20)
        self._leave()
        atexit.unregister(self.close)

    def _leave(self) -> None:
        if self._entered and ray.is_initialized():
            ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None and not self._closing:
            key, payload = task
            started = time.monotonic()
            try:
                result = self._run_one(key, payload, started)
            except Exception:  # Ray's own; the payload's errors are in its result
                seconds = time.monotonic() - started
                result = Result(key=key, error=traceback.format_exc(), seconds=seconds)
            self._results.put(result)

    def _run_one(self, key: str, payload: bytes, started: float) -> Result:
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._ledger = (
            ray.remote(Ledger)
            .options(num_cpus=0, scheduling_strategy=here)
            .remote(self._max_deaths)
        )
        fitting = threading.Thread(target=self._fit, args=(payload, self._ledger), daemon=True)
        fitting.start()
        reports, last, stopped = 0, None, False
        while True:
            news: _News = ray.get(self._ledger.ask.remote(reports))
            self.running_on = news.workers
            for pickled in news.reports:
                last = cloudpickle.loads(pickled)
                if not stopped and self._on_report(key, last) is Verdict.STOP:
                    stopped = True
                    self._ledger.finish.remote(None, "stopped")
            reports += len(news.reports)
            if news.end is not None:
                break
            if not fitting.is_alive():
                self._ledger.finish.remote(None, "Ray Train ended without an answer.")
            time.sleep(POLL_S)
        fitting.join(ENDING_S)
        value, error = news.end
        return Result(
            key=key,
            value=None if value is None else cloudpickle.loads(value),
            error=None if stopped else error,
            stopped=stopped,
            last_report=last,
            attempts=news.attempts,
            seconds=time.monotonic() - started,
            worker=", ".join(news.workers),
            lost=news.lost,
        )

    def _fit(self, payload: bytes, ledger: Any) -> None:
        from ray import train
        from ray.train.torch import TorchTrainer

        trainer = TorchTrainer(
            _take_part,
            train_loop_config={
                "work": self._pickled_work,
                "payload": payload,
                "ledger": ledger,
                "luggage": self._luggage,
            },
            scaling_config=train.ScalingConfig(
                num_workers=self._workers,
                use_gpu="GPU" in self._needs,
                resources_per_worker=self._needs,
            ),
            run_config=train.RunConfig(
                storage_path=self._folder,
                failure_config=train.FailureConfig(max_failures=MOST_FAILURES),
            ),
        )
        try:
            trainer.fit()
        except SystemExit:  # how Ray ends a wait that its shutdown meets
            return
        except Exception:
            if ray.is_initialized():
                ledger.finish.remote(None, traceback.format_exc())
