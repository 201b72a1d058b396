"""`edgematrix host`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, say
from edgematrix.cli.help import CommandWithExample
from edgematrix.cli.options import JsonOption, RootOption
from edgematrix.errors import PathError, UsageError
from edgematrix.protocol.path import check_name
from edgematrix.protocol.topic import DEFAULT_ROOT

__all__ = ["EXAMPLE", "HELP", "SUBCOMMANDS"]

EXAMPLE = """edgematrix host --name pi-kitchen --broker mqtt://192.168.1.10
edgematrix host --name server --broker mqtts://server@broker --label big --code agents
sudo edgematrix host --name pi-kitchen --broker mqtt://192.168.1.10 --install
edgematrix host list --broker mqtt://192.168.1.10"""

HELP = """Run a part of a matrix on this machine: whatever `edgematrix deploy` gives to it.

It waits until it is given agents, follows each further deployment while it runs, and starts from the last one when the broker
is away. Nothing else needs to be on this machine, but what its agents need."""

_STATE = Path(".edgematrix")

SUBCOMMANDS = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)

_Broker = typer.Option("--broker", "--url", metavar="URL", envvar="EDGEMATRIX_BROKER", help="The broker that all hosts reach.")


@SUBCOMMANDS.callback()
def run(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    context: typer.Context,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="This host's name; without it, the machine's.")] = None,
    broker: Annotated[str | None, _Broker] = None,
    root: RootOption = None,
    matrix: Annotated[
        str | None, typer.Option("--matrix", metavar="NAME", help="The matrix that it runs; without it, the first that gives it agents.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="LABEL", help="What agents may need; again for more.")] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", metavar="NAME", help="What is plugged into this machine; again for more.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="MODULE", help="An installed module that agents may come from.")
    ] = None,
    code: Annotated[Path | None, typer.Option("--code", metavar="DIR", help="A folder of modules that agents may come from.")] = None,
    state: Annotated[Path | None, typer.Option("--state", metavar="DIR", help="Where states are kept.", show_default=False)] = None,
    secrets: Annotated[
        Path | None, typer.Option("--secrets", metavar="DIR", help="A folder with one file for each secret.", show_default=False)
    ] = None,
    install: Annotated[bool, typer.Option("--install", help="Write a systemd unit that runs this host, and end.")] = False,
    unit_dir: Annotated[Path, typer.Option("--unit-dir", metavar="DIR", help="Where the unit is written.")] = Path("/etc/systemd/system"),
) -> None:
    """Run a host, where no other command follows."""
    if context.invoked_subcommand is not None:
        return
    from edgematrix.cli.hosting import Wanted, install_unit, run_host  # noqa: PLC0415 - `host list` needs none of it
    from edgematrix.config.launch import local_name  # noqa: PLC0415

    try:
        own = local_name() if name is None else check_name(name, "host")
    except PathError as error:
        raise UsageError(error.what, where="--name", remedy=error.remedy or "give it a name with --name") from None
    if broker is None:
        raise UsageError("the broker is missing", where="--broker", remedy="--broker mqtt://192.168.1.10")
    wanted = Wanted(
        name=own,
        broker=broker,
        root=root or DEFAULT_ROOT,
        matrix=matrix or "",
        labels=tuple(label or ()),
        devices=tuple(device or ()),
        allowed=tuple(allow or ()),
        code=code,
        state=state,
        secrets=secrets,
    )
    wanted.check()
    if install:
        for line in install_unit(wanted, unit_dir):
            say(line)
        return
    asyncio.run(run_host(wanted, state or _STATE, complain))


@SUBCOMMANDS.command(
    "list",
    cls=CommandWithExample,
    short_help="Show which hosts there are, and what they run.",
    epilog="edgematrix host list --broker mqtt://192.168.1.10\nedgematrix host list --json | jq -r 'select(.load > 1) | .name'",
)
def show_list(broker: Annotated[str | None, _Broker] = None, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Show which hosts there are, and what they run.

    Without --broker it is the bus of the run in this folder.
    """
    from edgematrix.cli.host_list import list_hosts  # noqa: PLC0415 - a host needs none of it
    from edgematrix.cli.target import find_target  # noqa: PLC0415

    asyncio.run(list_hosts(find_target(broker, root), as_json=as_json))
