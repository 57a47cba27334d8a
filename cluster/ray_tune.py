"""The executor's promise on Ray Tune: `Tuner.fit` in a thread, fed from a desk.

One attempt at one payload is one Tune trial. Tune starts the actors, hands them on from trial
to trial and carries our verdict on every report. Its checkpoints, loggers, retries and result
files are off: checkpoints are the work's own affair, and a lost payload is queued again here.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Generator
from itertools import count
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cluster.desk import ClosingError, Desk
from cluster.errors import ClusterError
from cluster.executor import Luggage, OnReport, PackLuggage, Report, Result, Verdict, Work
from cluster.ray_runtime import (
    enter_ray,
    gpu_each,
    is_own_node_alive,
    is_started_here,
    make_folder,
    wait_for_slots,
)

LOOK_S = 10.0
"""How often the driver looks whether Ray still takes it for alive."""
STARTING_S = 15.0
"""How long an idle actor is kept from a trial whose own is starting."""

# Ray says the second while it doesn't know yet that the node is gone.
WORDS_OF_A_LOST_NODE = ("its node has died", "temporarily unavailable")


class RayTuneExecutor:
    """Runs payloads on Ray Tune; reports and results are those of `InlineExecutor`.

    A Ray that this process is connected to is used as it is, else the one at `address` or in
    `RAY_ADDRESS`; else one is started on this machine, and `close` ends it.

    A worker that dies is replaced and its payload started again from the beginning; what the
    work saved itself it may pick up again. A payload that lost `max_worker_deaths` workers with
    no new checkpoint in between ends with an error; the loss of a whole node isn't counted.

    Args:
        work: What a worker does with a payload.
        on_report: Called in Tune's thread.
        slots: Payloads side by side; by default as many as the resources allow.
        cpus_per_task: CPUs that a payload reserves, and its number of OpenMP threads.
        gpus_per_task: GPUs, or the share of one, that a payload reserves; None is a whole one
            where Ray has any.
        memory_bytes: Memory that a payload reserves; nobody enforces it.
        address: HOST:PORT of a Ray head, or `auto`.
        pack_luggage: What every worker gets once, through Ray's object store, where Ray has other
            machines than this one or may have.
        wait_s: How long a Ray that is there may take to have what one payload needs.
        on_wait: Told so, when it is waited for.

    Raises:
        ClusterError: If Ray can't be reached or lacks what one payload needs.
    """

    def __init__(
        self,
        work: Work,
        on_report: OnReport | None = None,
        *,
        slots: int | None = None,
        cpus_per_task: float = 1.0,
        gpus_per_task: float | None = 0.0,
        memory_bytes: int | None = None,
        max_worker_deaths: int = 3,
        address: str | None = None,
        pack_luggage: PackLuggage | None = None,
        wait_s: float = 0.0,
        on_wait: Callable[[str], None] = print,
    ) -> None:
        # The paths of Ray's sockets begin here and may hold 107 characters: not in TMPDIR.
        self._folder = make_folder()
        self._entered = False
        try:
            self._entered = enter_ray(address, self._folder, (slots or 0) * cpus_per_task)
            gpus = gpu_each() if gpus_per_task is None else gpus_per_task
            needs = {"CPU": cpus_per_task, "GPU": gpus, "memory": memory_bytes or 0}
            needs = {name: amount for name, amount in needs.items() if amount}
            own = is_started_here(self._entered, address)
            found = wait_for_slots(needs, 0.0 if own else wait_s, on_wait)
            self._slots = slots or found
        except BaseException:
            self._leave()
            raise
        self._desk = Desk(on_report, max_worker_deaths)
        trainable = tune.with_resources(
            tune.with_parameters(
                _Worker,
                pickled_work=cloudpickle.dumps(work),
                luggage=None if own or pack_luggage is None else pack_luggage(),
            ),
            tune.PlacementGroupFactory([needs]),
        )
        self._thread = threading.Thread(target=self._run, args=(trainable,), daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, key: str, payload: Any) -> None:
        self._desk.submit(key, cloudpickle.dumps(payload))

    def collect(self, timeout_s: float | None = None) -> list[Result]:
        return self._desk.collect(timeout_s)

    def close(self) -> None:
        self._desk.close()
        self._thread.join(timeout=20)
        self._leave()
        atexit.unregister(self.close)

    def _leave(self) -> None:
        if self._entered and ray.is_initialized():
            ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, trainable: Any) -> None:
        """Keep Tune's loop going; should it break, the tasks that ran are queued again.

        It breaks when Ray's memory monitor kills a worker, an error that Tune doesn't know.
        """
        for number in count():
            try:
                _make_tuner(trainable, self._desk, self._slots, self._folder, number).fit()
            except ClosingError:
                return
            except ClusterError as error:
                self._desk.abandon(str(error))
                return
            except Exception:
                if self._desk.closing:
                    return
                if not self._desk.lose_all(traceback.format_exc()):
                    self._desk.give_up(traceback.format_exc())
                    return


def _make_tuner(trainable: Any, desk: Desk, slots: int, folder: str, number: int) -> Any:
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=_Feed(desk),
            scheduler=_Referee(desk, slots),
            num_samples=-1,
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_name_creator=_read_trial_id,
            trial_dirname_creator=_read_trial_id,
        ),
        run_config=tune.RunConfig(
            name=f"run-{number}",
            storage_path=folder,
            verbose=0,
            callbacks=[_Clerk(desk)],
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
        ),
    )


def _read_trial_id(trial: Any) -> str:
    return str(trial.trial_id)


class _Parcel:
    """A pickled payload; its short name keeps Tune's tags short."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __repr__(self) -> str:
        return "parcel"


