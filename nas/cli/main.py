"""The `nas` command: subcommands by group, and what every error becomes."""

from __future__ import annotations

import os
import sys

import typer

from cluster.errors import ClusterError, WrongClusterError
from nas.cli import bridge, cluster, database, facts, jobs, models, scale, service, weights
from nas.errors import InvalidRequestError, NasError
from search_spaces.errors import SearchSpaceError

app = typer.Typer(
    name="nas",
    help="Find efficient image networks and grow them into families.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


# light: a command imports what it needs
for _module in (jobs, cluster, scale, models, facts, weights, bridge, database, service):
    _module.register(app)


# typer brings its own copy of click; this is the base of its errors about arguments
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 it ran and failed, 2 the request was wrong."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; every expected error is one sentence."""
    try:
        status = app(arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except _UsageError as error:
        return _say(error.format_message(), 2)  # type: ignore[attr-defined]
    except typer.Exit as end:
        return end.exit_code
    except (InvalidRequestError, SearchSpaceError, WrongClusterError) as error:
        return _say(str(error), 2)
    except (NasError, ClusterError) as error:
        return _say(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        return _say("Stopped.", 130)
    except BrokenPipeError:  # `nas models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _say(message: str, status: int) -> int:
    print(f"nas: {message}", file=sys.stderr)
    return status
