"""`edgematrix provision`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgematrix.cli.console import complain, plain, say, style
from edgematrix.cli.options import Duration, read_duration
from edgematrix.errors import UsageError

if TYPE_CHECKING:
    from edgematrix.config.provisioning import Provisioned
    from edgematrix.config.spec import MatrixSpec
    from edgematrix.identity.access_folder import AccessFolder
    from edgematrix.identity.registry import Registry

__all__ = ["EXAMPLE", "command"]

EXAMPLE = """edgematrix provision home.yaml --out access --server broker.local
edgematrix provision home.yaml --out access                          # again, after the matrix has changed
edgematrix provision home.yaml --out access --rotate pi-kitchen      # a new secret; the old one holds for a week
edgematrix provision home.yaml --out access --revoke anna            # at once
edgematrix provision home.yaml --out access --list
edgematrix provision home.yaml --out access --board home/shed/probe --serial /dev/ttyACM0    # what a board has to know, into it
edgematrix provision home.yaml --out access --board home/shed/probe --to probe               # the same, into a folder"""

_WEEK = "7d"
_NAMES_SHOWN = 8
_NEWEST_TLS = "1.3"


def command(  # noqa: PLR0913, PLR0917 - each is an option, and typer gives them by name
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="The matrix file.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where identities are kept. Whoever reads it is everybody.")],
    server: Annotated[
        list[str] | None,
        typer.Option("--server", metavar="NAME", help="The broker's name or address; again for more, the first is where clients look."),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option("--other", metavar="HOST[:PORT]", help="Another broker to go to when one is gone; again for more, - for none."),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="The broker's first port; 8883 at first.")] = None,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="PROFILE", help="For which addresses are written: mosquitto, nats, nats-cluster.")
    ] = None,
    tls: Annotated[
        str | None, typer.Option("--tls", metavar="VERSION", help="The oldest TLS that the broker takes: 1.3, or 1.2 for old boards.")
    ] = None,
    certificates: Annotated[bool, typer.Option("--certificates", help="Everybody new gets a certificate, not a secret.")] = False,
    certificate: Annotated[
        list[str] | None, typer.Option("--certificate", metavar="NAME", help="This one gets a certificate; again for more.")
    ] = None,
    days: Annotated[int, typer.Option("--days", metavar="N", help="How long new certificates hold.")] = 365,
    rotate: Annotated[
        list[str] | None, typer.Option("--rotate", metavar="NAME", help="Make a new credential; the old one holds for --overlap.")
    ] = None,
    overlap: Annotated[
        Duration, typer.Option("--overlap", metavar="DURATION", parser=read_duration, help="How long a replaced one holds.")
    ] = _WEEK,  # type: ignore[assignment]
    revoke: Annotated[
        list[str] | None, typer.Option("--revoke", metavar="NAME", help="Let nobody in by this name any more; NAME~2: by this credential.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Only show who has which credentials, until when.")] = False,
    board: Annotated[
        str | None, typer.Option("--board", metavar="PATH", help="Write what this board has to know, with --serial or --to.")
    ] = None,
    serial: Annotated[str | None, typer.Option("--serial", metavar="LINE", help="The board's serial line, as mpremote takes it.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="A folder for the board's files.")] = None,
) -> None:
    """Give each host, device, operator and client of a matrix an identity of its own, and the broker its users and access list.

    The first time it makes a certificate authority and everybody's secret or certificate; again, it follows the matrix: new ones
    are added, those that are gone are shut out, and the others keep what they have. Nothing secret is printed.
    """
    from edgematrix.config.opening import open_matrix  # noqa: PLC0415 - help needs none of it
    from edgematrix.config.provisioning import ProvisionWish, provision  # noqa: PLC0415
    from edgematrix.identity.access_folder import AccessFolder  # noqa: PLC0415

    folder, now = AccessFolder(out), datetime.now(UTC)
    if (board is None) != (serial is None and to is None) or (serial is not None and to is not None):
        raise UsageError("a board is written to with --board PATH and --serial LINE, or --to DIR", where="--board")
    if show:
        _show(folder, matrix, now)
        return
    wish = ProvisionWish(
        servers=tuple(server or ()),
        others=tuple(other or ()),
        own_name=_own_name(),
        port=port,
        tls=tls,
        broker=broker,
        days=days,
        overlap=timedelta(microseconds=overlap.us),
        all_certificates=certificates,
        certificates=tuple(certificate or ()),
        rotate=tuple(rotate or ()),
        revoke=tuple(revoke or ()),
    )
    spec = open_matrix(matrix, imports=False).spec
    done = provision(spec, folder, wish, now)
    _tell(done, folder)
    if board is not None:
        _bring(spec, board, folder, serial, to)
        if done.registry.tls == _NEWEST_TLS:
            complain(style("! the broker takes TLS 1.3 alone, and MicroPython speaks 1.2: --tls 1.2", fg="yellow"))


def _show(folder: AccessFolder, matrix: Path, now: datetime) -> None:
    """Only show who there is."""
    from edgematrix.identity.registry import read_registry  # noqa: PLC0415 - as above

    if not folder.exists:
        raise UsageError("there are no identities", where=str(folder.path), remedy=f"edgematrix provision {matrix} --out {folder.path}")
    for line in _table(read_registry(folder.registry), now):
        say(line)


def _bring(spec: MatrixSpec, board: str, folder: AccessFolder, serial: str | None, to: Path | None) -> None:
    """Write the files of a board where they are wanted."""
    from edgematrix.config.device_files import device_files  # noqa: PLC0415 - few provision a board

    files = device_files(spec, board, folder)
    if serial is not None:
        from firmware_bridge.board_line import write_files  # noqa: PLC0415 - help needs none of it

        write_files(serial, files)
    elif to is not None:
        from edgematrix.identity.secret_file import make_folder, write_secret  # noqa: PLC0415

        make_folder(to)
        for name, content in files.items():
            write_secret(to / name, content)
    say(f"{board} has {', '.join(files)}{'' if to is None else f' in {to}'}")


def _tell(done: Provisioned, folder: AccessFolder) -> None:
    """Say what was done, and what is to be done with it."""
    for line in chain(_changes(done, folder), _next_steps(done, folder)):
        say(line)
    for warning in done.warnings:
        complain(style(f"! {warning}", fg="yellow"))


def _changes(done: Provisioned, folder: AccessFolder) -> Iterator[str]:
    registry = done.registry
    if done.is_new:
        yield f"made an authority for {registry.matrix} in {folder.path}, which holds for ten years: keep {folder.authority_key} safe"
    if done.added:
        yield f"new: {_names([entry.name for entry in done.added])}"
    for entry, until in done.rotated:
        is_overlap = any(one.until == until for one in entry.generations)
        yield f"new for {entry.name}" + (
            f"; the old one holds until {until:%Y-%m-%d %H:%M} UTC: run this again after that" if is_overlap else ""
        )
    if done.revoked:
        yield f"revoked: {_names(done.revoked)}"
    if done.removed:
        yield f"gone from the matrix, and shut out: {_names([entry.name for entry in done.removed])}"
    for name in done.shut_out:
        yield f"{name} cannot come in: --rotate {name} makes a new credential"
    if done.moved:
        yield f"the broker is elsewhere now, in the addresses of {_names(done.moved)}"
    for path in done.left:
        yield f"{path} holds files that were not made here, and stays"


def _next_steps(done: Provisioned, folder: AccessFolder) -> Iterator[str]:
    registry = done.registry
    given = [*done.added, *(entry for entry, _ in done.rotated)]
    for entry in given[:_NAMES_SHOWN]:
        yield f"  {entry.role} {entry.name}: bring {folder.of(entry.role, entry.name)} there"
    if len(given) > _NAMES_SHOWN:
        yield f"  and {len(given) - _NAMES_SHOWN} more, each its own folder"
    if not (given or done.revoked or done.removed or done.moved):
        yield "nobody is new, and nobody is gone"
    yield f"the broker's files are in {folder.broker}:"
    if registry.broker != "nats":
        yield f"  edgematrix broker up {registry.broker} --access {folder.path}    # starts one; one that runs takes them over by itself"
    else:
        yield "  bring them to /etc/nats, and let nats-server read them again: nats-server --signal reload"
    if registry.broker == "mosquitto":
        yield f"  sudo install -o mosquitto -m 600 -Dt /etc/mosquitto/edgematrix {folder.broker}/*    # for one of the system"
        yield f"  sudo install -m 644 {folder.broker}/mosquitto.conf /etc/mosquitto/mosquitto.conf"
        yield "  sudo systemctl reload mosquitto    # restart, if mosquitto.conf has changed, or who is shut out is to go at once"


def _table(registry: Registry, now: datetime) -> Iterator[str]:
    """Who there is, a line for each credential."""
    from edgematrix.identity.registry import user_name  # noqa: PLC0415 - as above

    rows = [("NAME", "ROLE", "USER", "KIND", "MADE", "ENDS", "STATE")]
    for entry in registry.principals:
        for one in entry.generations:
            ends = [moment for moment in (one.ends, one.until) if moment is not None]
            day = f"{min(ends):%Y-%m-%d}" if ends else "never"
            rows.append((entry.name, entry.role, user_name(entry.name, one.number), one.kind, f"{one.made:%Y-%m-%d}", day, one.state(now)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield plain("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}"


def _own_name() -> str:
    """This machine's, as others find it by; empty if it could not stand in a certificate."""
    import re  # noqa: PLC0415 - placed with its only use
    import socket  # noqa: PLC0415

    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", name) else ""