class _Worker(tune.Trainable):
    """Advances one generator by one report a step; handed on from trial to trial."""

    def setup(self, config: dict[str, Any], pickled_work: bytes, luggage: Luggage | None) -> None:
        self._pickled_work, self._luggage = pickled_work, luggage
        self._work: Work | None = None
        self._generator: Generator[Report, None, Any] | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self._parcel: _Parcel = new_config["parcel"]
        self.config: dict[str, Any] = {}  # or every result would carry the payload back
        return True

    def step(self) -> dict[str, Any]:
        try:
            if self._work is None:
                if self._luggage is not None:
                    unpack, content = self._luggage
                    unpack(content)
                self._work = cloudpickle.loads(self._pickled_work)
            if self._generator is None:
                self._generator = self._work(cloudpickle.loads(self._parcel.content))
            try:
                return {"report": cloudpickle.dumps(next(self._generator))}
            except StopIteration as end:
                return {"done": True, "value": cloudpickle.dumps(end.value)}
        except Exception:  # whatever the work raises is the work's result
            return {"done": True, "error": traceback.format_exc()}

    def cleanup(self) -> None:
        if self._generator is not None:
            with contextlib.suppress(Exception):
                self._generator.close()
        self._generator = None


class _Feed(Searcher):
    """Tune's source of trials: the desk's tasks."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def __reduce__(self) -> Any:
        return _Feed, (None,)  # Tune saves its searcher for a restore that nobody asks for

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        task = self._desk.hand_out(trial_id)
        return None if task is None else {"parcel": _Parcel(task.pickled_payload)}

    def on_trial_complete(self, *args: Any, **kwargs: Any) -> None:
        """Told to the referee already, with more detail."""


class _Clerk(tune.Callback):
    """Writes down which actor a task got, for messages that name nothing else."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __reduce__(self) -> Any:
        return _Clerk, (None,)  # as in _Feed

    def on_trial_start(self, *args: Any, trial: Any, **kwargs: Any) -> None:
        self._desk.note_actor(trial.trial_id, trial.temporary_state.ray_actor._actor_id.hex())


class _Referee(FIFOScheduler):
    """Takes Tune's news to the desk, and the desk's verdicts back."""

    def __init__(self, desk: Desk, slots: int) -> None:
        super().__init__()
        self._desk = desk
        self._spare_actors = slots
        self._keeps_starting_actors = False
        self._look_at = time.monotonic() + LOOK_S

    def __reduce__(self) -> Any:
        return _Referee, (None, 0)  # as in _Feed

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Called at every turn of Tune's loop; its own choice of a trial is as good as any."""
        if self._desk.closing:
            for trial in tune_controller.get_live_trials():
                if trial.temporary_state.ray_actor is not None:
                    ray.kill(trial.temporary_state.ray_actor)
            raise ClosingError  # Tune's orderly end would write files and wait for running steps
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            if not is_own_node_alive():
                raise ClusterError(
                    "Ray has lost the node that this driver belongs to, and runs nothing for it "
                    "any more; every result that came in is kept. Go on with nas resume."
                )
        if not self._keeps_starting_actors:
            self._keeps_starting_actors = True
            with contextlib.suppress(AttributeError):
                _keep_starting_actors(tune_controller._tune_controller)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        verdict = self._desk.report(trial.trial_id, result["report"], _name_worker(result))
        if verdict is Verdict.CONTINUE:
            return str(TrialScheduler.CONTINUE)
        trial.temporary_state.ray_actor.cleanup.remote()
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        # Tune keeps one idle actor; a new one costs seconds. Private, so only if it is there.
        with contextlib.suppress(AttributeError):
            tune_controller._actor_cache.increase_max(
                trial.placement_group_factory, self._spare_actors
            )
            self._spare_actors = 0
        self._desk.finish(
            trial.trial_id,
            value=result.get("value"),
            error=result.get("error"),
            worker=_name_worker(result),
        )

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        _, _, reason = Path(trial.error_file).read_text().partition("\n")  # a date comes first
        is_node_lost = any(words in reason for words in WORDS_OF_A_LOST_NODE)
        self._desk.lose(trial.trial_id, reason.strip(), is_workers_death=not is_node_lost)


def _keep_starting_actors(controller: Any) -> None:
    """Have Tune finish what it began: an actor that starts is not dropped for an idle one.

    Tune gives an idle actor to a trial whose own is starting, drops that, and starts another for
    the next trial: where trials are shorter than starts, a lost worker would never be replaced.
    An idle actor that gets nothing else for long is used after all, since the cluster may have
    become too small for the other. All of this is private to Tune, so only if it is there.
    """
    reuse, starting = controller._maybe_reuse_cached_actor, controller._trial_to_actor
    idle_since: float | None = None

    def patient_reuse(trial: Any) -> bool:
        nonlocal idle_since
        if trial in starting:
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since < STARTING_S:
                return False
        reused = bool(reuse(trial))
        idle_since = None if reused else idle_since
        return reused

    controller._maybe_reuse_cached_actor = patient_reuse


def _name_worker(result: dict[str, Any]) -> str:
    return f"{result['hostname']}:{result['pid']}"
