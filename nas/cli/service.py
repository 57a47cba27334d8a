"""Commands of the service: serve, token create|list|revoke."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.options import DEFAULT_STORE, Json, StoreUrl, artifact_location, open_store
from nas.cli.output import console, errors, print_json, print_table
from nas.errors import InvalidRequestError


def register(app: typer.Typer) -> None:
    app.command()(serve)
    group = typer.Typer(help="Who may ask a server for what.", no_args_is_help=True)
    group.command()(create)
    group.command(name="list")(list_tokens)
    group.command()(revoke)
    app.add_typer(group, name="token")


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but loopback needs --auth.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 is any free one.", min=0, max=65535)] = 8000,
    auth: Annotated[
        bool, typer.Option("--auth", help="Ask for a token; see `nas token create`.")
    ] = False,
    data_root: Annotated[
        list[Path] | None,
        typer.Option("--data-root", help="Folder that jobs may take data from; may be repeated."),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option("--space", help="Space that jobs may search; may be repeated; default all."),
    ] = None,
    evaluator: Annotated[
        list[str] | None,
        typer.Option("--evaluator", help="training, table: what jobs may use; may be repeated."),
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster that runs the jobs.")
    ] = None,
    store_on_nodes: Annotated[
        str | None, typer.Option("--store-on-nodes", help="As for `nas submit`.")
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option("--host-name", help="Name that it is reached by; may be repeated."),
    ] = None,
    https: Annotated[
        bool, typer.Option("--https", help="It is reached by HTTPS, through a proxy.")
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            help="As query=30s, body=2Mi or exports=2; may be repeated; see docs/service.md.",
        ),
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log", help="json or text; by default text at a terminal.")
    ] = None,
    log_level: Annotated[
        str, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = "info",
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """The HTTP API and the page over a store."""
    from nas.server.logs import set_up_logs
    from nas.server.settings import Settings, limits_from

    limits = limits_from(limit or ())
    set_up_logs(log or ("text" if sys.stderr.isatty() else "json"), log_level)

    settings = Settings(
        store=store,
        artifacts=artifact_location(store),
        host=host,
        port=port,
        authentication=auth,
        data_roots=tuple(path.resolve() for path in data_root or ()),
        spaces=None if space is None else tuple(space),
        evaluators=tuple(evaluator or ("training",)),
        address=address,
        store_on_nodes=store_on_nodes,
        hosts=tuple(host_name or ()),
        secure=https,
        limits=limits,
    )
    from nas.server.listen import listen

    logger = logging.getLogger("nas.server")
    listen(
        settings,
        lambda url: logger.info(
            "Listening on %s; Ctrl-C ends it.", url, extra={"fields": {"url": url}}
        ),
    )


def create(
    scope: Annotated[str, typer.Option(help="read, submit or admin; each holds those before.")],
    name: Annotated[str, typer.Option(help="Whose it is, for listings and logs.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="Until it expires; without, it doesn't.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Make a token; it is shown this once."""
    from nas.server.auth import SCOPES, digest_of, make_token

    if scope not in SCOPES:
        raise InvalidRequestError(f"`--scope` must be {', '.join(SCOPES)}, but got {scope!r}.")
    token = make_token()
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    row = open_store(store, create=True).create_token(
        digest_of(token), name=name or scope, scopes=(scope,), expires_at=expires
    )
    if as_json:
        print_json({"id": row.id, "token": token, "scope": scope, "expires_at": expires})
        return
    until = "never" if expires is None else expires.strftime("%Y-%m-%d")
    errors.print(f"Token {row.id} ({scope}, expires {until}). It is not shown again:")
    console.print(token)


def list_tokens(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """The tokens of the store, without what is secret."""
    rows = open_store(store).list_tokens()
    if as_json:
        print_json([{k: v for k, v in asdict(row).items() if k != "digest"} for row in rows])
        return
    print_table(
        ("token", "name", "scope", "made", "expires", "revoked"),
        [
            (
                row.id,
                row.name,
                ", ".join(row.scopes),
                *(
                    "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")
                    for at in (row.created_at, row.expires_at, row.revoked_at)
                ),
            )
            for row in rows
        ],
    )


def revoke(
    token: Annotated[str, typer.Argument(help="Its id, as `nas token list` says it.")],
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Make a token worthless from now on."""
    open_store(store).revoke_token(token)
    console.print(f"Token {token} is revoked.")
