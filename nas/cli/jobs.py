"""Commands about jobs: run, search, resume, jobs, status."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.cluster import CodeChoice, StoreOnNodes, WorkingDir, make_place
from nas.cli.options import DEFAULT_STORE, JobName, Json, StoreUrl, artifact_location, open_store
from nas.cli.output import console, errors, print_json, print_table

if TYPE_CHECKING:
    from nas.jobs.spec import JobSpec
    from nas.jobs.start import Started
    from nas.jobs.truth import Truth
    from nas.store import JobRow, Store

JobFile = Annotated[Path, typer.Argument(help="The job file (YAML).")]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start over, even if this very job is stored.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder for plots and exports; default nas-NAME."),
]
ExecutorName = Annotated[
    str | None, typer.Option("--executor", help="ray or inline, in place of the file's.")
]
DataSource = Annotated[
    str | None, typer.Option("--data", help="digits, an .npz or a folder, in place of the file's.")
]
EvaluatorName = Annotated[
    str | None,
    typer.Option(
        "--evaluator",
        help="training, package.module:function, or table:FILE (.csv, .json); "
        "in place of the file's.",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Trials side by side, in place of the file's.")
]


ACCOUNTS = ("cpu_hours", "gpu_hours", "lost_hours", "saved_hours", "energy_kwh", "retries")


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(search)
    app.command()(resume)
    app.command(name="jobs")(list_jobs)
    app.command()(status)


def run(
    job: JobFile,
    store: StoreUrl = DEFAULT_STORE,
    output: Output = None,
    fresh: Fresh = False,
    executor: ExecutorName = None,
    workers: Workers = None,
    data: DataSource = None,
    evaluator: EvaluatorName = None,
    as_json: Json = False,
) -> None:
    """Search, choose the baseline, scale it, store and export: the main job."""
    from nas.jobs.run import STAGES

    spec = _read(job, executor, workers, data, evaluator)
    _begin(spec, store, output, fresh, as_json, STAGES)


def search(
    job: JobFile,
    store: StoreUrl = DEFAULT_STORE,
    output: Output = None,
    fresh: Fresh = False,
    trials: Annotated[int | None, typer.Option(help="In place of the file's.")] = None,
    sampler: Annotated[str | None, typer.Option(help="In place of the file's.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the file's.")] = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    data: DataSource = None,
    evaluator: EvaluatorName = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option("--warm-start", help="A job to learn from; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Only the search; `nas scale` goes on from its front."""
    from nas.jobs.run import SEARCH
    from nas.jobs.spec import job_from_dict

    spec = _read(job, executor, workers, data, evaluator)
    changes = {"trials": trials, "sampler": sampler, "seed": seed, "warm_start": warm_start or None}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        document = spec.model_dump(mode="json", exclude_defaults=True)
        document["search"] = {**document.get("search", {}), **changes}
        spec = job_from_dict(document, "The flags")
    _begin(spec, store, output, fresh, as_json, (SEARCH,))


