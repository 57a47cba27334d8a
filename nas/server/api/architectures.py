"""Networks as data with their costs, and what is known of them; families."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from nas.documents import Card, FamilyPage, Network
from nas.server.api.common import (
    After,
    Limit,
    NetworkName,
    Reader,
    TheStore,
    family_of_id,
    job_named,
    network_named,
    not_modified,
    read_place,
    tag_of,
    unchanged,
    write_place,
)
from nas.server.api.facts import SAME, cost_report
from nas.store import EvaluationRow, FamilyRow, Filter
from search_spaces.architecture import Architecture

router = APIRouter(tags=["architectures"])
MOST_EVALUATIONS = 200


@router.get("/architectures/{name:path}/card", responses={404: {}})
def card(reader: Reader, store: TheStore, name: NetworkName) -> Card:
    """What is known of a network: evaluations, measurements, files; the best trained first."""
    fingerprint = network_named(store, name).fingerprint
    where = Filter(architecture=fingerprint)
    keys = [row.evaluation for row in store.models(where, limit=MOST_EVALUATIONS)]
    found = store.evaluations(keys)
    return Card(
        fingerprint=fingerprint,
        evaluations=tuple(evaluation_document(found[key]) for key in keys if key in found),
        measurements=tuple(store.measurements_about(fingerprint)),
        artifacts=tuple(store.artifacts_of(architecture=fingerprint)),
    )


@router.get("/architectures/{name:path}", response_model=Network, responses={**SAME, 404: {}})
def architecture(
    reader: Reader, store: TheStore, request: Request, response: Response, name: NetworkName
) -> Any:
    """A network as data, with its exact costs."""
    found = network_named(store, name)
    if unchanged(request, response, tag_of("architecture", found.fingerprint)):
        return not_modified(response)
    return network_document(found)


@router.get("/families", responses={404: {}})
def families(
    reader: Reader,
    store: TheStore,
    limit: Limit,
    after: After = None,
    job: Annotated[str | None, Query(max_length=64, description="Of this job only.")] = None,
) -> FamilyPage:
    """Families with their members, the latest first."""
    own = None if job is None else job_named(store, job).id
    found = store.latest_families(own, limit=limit + 1, after=read_place(after))
    last = found[limit - 1] if len(found) > limit else None
    following = write_place(last.created_at, last.id) if last else None
    return FamilyPage(rows=tuple(found[:limit]), after=following)


@router.get("/families/{family}", responses={404: {}})
def family(
    reader: Reader, store: TheStore, family: Annotated[str, Path(max_length=64)]
) -> FamilyRow:
    """A family with its members."""
    return family_of_id(store, family)


def evaluation_document(row: EvaluationRow) -> EvaluationRow:
    """An evaluation whose curve has numbers only."""
    curve = ({k: v for k, v in point.items() if math.isfinite(v)} for point in row.curve)
    return replace(row, curve=tuple(curve))


def network_document(network: Architecture) -> Network:
    """A network as it is answered with."""
    return Network(
        fingerprint=network.fingerprint,
        body_fingerprint=network.body_fingerprint,
        document=network.to_dict(),
        costs=cost_report(network),
    )
