"""The entry point. A command's module is imported only if it is the one that was asked for, so that each starts fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from edgematrix.cli.help import CommandGroup, CommandWithExample, GroupWithExample
from edgematrix.errors import EdgeMatrixError, UsageError

__all__ = ["COMMANDS", "application", "main"]

COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("edgematrix.cli.init", "Make", "Make a new project that works at once."),
    "check": ("edgematrix.cli.check", "Make", "Find what is wrong in matrix files."),
    "graph": ("edgematrix.cli.graph", "Make", "Draw a matrix as a Mermaid flowchart."),
    "models": ("edgematrix.cli.models", "Make", "List, add, measure and quantize models; say sentences to agents."),
    "firmware": ("edgematrix.cli.firmware", "Make", "Pack, sign and push the programs of boards."),
    "simulate": ("edgematrix.cli.simulate", "Try", "Play a recording to a matrix in virtual time."),
    "test": ("edgematrix.cli.test", "Try", "Run scenarios, tests of a matrix in virtual time."),
    "run": ("edgematrix.cli.run", "Run", "Run a matrix, with a broker if it needs one."),
    "host": ("edgematrix.cli.host", "Run", "Run on this machine what is deployed to it; list hosts."),
    "deploy": ("edgematrix.cli.deploy", "Run", "Give the agents of a matrix to hosts."),
    "send": ("edgematrix.cli.send", "Run", "Send work to an agent of a running matrix."),
    "watch": ("edgematrix.cli.watch", "Run", "Show what travels on the bus."),
    "trace": ("edgematrix.cli.trace", "Run", "Show what fired, and why the rest did not."),
    "record": ("edgematrix.cli.record", "Run", "Record what is published, for simulate and replay."),
    "replay": ("edgematrix.cli.replay", "Run", "Publish what was recorded, at its pace or faster."),
    "voice": ("edgematrix.cli.voice", "Run", "Publish what a microphone hears, or a WAV file."),
    "acl": ("edgematrix.cli.acl", "Run", "Write the access list of a broker, which follows from the tree."),
    "provision": ("edgematrix.cli.provision", "Make", "Give everybody in a matrix an identity for the broker."),
    "broker": ("edgematrix.cli.broker", "Run", "Start a broker, or a cluster of them."),
    "bridge": ("edgematrix.cli.bridge", "Run", "Bring devices to the bus that speak something else."),
    "doctor": ("edgematrix.cli.doctor", "Run", "Look whether this machine has what is needed."),
    "approve": ("edgematrix.cli.approve", "Steer", "Answer what the agents of a running matrix ask people."),
    "audit": ("edgematrix.cli.audit", "Steer", "List what operators asked for, and verify that log."),
    "dead": ("edgematrix.cli.dead", "Steer", "List, show, retry or drop messages that could not be handled."),
    "cancel": ("edgematrix.cli.cancel", "Steer", "End a run, and the runs that it has begun."),
    "pause": ("edgematrix.cli.pause", "Steer", "Let an agent begin no more work."),
    "failback": ("edgematrix.cli.failback", "Steer", "Bring an agent back to the first choice of its hosts."),
    "resume": ("edgematrix.cli.resume", "Steer", "Let an agent that was paused work again."),
    "create": ("edgematrix.cli.create", "Steer", "Add an agent to a running matrix."),
    "duplicate": ("edgematrix.cli.duplicate", "Steer", "Add a copy of an agent."),
    "remove": ("edgematrix.cli.remove", "Steer", "Take an agent out."),
    "connect": ("edgematrix.cli.connect", "Steer", "Add an edge to a flow."),
    "disconnect": ("edgematrix.cli.disconnect", "Steer", "Take an edge out of a flow."),
}
"""Each command: its module, its heading in the help, its line there.

In the module, `command` is the function, or `SUBCOMMANDS` the commands of a group, and `EXAMPLE` what the help shows.
"""

_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it; for who is interrupted before there is anything to end in order."""

_EPILOG = """New here? `edgematrix init my-home` makes a project and tells what comes next.
`edgematrix COMMAND --help` shows examples."""


def application(arguments: Sequence[str]) -> typer.Typer:
    """The application as these arguments need it: the other commands are there by name only."""
    app = typer.Typer(
        name="edgematrix",
        cls=CommandGroup,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, (module, panel, summary) in COMMANDS.items():
        loaded = import_module(module) if name == wanted else None
        if loaded is not None and hasattr(loaded, "SUBCOMMANDS"):
            about = getattr(loaded, "HELP", summary)
            app.add_typer(loaded.SUBCOMMANDS, name=name, cls=GroupWithExample, help=about, rich_help_panel=panel, epilog=loaded.EXAMPLE)
            continue
        register = app.command(
            name,
            cls=CommandWithExample,
            short_help=summary,
            rich_help_panel=panel,
            epilog=loaded.EXAMPLE if loaded else None,
        )
        register(loaded.command if loaded else _not_loaded)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0 if all went well, 1 if what was asked for failed, 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if any(argument in COMMANDS for argument in given):
            from edgematrix.cli.logs import show_logs  # noqa: PLC0415 - help needs no log

            show_logs()
        application(given)(given, prog_name="edgematrix")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except EdgeMatrixError as error:
        from edgematrix.cli.finding import show_error  # noqa: PLC0415 - only who fails pays for it

        show_error(error)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _version(asked: bool) -> None:
    """Print the version and end, before anything else is looked at."""
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - it costs more than a command needs to start

        typer.echo(f"edgematrix {version('edgematrix')}")
        raise typer.Exit


def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)] = False,
) -> None:
    """A tree of cooperating agents over MQTT, from microcontrollers to servers, that can be tested."""


def _not_loaded() -> None:
    raise AssertionError("a command that was not asked for")
