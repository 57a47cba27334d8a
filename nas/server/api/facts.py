"""What needs no store: spaces, the papers' networks, costs of a posted network; who asks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from nas import __version__
from nas.cost import count, count_stages
from nas.documents import Allowed, CostReport, Costs, Me, PublishedNetwork, Space
from nas.server.api.common import Reader, TheSettings, not_modified, tag_of, unchanged
from nas.server.bodies import posted_json
from nas.server.errors import Problem
from nas.server.rules import allowed
from search_spaces.architecture import Architecture
from search_spaces.errors import UnknownNameError
from search_spaces.published import PUBLISHED, get_published
from search_spaces.published.entry import Published
from search_spaces.spaces import SPACES

router = APIRouter(tags=["facts"])
SAME: dict[int | str, dict[str, Any]] = {304: {"description": "What who asks has is still right."}}


@router.get("/me")
def me(reader: Reader) -> Me:
    """Who asks."""
    return Me(name=reader.name, scope=reader.scope)


@router.get("/allowed")
def what_is_allowed(reader: Reader, settings: TheSettings) -> Allowed:
    """What a posted job may name on this server."""
    return Allowed(**{name: tuple(values) for name, values in allowed(settings).items()})


@router.get("/spaces", response_model=list[Space], responses=SAME)
def spaces(reader: Reader, request: Request, response: Response) -> Any:
    """The spaces that can be searched."""
    if unchanged(request, response, tag_of("spaces", __version__)):
        return not_modified(response)
    return [
        Space(
            name=space.name,
            networks=float(space.size),
            decisions=len(space.decisions),
            description=space.description,
        )
        for space in SPACES.values()
    ]


@router.get("/spaces/{name}", response_model=dict[str, Any], responses={**SAME, 404: {}})
def space(
    reader: Reader,
    request: Request,
    response: Response,
    name: Annotated[str, Path(max_length=64, examples=["small_images"])],
) -> Any:
    """A space as data, to start one's own from."""
    if name not in SPACES:
        raise Problem(404, f"There is no space {name!r:.80}; there are {', '.join(SPACES)}.")
    if unchanged(request, response, tag_of("space", name, __version__)):
        return not_modified(response)
    return SPACES[name].to_dict()


@router.get("/published", response_model=list[PublishedNetwork], responses=SAME)
def published(reader: Reader, request: Request, response: Response) -> Any:
    """The papers' networks, with their costs and published accuracy."""
    if unchanged(request, response, tag_of("published", __version__)):
        return not_modified(response)
    return list(_published())


@router.get("/published/{name}", response_model=dict[str, Any], responses={**SAME, 404: {}})
def published_network(
    reader: Reader,
    request: Request,
    response: Response,
    name: Annotated[str, Path(max_length=64, examples=["efficientnet_b0"])],
) -> Any:
    """A paper's network as data."""
    try:
        network = get_published(name)
    except UnknownNameError as error:
        raise Problem(404, str(error)) from None
    if unchanged(request, response, tag_of("network", network.fingerprint)):
        return not_modified(response)
    return network.to_dict()


@router.post(
    "/costs",
    responses={415: {}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object", "description": "As `nas show --json` writes it."},
                    "example": get_published("mobilenet_v1").to_dict(),
                }
            },
        }
    },
)
def costs(
    reader: Reader,
    document: Annotated[dict[str, Any], Depends(posted_json)],
    resolution: Annotated[
        int | None, Query(ge=1, le=8192, description="Pixels a side, in place of its own.")
    ] = None,
) -> CostReport:
    """Exact costs of a posted network; nothing is stored."""
    network = Architecture.from_dict(document)
    if resolution is not None:
        network = replace(network, resolution=resolution)
    return cost_report(network)


def cost_report(network: Architecture) -> CostReport:
    """A network's costs, whole and by stage."""
    return CostReport(
        fingerprint=network.fingerprint,
        resolution=network.resolution,
        total=_costs(count(network)),
        stages={name: _costs(part) for name, part in count_stages(network).items()},
    )


def _costs(found: Any) -> Costs:
    return Costs(**{name: getattr(found, name) for name in Costs.__dataclass_fields__})


@cache
def _published() -> tuple[PublishedNetwork, ...]:
    return tuple(map(_published_network, PUBLISHED.values()))


def _published_network(entry: Published) -> PublishedNetwork:
    found = count(entry.architecture)
    return PublishedNetwork(
        name=entry.name,
        resolution=entry.architecture.resolution,
        macs=found.macs,
        parameters=found.parameters,
        printed_macs=entry.printed_macs,
        printed_parameters=entry.printed_parameters,
        top1_percent=entry.top1,
        source=entry.source,
        note=entry.note,
    )