def resume(
    job: JobName = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Have this cluster go on with it.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    store_on_nodes: StoreOnNodes = None,
    code: CodeChoice = "installed",
    working_dir: WorkingDir = None,
    output: Output = None,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", help="As max_wall_time=4h, or =none; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Go on with a job that was stopped or killed; nothing that was computed is computed again."""
    if budget:
        _rebudget(store, job, budget)
    if address is not None:
        from nas.jobs.submit import resubmit_job

        opened = open_store(store)
        place = make_place(address, store_on_nodes, code, working_dir)
        row = resubmit_job(opened, store, opened.find_job(job), place)
        errors.print(f"Submitted {row.name} ({row.id}) again as {row.ray_id}.")
        return
    from nas.cli.report import finish
    from nas.jobs.budget import may_not_go_on
    from nas.jobs.run import SCALE, SEARCH, STAGES
    from nas.jobs.start import job_spec, take_up_job
    from nas.jobs.submit import check_code

    opened = open_store(store)
    row = opened.find_job(job)
    check_code(opened, row)
    if row.state == "completed" and may_not_go_on(row, job_spec(row).budget):
        errors.print(_why_complete(row))
        finish(opened, store, row, output, as_json)
        return
    stages = {"search": (SEARCH,), "scale": (SCALE,)}.get(row.kind, STAGES)
    drive(opened, take_up_job(opened, row), output, as_json, stages, store)


def list_jobs(
    usage: Annotated[
        bool, typer.Option("--usage", help="What every user and job spent, in place of states.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """The jobs of the store, the latest first."""
    from nas.jobs.truth import find_truth

    opened = open_store(store)
    if usage:
        _print_usage(opened, as_json)
        return
    rows = [
        (job, find_truth(opened, job), opened.count_trials(job.id)) for job in opened.list_jobs()
    ]
    if as_json:
        print_json([_job_document(job, truth, counts) for job, truth, counts in rows])
        return
    if not rows:
        console.print("No jobs yet. Start one: nas run JOB.yaml")
        return
    print_table(
        ("job", "name", "state", "trials", "started", "owner"),
        [
            (
                job.id,
                job.name,
                truth.state,
                f"{counts.get('completed', 0)}/{sum(counts.values())}",
                job.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                job.owner,
            )
            for job, truth, counts in rows
        ],
    )


def _print_usage(store: Store, as_json: bool) -> None:
    from nas.jobs.accounts import accounts_of
    from nas.store.usage import Usage

    used = store.usage()
    rows = [(job, accounts_of(job, used.get(job.id, Usage()))) for job in store.list_jobs()]
    rows.sort(key=lambda row: row[0].owner)
    if as_json:
        print_json([{"owner": j.owner, "job": j.id, "name": j.name, **asdict(a)} for j, a in rows])
        return
    amounts = ("CPU-hours", "GPU-hours", "lost h", "saved h", "energy kWh", "retries")
    columns = ("user", "job", "name", *amounts)
    lines: list[tuple[Any, ...]] = []
    for owner in dict.fromkeys(job.owner for job, _ in rows):
        own = [(job, a) for job, a in rows if job.owner == owner]
        sums = [sum(getattr(a, field) or 0 for _, a in own) for field in ACCOUNTS]
        lines.append((owner, "all", "", *sums))
        lines += [("", j.id, j.name, *(getattr(a, field) for field in ACCOUNTS)) for j, a in own]
    print_table(columns, lines)


def status(job: JobName = None, store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """How a job stands, and what it has found so far."""
    from nas.cli.report import print_summary
    from nas.jobs.summary import summarise
    from nas.jobs.truth import find_truth

    opened = open_store(store)
    row = opened.find_job(job)
    truth = find_truth(opened, row)
    summary = summarise(opened, replace(row, message=truth.message))
    if as_json:
        document = summary.to_dict()
        document["job"]["state"] = truth.state
        print_json(document)
        return
    print_summary(opened, summary, state=truth.state)


def _rebudget(store_url: str, name: str | None, texts: list[str]) -> None:
    from nas.jobs.budget import change_budget, parse_budget
    from nas.jobs.start import check_budget, job_spec

    opened = open_store(store_url)
    row = opened.find_job(name)
    spec = job_spec(row)
    spec = spec.model_copy(update={"budget": parse_budget(spec.budget, texts)})
    check_budget(spec)
    change_budget(opened, row, spec.budget)


def _why_complete(job: JobRow) -> str:
    from nas.jobs.budget import spent_budget
    from nas.jobs.start import job_spec

    spent = spent_budget(job, job_spec(job).budget)
    if spent is None:
        return f"Job {job.name} ({job.id}) is complete; this is its stored result."
    return (
        f"Job {job.name} ({job.id}) was {job.message}. Raise it to go on: "
        f"nas resume {job.id} --budget {spent}=..."
    )


def _job_document(job: JobRow, truth: Truth, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "state": truth.state,
        "message": truth.message,
        "ray_id": job.ray_id,
        "trials": counts,
        "owner": job.owner,
        "created_at": job.created_at.isoformat(),
    }


def _read(
    path: Path,
    executor: str | None,
    workers: int | None,
    data: str | None,
    evaluator: str | None,
) -> JobSpec:
    from nas.jobs.spec import job_from_dict, load_job

    spec = load_job(path)
    changes = {"executor": executor, "workers": workers}
    changes = {name: value for name, value in changes.items() if value is not None}
    document = spec.model_dump(mode="json", exclude_defaults=True)
    document["execution"] = {**document.get("execution", {}), **changes}
    if data is not None:
        document["data"] = {**document.get("data", {}), "source": data}
    if evaluator is not None:
        document = _with_evaluator(document, evaluator)
    return job_from_dict(document, "The flags")


def _with_evaluator(document: dict[str, Any], evaluator: str) -> dict[str, Any]:
    """Put an evaluator in place of the file's; a table has no networks to scale or export."""
    name, _, file = evaluator.partition(":")
    if name != "table":
        return {**document, "evaluator": evaluator}
    there = document.get("evaluator")
    fields = there if isinstance(there, dict) and there.get("name") == "table" else {}
    kept = {k: v for k, v in document.items() if k not in ("scaling", "export", "resolution")}
    return {**kept, "evaluator": {**fields, "name": name, "file": file}}


def _begin(
    spec: JobSpec,
    store_url: str,
    output: Path | None,
    fresh: bool,
    as_json: bool,
    stages: tuple[str, ...],
) -> None:
    """Start a job; or show it, or go on with it, if this very job is there."""
    from nas.cli.report import finish
    from nas.jobs.budget import change_budget, is_cut_short, may_not_go_on
    from nas.jobs.start import find_same, job_spec, start_job, take_up_job

    opened = open_store(store_url, create=True)
    same = None if fresh else find_same(opened, spec)
    if same is not None and job_spec(same).budget != spec.budget:
        same = change_budget(opened, same, spec.budget)
    is_over = same is not None and same.state == "completed" and may_not_go_on(same, spec.budget)
    if same is not None and is_over:
        errors.print(
            f"Job {same.name} ({same.id}) has run before; this is its stored result. "
            "--fresh starts over."
        )
        if is_cut_short(same):
            errors.print(_why_complete(same))
        finish(opened, store_url, same, output, as_json)
        return
    if same is not None:
        how = "was ended by its budget" if is_cut_short(same) else "was interrupted"
        errors.print(f"Job {same.name} ({same.id}) {how}; going on with it.")
        started = take_up_job(opened, same)
    else:
        kind = "search" if stages == ("search",) else "run"
        started = start_job(opened, spec, artifact_location(store_url), kind)
    drive(opened, started, output, as_json, stages, store_url)


def drive(
    store: Store,
    started: Started,
    output: Path | None,
    as_json: bool,
    stages: tuple[str, ...],
    store_url: str,
) -> None:
    from nas.cli.live import LiveReporter
    from nas.cli.report import finish
    from nas.jobs.run import run_job

    job, plan = started.job, started.plan
    with LiveReporter() as reporter:
        for note in (f"job {job.name} ({job.id}): {plan.describe()}", *plan.notes):
            reporter.note(note)
        try:
            job = run_job(store, job, plan, reporter, stages)
        except KeyboardInterrupt:
            errors.print(
                f"\nStopped. Every result that came in is kept. Go on with: nas resume {job.id}"
            )
            raise typer.Exit(130) from None
    finish(store, store_url, job, output, as_json)
