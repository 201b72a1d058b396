"""`edgematrix broker`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.help import CommandWithExample
from edgematrix.cli.run_file import FOLDER
from edgematrix.runtime.broker_node import BrokerEvent
from edgematrix.runtime.broker_profile import Profile, load_profile, load_profiles
from edgematrix.runtime.broker_set import LOOPBACK, BrokerSet, BrokerWish
from edgematrix.runtime.capabilities import read_profile

__all__ = ["EXAMPLE", "SUBCOMMANDS"]

EXAMPLE = """edgematrix broker list                 # what there is to choose from
edgematrix broker up mosquitto         # start one, until Ctrl-C
edgematrix broker up nats-cluster      # three nodes, of which any one may be gone
edgematrix broker show rabbitmq        # a configuration to copy"""

SUBCOMMANDS = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_ProfileArgument = Annotated[str, typer.Argument(metavar="PROFILE", help="One of `edgematrix broker list`.")]


@SUBCOMMANDS.command("list", cls=CommandWithExample, epilog="edgematrix broker list")
def show_list() -> None:
    """List the brokers that there are to choose from."""
    profiles = load_profiles().values()
    width = max(len(profile.name) for profile in profiles)
    for profile in profiles:
        say(f"{profile.name:{width}}  {profile.about}")


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Print a configuration, to copy.",
    epilog="edgematrix broker show rabbitmq\nedgematrix broker show nats-cluster > nats.conf",
)
def show(profile: _ProfileArgument) -> None:
    """Print a profile's configuration, to copy. What stands between @ is to be filled in; `broker up` does it by itself."""
    for file, belongs in load_profile(profile).configurations.items():
        if belongs:
            say(f"# --- {belongs}")
        say(read_profile(file).rstrip("\n"))


@SUBCOMMANDS.command(
    cls=CommandWithExample,
    short_help="Start brokers, and keep them running until Ctrl-C.",
    epilog="""edgematrix broker up mosquitto
edgematrix broker up mosquitto --listen 0.0.0.0 --access access    # TLS, identities and access list of `edgematrix provision`
edgematrix broker up mosquitto-bridge --only edge --centre mqtt://edge_1:secret@centre.example
edgematrix broker up nats-cluster --port 1883""",
)
def up(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    profile: _ProfileArgument,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Where what they hold is kept. Default: .edgematrix/brokers/PROFILE.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", help="The first one's port, the others follow. Default: free ones, from then on kept."),
    ] = None,
    listen: Annotated[str, typer.Option("--listen", metavar="IP", help="This machine's address for clients; 0.0.0.0: any.")] = LOOPBACK,
    users: Annotated[
        Path | None, typer.Option("--users", metavar="FILE", help="Who may come in, in the broker's own form (see the profile's page).")
    ] = None,
    access: Annotated[
        Path | None, typer.Option("--access", metavar="DIR", help="TLS, identities and access list, as `edgematrix provision` made them.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without TLS and identities all the same.")
    ] = False,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Whoever reaches the port may come in.")] = False,
    only: Annotated[str | None, typer.Option("--only", metavar="NODE", help="Only this side of a bridge.")] = None,
    centre: Annotated[
        str | None, typer.Option("--centre", metavar="URL", help="Where an edge that is started alone is bridged to.")
    ] = None,
) -> None:
    """Start the brokers of a profile and keep them running until Ctrl-C: one that dies is started again."""
    chosen = load_profile(profile)
    folder = state or Path(FOLDER) / "brokers" / chosen.name
    wish = BrokerWish(
        port=port, only=only, centre=centre, listen=listen, users=users, anonymous=anonymous, access=access, insecure=insecure
    )
    brokers = BrokerSet(chosen, folder, wish, observer=_tell)
    if wish.danger:
        complain(style(f"! {wish.danger}", fg="red"))
    asyncio.run(_run(chosen, brokers))


async def _run(profile: Profile, brokers: BrokerSet) -> None:
    """Run them until a signal comes; a second one does not keep them from writing what they hold."""
    loop, running = asyncio.get_running_loop(), asyncio.create_task(_keep_up(profile, brokers))
    asked = False

    def end() -> None:
        nonlocal asked
        if not asked:
            asked = True
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _keep_up(profile: Profile, brokers: BrokerSet) -> None:
    async with brokers:
        for node in brokers.nodes:
            say(f"{node.name}: {node.program.kind} on {node.scheme}://{node.place}, process {node.pid}, log {node.log_path}")
        for name, url in brokers.urls.items():
            if brokers.identities is None:
                say(f"{name} is up: edgematrix run MATRIX --broker {url}")
            else:
                say(f"{name} is up: edgematrix host {brokers.identities.example}")
        complain(style(f"Ctrl-C ends it; {profile.page} tells more", dim=True))
        await asyncio.get_running_loop().create_future()


def _tell(event: BrokerEvent) -> None:
    complain(plain(f"{event.what.replace('_', ' ')}: {event.detail}"))
