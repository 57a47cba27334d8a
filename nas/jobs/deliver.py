"""Taking a model home: its trained weights, found or made, in the formats that people deploy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.executor import InlineExecutor
from nas.data.artifacts import get_bytes, put_bytes
from nas.errors import InvalidRequestError, NasError
from nas.export import Exported, export_model, make_card
from nas.jobs.plan import Plan
from nas.jobs.reporter import Reporter
from nas.search.evaluations import Evaluations, evaluate_all
from nas.search.progress import Snapshot
from nas.store import ArtifactRow, EvaluationRow, JobRow, Store
from nas.training.recipe import TrainOn
from search_spaces.architecture import Architecture

EXPORTS = "exports"
"""Folder of the artifact location for files that a server made."""
SAMPLES = 64
"""Real images that every exported file is compared on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An exported model: its file, the evaluation whose weights are in it, and its row."""

    format: str
    exported: Exported
    evaluation: EvaluationRow
    artifact: ArtifactRow


def for_data(architecture: Architecture, plan: Plan) -> Architecture:
    """The network with the classes and input channels of the job's data."""
    return replace(
        architecture,
        num_classes=len(plan.data.classes),
        input_channels=int(plan.data.train.images.shape[3]),
    )


def deliver(
    store: Store,
    job: JobRow,
    plan: Plan,
    architecture: Architecture,
    formats: Sequence[str],
    directory: Path,
    reporter: Reporter,
    *,
    train: bool = True,
    name: str | None = None,
    keep: bool = False,
) -> list[Delivery]:
    """Export a network with weights of the job's full recipe, training them if there are none.

    Args:
        keep: Put each file under the artifact location, too; its row then names it there, and
            `directory` may be gone afterwards.

    Raises:
        InvalidRequestError: If there are no such weights and `train` is false.
        NasError: If training fails, or a file does not answer as the network does.
    """
    from safetensors.torch import load

    architecture = for_data(architecture, plan)
    evaluation = full_evaluation(store, plan, architecture)
    if evaluation is None:
        if not train:
            raise InvalidRequestError(
                f"Network {architecture.fingerprint[:12]} has no stored weights of the job's full "
                f"recipe, and training them now was not asked for (`train`, or no --no-train)."
            )
        evaluation = train_fully(store, job, plan, architecture, reporter)
    assert evaluation.weights is not None
    state = load(get_bytes(plan.artifacts, evaluation.weights[0], evaluation.weights[1]))
    samples = plan.data.test.images[:SAMPLES]
    deliveries = []
    for format in formats:
        exported = export_model(
            architecture,
            state,
            make_card(
                architecture,
                plan.data,
                resolution=plan.spec.full_recipe.resolution,
                accuracy=evaluation.test_accuracy,
                accuracy_error=evaluation.test_accuracy_se,
            ),
            directory,
            format,
            samples,
            name=name,
        )
        place = str(exported.path.resolve())
        if keep:
            content, suffix = exported.path.read_bytes(), exported.path.suffix
            place = put_bytes(plan.artifacts, EXPORTS, suffix, content).name
        row = _record(store, job, architecture, evaluation, format, exported, place)
        deliveries.append(
            Delivery(format=format, exported=exported, evaluation=evaluation, artifact=row)
        )
    return deliveries


def network_to_export(
    store: Store, name: str, job: str | None = None, *, files: bool = True
) -> tuple[JobRow, Architecture]:
    """The network that a name means, and the job whose data and recipe it goes by.

    Args:
        name: A network's, or a job's: its family member that is best on validation.
        job: In place of the job that `name` names, or of the latest.
        files: As for `find_architecture`.

    Raises:
        InvalidRequestError: If there is no such network or job.
    """
    from nas.jobs.front import is_over_table, table_error
    from nas.jobs.naming import find_architecture, stored_architecture
    from nas.jobs.summary import summarise

    try:
        own = store.find_job(name.partition("/")[0])
    except InvalidRequestError:
        own = None
    if own is not None and "/" not in name and is_over_table(own):
        raise table_error(f"{own.name} ({own.id})")
    if own is None or "/" in name:
        architecture = find_architecture(name, store, files=files)
        return own if own is not None and job is None else store.find_job(job), architecture
    chosen = summarise(store, own).chosen
    if chosen is None or chosen.architecture is None:
        raise InvalidRequestError(
            f"Job {own.name} has no family to choose from. Name a trial, as in {own.id}/0."
        )
    return own, stored_architecture(store, chosen.architecture)


def full_evaluation(store: Store, plan: Plan, architecture: Architecture) -> EvaluationRow | None:
    """The stored evaluation with weights of the full recipe; on all labelled images if there is
    one, else on the training part."""
    parts: tuple[TrainOn, ...] = ("train+val", "train")
    for train_on in parts:
        candidate = plan.candidate(architecture, plan.spec.full_recipe, train_on=train_on)
        stored = store.evaluation(candidate.key.digest)
        if stored is not None and stored.weights is not None:
            return stored
    return None


def train_fully(
    store: Store, job: JobRow, plan: Plan, architecture: Architecture, reporter: Reporter
) -> EvaluationRow:
    """Train by the full recipe on training and validation part together."""
    epochs = plan.spec.full_recipe.epochs
    reporter.note(
        f"No weights of the full recipe are stored for {architecture.fingerprint[:12]}: "
        f"training {epochs} epochs on training and validation part."
    )
    candidate = plan.candidate(architecture, plan.spec.full_recipe, train_on="train+val")
    evaluations = Evaluations(store, InlineExecutor, owner=job.id, job=job.id)
    try:
        reporter.progress(Snapshot(stage="training", done=0, total=1))
        (end,) = evaluate_all(evaluations, [candidate])
    finally:
        evaluations.close()
    if end.evaluation is None or end.evaluation.weights is None:
        raise NasError(f"Training {architecture.fingerprint[:12]} gave no weights: {end.reason}")
    return end.evaluation


def _record(
    store: Store,
    job: JobRow,
    architecture: Architecture,
    evaluation: EvaluationRow,
    format: str,
    exported: Exported,
    place: str,
) -> ArtifactRow:
    assert evaluation.weights is not None
    weights = [
        row
        for row in store.artifacts_of(evaluation=evaluation.key)
        if row.sha256 == evaluation.weights[1]
    ]
    return store.add_artifact(
        ArtifactRow(
            sha256=exported.sha256,
            kind=format,
            name=place,
            bytes=exported.size_bytes,
            architecture=architecture.fingerprint,
            evaluation=evaluation.key,
            job=job.id,
            parent=weights[0].id if weights else None,
            details={"largest_relative_difference": exported.largest_relative_difference},
        )
    )
