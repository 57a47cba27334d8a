"""Commands that need no job: cost, spaces, published, doctor."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli.options import DEFAULT_STORE, Json, StoreUrl
from nas.cli.output import console, print_json, print_table, quantity


def register(app: typer.Typer) -> None:
    app.command()(cost)
    app.command()(spaces)
    app.command()(published)
    app.command()(doctor)


def cost(
    name: Annotated[
        str, typer.Argument(help="efficientnet_b0, a fingerprint, JOB/12, a file.json")
    ],
    resolution: Annotated[
        int | None, typer.Option(help="Pixels a side, in place of its own.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Exact costs of a network, from its description alone."""
    from dataclasses import replace

    from nas.cost import COST_METRICS, count, count_stages
    from nas.jobs.naming import find_architecture

    architecture = find_architecture(name, store)
    if resolution is not None:
        architecture = replace(architecture, resolution=resolution)
    total, stages = count(architecture), count_stages(architecture)
    if as_json:
        document: dict[str, Any] = {metric: getattr(total, metric) for metric in COST_METRICS}
        document |= {"name": name, "resolution": architecture.resolution}
        document["fingerprint"] = architecture.fingerprint
        document["stages"] = {
            part: {m: getattr(costs, m) for m in COST_METRICS} for part, costs in stages.items()
        }
        print_json(document)
        return
    print_table(
        ("part", "MACs", "parameters", "activations", "peak memory"),
        [
            (part, f"{c.macs:,}", f"{c.parameters:,}", f"{c.activations:,}", _bytes(c.memory_bytes))
            for part, c in [*stages.items(), ("total", total)]
        ],
        title=f"{name} at {architecture.resolution} px ({architecture.fingerprint[:12]})",
    )


def spaces(
    name: Annotated[str | None, typer.Argument(help="Print this one as YAML.")] = None,
    as_json: Json = False,
) -> None:
    """The spaces that can be searched, with their sizes; one of them as YAML to start from."""
    from search_spaces.spaces import SPACES, get_space

    if name is not None:
        from search_spaces.yaml_form import space_to_yaml

        typer.echo(space_to_yaml(get_space(name)), nl=False)
        return
    rows = [(s.name, s.size, len(s.decisions), s.description) for s in SPACES.values()]
    if as_json:
        keys = ("name", "size", "decisions", "description")
        print_json([dict(zip(keys, row)) for row in rows])
        return
    print_table(
        ("space", "networks", "decisions", "what it is"),
        [(n, f"{size:.3g}", decisions, text) for n, size, decisions, text in rows],
    )
    console.print("\nStart your own from one of them: nas spaces small_images > my_space.yaml")


def published(as_json: Json = False) -> None:
    """The papers' networks, with their costs and published accuracy."""
    from nas.cost import count
    from search_spaces.published import PUBLISHED

    rows: list[dict[str, Any]] = []
    for entry in PUBLISHED.values():
        costs = count(entry.architecture)
        rows.append(
            {
                "name": entry.name,
                "resolution": entry.architecture.resolution,
                "macs": costs.macs,
                "parameters": costs.parameters,
                "printed_macs": entry.printed_macs,
                "printed_parameters": entry.printed_parameters,
                "top1_percent": entry.top1,
                "source": entry.source,
                "note": entry.note,
            }
        )
    if as_json:
        print_json(rows)
        return
    print_table(
        ("name", "px", "MACs", "printed", "parameters", "printed", "top-1 %", "source"),
        [
            (
                r["name"],
                r["resolution"],
                quantity(r["macs"]),
                r["printed_macs"],
                quantity(r["parameters"]),
                r["printed_parameters"],
                r["top1_percent"],
                r["source"],
            )
            for r in rows
        ],
    )
    notes = [f"{r['name']}: {r['note']}" for r in rows if r["note"]]
    if notes:
        console.print("\nWhere print and count differ:\n  " + "\n  ".join(notes))


def doctor(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """What this machine has, and what to install for the rest."""
    from nas.jobs.doctor import examine

    findings = examine(store)
    if as_json:
        print_json(
            [{"what": f.what, "ok": f.ok, "found": f.found, "advice": f.advice} for f in findings]
        )
        return
    print_table(
        ("", "what", "found"), [("ok" if f.ok else "--", f.what, f.found) for f in findings]
    )
    for finding in findings:
        if finding.advice:
            console.print(f"\n{finding.what}: {finding.advice}")


def _bytes(value: int) -> str:
    return f"{value / 2**20:.2f} MiB"
