"""`edgematrix audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.audit_log import AuditLog, heads_on, matches
from edgematrix.cli.audit_text import entry_lines, verdict_line
from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.display import json_text
from edgematrix.cli.help import CommandWithExample
from edgematrix.cli.options import JsonOption, RootOption
from edgematrix.cli.run_file import FOLDER
from edgematrix.errors import BusError
from edgematrix.protocol.topic import DEFAULT_ROOT

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix audit list --user anna          # what anna asked for, newest first
edgematrix audit verify                    # whether the log is as it was written
edgematrix audit verify --broker @anna/broker.url   # and as long as its host said on the bus"""

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_LAST_MAX = 1_000_000

_Files = Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Files of one log, oldest first, in place of --state.")]
_StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", help="The folder where the host keeps its states.")]


@SUBCOMMANDS.command(
    "list",
    cls=CommandWithExample,
    short_help="List what operators asked for, newest first.",
    epilog="edgematrix audit list\nedgematrix audit list --user anna --path home/hall --last 10\nedgematrix audit list --json | jq .reason",
)
def show_list(
    files: _Files = None,
    state: _StateOption = Path(FOLDER),
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="What this operator asked for alone.")] = None,
    path: Annotated[str | None, typer.Option("--path", metavar="PATH", help="About an agent and what is in it alone.")] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=_LAST_MAX, help="How many are shown.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what operators asked of a host, and what came of it, newest first.

    It does not say whether the log is whole: `audit verify` does.
    """
    log = AuditLog.of(files, state)
    orders = [order for order in log.orders() if matches(order, user, path)]
    for order in orders[: -last - 1 : -1]:
        if as_json:
            say(json_text(order.as_data()))
        else:
            for line in entry_lines(order):
                say(line)
    if not orders and not as_json:
        say("no orders")
    if len(orders) > last:
        complain(style(f"{len(orders) - last} older ones are kept too", dim=True))


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Find whether a log was changed, or its end cut off.",
    epilog="edgematrix audit verify\nedgematrix audit verify --state /var/lib/edgematrix/pi --broker mqtt://192.168.1.10",
)
def verify(
    files: _Files = None,
    state: _StateOption = Path(FOLDER),
    broker: Annotated[
        str | None, typer.Option("--broker", "--url", metavar="URL", help="Compare it with what its host said on this broker.")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find whether a log was changed: each edit, removal, insertion or other order.

    With --broker also whether its end was cut off, or all of it was written anew. The exit code is 1 if something is wrong.
    """
    log = AuditLog.of(files, state)
    verdict = log.verify()
    if verdict.trouble is None and broker is not None:
        heads = heads_on(broker, root or DEFAULT_ROOT)
        head = heads.get(log.host)
        if head is None:
            said = ", ".join(map(plain, sorted(heads))) or "no host"
            raise BusError(f"{log.host or 'a host'} has said nothing of its audit log there", remedy=f"there are heads of {said}")
        verdict = log.verify(head)
    if as_json:
        trouble = (
            None if verdict.trouble is None else {"where": log.place(verdict.trouble), "n": verdict.trouble.n, "what": verdict.trouble.what}
        )
        told = {"ok": trouble is None, "host": log.host, "entries": verdict.count, "first": verdict.first}
        say(json_text({**told, "n": verdict.head.n, "hash": verdict.head.hash, "trouble": trouble}))
    else:
        say(verdict_line(verdict, log))
    if verdict.trouble is not None:
        raise typer.Exit(1)
