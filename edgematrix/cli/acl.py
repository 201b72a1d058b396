"""`edgematrix acl`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edgematrix.access.difference import Difference
from edgematrix.access.dynamic_security import BrokerAccess, Command, commands, wanted
from edgematrix.access.mosquitto import acl_file
from edgematrix.access.mosquitto_list import mosquitto_differences
from edgematrix.access.principal import Principal
from edgematrix.access.transition import together
from edgematrix.access.users import Users
from edgematrix.cli.access_text import access_lines
from edgematrix.cli.console import complain, plain, say, style, write
from edgematrix.config.authority import principals_of
from edgematrix.config.opening import open_matrix
from edgematrix.errors import StateError, UsageError

__all__ = ["EXAMPLE", "Broker", "Form", "command"]

EXAMPLE = """edgematrix acl home.yaml > edgematrix.acl
edgematrix acl home.yaml --list                          # who may do what, and why
edgematrix acl home.yaml --check edgematrix.acl          # what the file says otherwise
edgematrix acl home.yaml --broker nats > access.conf
edgematrix acl home.yaml --apply mqtt://admin:password@broker
edgematrix acl home.yaml --with old.yaml > edgematrix.acl  # while home.yaml is deployed in the place of old.yaml"""


class Broker(StrEnum):
    """Brokers whose access lists are written."""

    MOSQUITTO = "mosquitto"
    NATS = "nats"


class Form(StrEnum):
    """Ways to tell a broker."""

    FILE = "file"
    COMMANDS = "commands"


def command(
    matrix: Annotated[Path, typer.Argument(metavar="MATRIX", help="The matrix file.")],
    broker: Annotated[Broker, typer.Option("--broker", help="For which broker it is written.")] = Broker.MOSQUITTO,
    form: Annotated[Form, typer.Option("--form", help="A file, or commands of mosquitto's dynamic security plugin.")] = Form.FILE,
    listed: Annotated[bool, typer.Option("--list", help="Tell who may do what, and why.")] = False,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Tell what an access list that is in use says otherwise.")
    ] = None,
    apply: Annotated[
        str | None, typer.Option("--apply", metavar="URL", help="Bring a running mosquitto with the plugin to it, as an administrator.")
    ] = None,
    other: Annotated[
        Path | None, typer.Option("--with", metavar="FILE", help="Grant what another version of the matrix needs too, while one gives way.")
    ] = None,
    access: Annotated[
        Path | None, typer.Option("--access", metavar="DIR", help="The folder of `provision`: whose credentials are valid.")
    ] = None,
) -> None:
    """Write the access list of a broker, which follows from the tree.

    Hosts, devices that connect by themselves, operators and clients of other systems get what the matrix gives them, and nothing
    else. Without --access each has one user, of its own name. With --check the exit code is 1 if the file says otherwise.
    """
    if sum((listed, check is not None, apply is not None)) > 1:
        raise UsageError("--list, --check and --apply are three questions", remedy="ask one at a time")
    if broker is Broker.NATS and (apply is not None or form is Form.COMMANDS):
        raise UsageError("the commands are those of mosquitto's plugin; NATS reads a file", remedy="edgematrix acl MATRIX --broker nats")
    spec = open_matrix(matrix, imports=False).spec
    principals = principals_of(spec)
    if other is not None:
        principals = together(principals, principals_of(open_matrix(other, imports=False).spec))
    users, passwords = _identities(access, broker)
    if listed:
        for line in access_lines(principals, users):
            say(line)
    elif check is not None:
        _check(check, _compared(check, broker, principals, users))
    elif apply is not None:
        _apply(apply, spec.matrix, wanted(spec.matrix, principals, users))
    elif form is Form.COMMANDS:
        told = msgspec.json.encode({"commands": commands(spec.matrix, principals, users)})
        write(msgspec.json.format(told, indent=1).decode() + "\n")
    elif broker is Broker.NATS:
        from edgematrix.access.nats import authorization  # noqa: PLC0415 - mosquitto is the usual one

        write(authorization(principals, users, passwords))
    else:
        write(acl_file(principals, users))


def _identities(access: Path | None, broker: Broker) -> tuple[Users, Mapping[str, str]]:
    """The users of those whose credentials are valid, and what NATS has to know of their secrets."""
    if access is None:
        return {}, {}
    from edgematrix.identity.access_folder import AccessFolder  # noqa: PLC0415 - for who has made identities
    from edgematrix.identity.registry import Kind, read_registry  # noqa: PLC0415

    registry, now = read_registry(AccessFolder(access).registry), datetime.now(UTC)
    users = registry.users(now)
    if broker is Broker.MOSQUITTO:
        return users, {}
    live = list(registry.live(now))
    if any(one.kind is Kind.CERTIFICATE for _, _, one in live):
        users = {name: tuple(f"CN={user}" for user in found) for name, found in users.items()}
    return users, {user: one.nats for user, _, one in live if one.kind is Kind.SECRET}


def _compared(file: Path, broker: Broker, principals: Sequence[Principal], users: Users) -> list[Difference]:
    try:
        text = file.read_bytes().decode()  # line ends as they are: brokers do not read them as Python does
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=str(file)) from None
    if broker is Broker.MOSQUITTO:
        return mosquitto_differences(principals, users, text)
    from edgematrix.access.nats_list import nats_differences  # noqa: PLC0415 - mosquitto is the usual one

    try:
        return nats_differences(principals, users, text)
    except StateError as error:
        raise StateError(error.what, where=str(file), remedy=error.remedy) from None


def _check(file: Path, differences: Sequence[Difference]) -> None:
    for difference in differences:
        place = f"{file}:{difference.line}" if difference.line else str(file)
        complain(f"{style(plain(place), bold=True)}: {plain(difference.what)}")
    if differences:
        count = f"{len(differences)} difference{'' if len(differences) == 1 else 's'}"
        complain(style(f"✗ {count}", fg="red"))
        complain("  → write it again: edgematrix acl MATRIX")
        raise typer.Exit(1)
    say(style("✓ it says what the matrix says", fg="green"))


def _apply(url: str, matrix: str, wish: BrokerAccess) -> None:
    from edgematrix.cli.broker_access import apply_access  # noqa: PLC0415 - who writes a file needs no connection

    told = asyncio.run(apply_access(url, matrix, wish))
    if not told:
        say(style("✓ the broker has it already", fg="green"))
        return
    for name, count in Counter(_told(each) for each in told).items():
        say(name if count == 1 else f"{name} ({count} times)")
    say(style("✓ applied", fg="green"))
    made = [each["username"] for each in told if each["command"] == "createClient"]
    if made:
        say(f"  {len(made)} of the users are new to the plugin: their certificates or the password_file prove who they are")


def _told(each: Command) -> str:
    subject = each.get("username") or each.get("rolename")
    return plain(f"{each['command']} {subject}" if subject else each["command"])
