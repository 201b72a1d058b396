"""The access list as commands of mosquitto's dynamic security plugin, and what makes a running broker equal to it.

The commands and answers are JSON, on `$CONTROL/dynamic-security/v1` (https://mosquitto.org/documentation/dynamic-security/; the
forms are those of 2.0, plugins/dynamic-security). Each principal has a role, `em:{matrix}:{principal}`, and each of its users is a
client with this role. What does not carry the matrix's prefix is somebody else's, and is left alone: clients that an administrator
made are given the role and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from edgematrix.access.grant import Access, Grants
from edgematrix.access.principal import Principal
from edgematrix.access.users import Users, with_users
from edgematrix.errors import StateError

__all__ = [
    "COMMAND_TOPIC", "RESPONSE_TOPIC", "Acl", "BrokerAccess", "Client", "Command", "commands", "differences", "in_parts", "of_broker",
    "questions", "role_questions", "wanted",
]  # fmt: skip

COMMAND_TOPIC = "$CONTROL/dynamic-security/v1"
RESPONSE_TOPIC = f"{COMMAND_TOPIC}/response"

_Item = TypeVar("_Item")

Command = dict[str, Any]
Acl = tuple[str, str]
"""The type of an ACL and its topic. All of ours allow, with priority 0."""

_PART_BYTES_MAX = 256 * 1024
"""Of one message of commands: below the `max_packet_size` of our broker profiles, which is 1 MiB."""
_ACLS_AT_ONCE = 1_000
"""What a command has at most, about 100 KiB; more are added to the role by commands of their own."""
_ROLES_ASKED_AT_ONCE = 5
_DEFAULTS = {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": True}
"""What holds for topics that no role speaks of. Giving up a subscription harms nobody."""


class Client(msgspec.Struct, frozen=True):
    """A user that the plugin knows. `mark` is its `textname`: of a client that we made the role, else something else."""

    mark: str = ""
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


class BrokerAccess(msgspec.Struct, frozen=True):
    """Roles, clients and defaults, as they are on a broker or as they should be."""

    roles: Mapping[str, frozenset[Acl]] = {}
    clients: Mapping[str, Client] = {}
    defaults: Mapping[str, bool] = {}


def wanted(matrix: str, principals: Iterable[Principal], users: Users | None = None) -> BrokerAccess:
    """What a broker should have for a matrix.

    Raises:
        ConfigError: two principals share a user name.
    """
    principals = list(principals)
    clients = {
        user: Client(role, frozenset({role})) for user, each in with_users(principals, users or {}) for role in (_role(matrix, each),)
    }
    return BrokerAccess({_role(matrix, each): _acls(each.grants) for each in principals}, clients, _DEFAULTS)


def commands(matrix: str, principals: Iterable[Principal], users: Users | None = None) -> list[Command]:
    """All that an empty broker has to be told. The same principals give the same list.

    Raises:
        ConfigError: two principals share a user name.
    """
    return differences(matrix, wanted(matrix, principals, users), BrokerAccess())


def differences(matrix: str, wish: BrokerAccess, found: BrokerAccess) -> list[Command]:
    """The commands that make `found` what `wish` says, in an order in which no command names what is not there yet.

    Whoever keeps the same grants is not mentioned: newer plugins disconnect the clients of a role that they change.
    """
    told: list[Command] = []
    if any(found.defaults.get(key) is not value for key, value in wish.defaults.items()):
        told.append({"command": "setDefaultACLAccess", "acls": [{"acltype": key, "allow": value} for key, value in wish.defaults.items()]})
    for name, acls in wish.roles.items():
        if name not in found.roles:
            told += _with_acls({"command": "createRole", "rolename": name}, acls)
        elif found.roles[name] != acls:
            told += _with_acls({"command": "modifyRole", "rolename": name}, acls)
    for name, client in wish.clients.items():
        told += _client(name, client, found.clients.get(name), _prefix(matrix))
    for name, client in sorted(found.clients.items()):
        if name not in wish.clients:
            told += _unwanted(name, client, _prefix(matrix))
    told += [
        {"command": "deleteRole", "rolename": name}
        for name in sorted(found.roles)
        if name.startswith(_prefix(matrix)) and name not in wish.roles
    ]
    return told


def in_parts(told: Iterable[Command]) -> Iterator[bytes]:
    """The commands as messages for `COMMAND_TOPIC`, each at most 256 KiB long unless one command is longer."""
    part: list[bytes] = []
    size = 0
    for command in told:
        text = msgspec.json.encode(command)
        if part and size + len(text) > _PART_BYTES_MAX:
            yield _message(part)
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield _message(part)


def questions() -> list[Command]:
    """What to ask a broker first: its roles by name, its clients, its defaults."""
    return [
        {"command": "listRoles", "verbose": False, "count": -1, "offset": 0},
        {"command": "listClients", "verbose": True, "count": -1, "offset": 0},
        {"command": "getDefaultACLAccess"},
    ]


def role_questions(matrix: str, answers: Iterable[Mapping[str, Any]]) -> list[list[Command]]:
    """What to ask then, in messages of their own: each role of the matrix, whose answers are large.

    Raises:
        StateError: an answer is not what the plugin answers.
    """
    names = [name for name in _data(answers, "listRoles", "roles") if _text(name).startswith(_prefix(matrix))]
    return [[{"command": "getRole", "rolename": name} for name in part] for part in _parts(names, _ROLES_ASKED_AT_ONCE)]


def of_broker(answers: Sequence[Mapping[str, Any]]) -> BrokerAccess:
    """What a broker has, by its answers to `questions` and `role_questions`.

    Raises:
        StateError: an answer is not what the plugin answers.
    """
    roles: dict[str, frozenset[Acl]] = {}
    for answer in answers:
        if answer.get("command") == "getRole" and "error" not in answer:
            role = _mapping(_mapping(answer.get("data")).get("role"))
            roles[_text(role.get("rolename"))] = frozenset(_found_acl(acl) for acl in _list(role.get("acls", [])))
    clients = {}
    for item in _data(answers, "listClients", "clients"):
        client = _mapping(item)
        own = frozenset(_text(_mapping(role).get("rolename")) for role in _list(client.get("roles", [])))
        groups = frozenset(_text(_mapping(group).get("groupname")) for group in _list(client.get("groups", [])))
        clients[_text(client.get("username"))] = Client(_text(client.get("textname", "")), own, groups)
    defaults = {
        _text(_mapping(acl).get("acltype")): bool(_mapping(acl).get("allow")) for acl in _data(answers, "getDefaultACLAccess", "acls")
    }
    return BrokerAccess(roles, clients, defaults)


def _prefix(matrix: str) -> str:
    return f"em:{matrix}:"


def _role(matrix: str, principal: Principal) -> str:
    return f"{_prefix(matrix)}{principal.name}"


def _acls(grants: Grants) -> frozenset[Acl]:
    found: set[Acl] = set()
    for grant in grants:
        if grant.access is Access.WRITE:
            found.add(("publishClientSend", grant.filter))
        else:
            wild = any(level in ("+", "#") for level in grant.filter.split("/"))
            found |= {("publishClientReceive", grant.filter), ("subscribePattern" if wild else "subscribeLiteral", grant.filter)}
    return frozenset(found)


def _with_acls(command: Command, acls: frozenset[Acl]) -> Iterator[Command]:
    first, *more = list(_parts(sorted(acls), _ACLS_AT_ONCE)) or [[]]
    yield command | {"acls": [_acl(acl) for acl in first]}
    yield from ({"command": "addRoleACL", "rolename": command["rolename"], **_acl(acl)} for part in more for acl in part)


def _acl(acl: Acl) -> dict[str, Any]:
    return {"acltype": acl[0], "topic": acl[1], "priority": 0, "allow": True}


def _client(name: str, client: Client, found: Client | None, prefix: str) -> Iterator[Command]:
    if found is None:
        yield {
            "command": "createClient",
            "username": name,
            "textname": client.mark,
            "roles": [{"rolename": role} for role in sorted(client.roles)],
        }
        return
    for role in sorted(client.roles - found.roles):
        yield {"command": "addClientRole", "username": name, "rolename": role}
    for role in sorted(found.roles - client.roles):
        if role.startswith(prefix):
            yield {"command": "removeClientRole", "username": name, "rolename": role}


def _unwanted(name: str, client: Client, prefix: str) -> Iterator[Command]:
    ours = sorted(role for role in client.roles if role.startswith(prefix))
    if client.mark.startswith(prefix) and len(ours) == len(client.roles) and not client.groups:
        yield {"command": "deleteClient", "username": name}
        return
    yield from ({"command": "removeClientRole", "username": name, "rolename": role} for role in ours)


def _parts(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    yield from (items[first : first + size] for first in range(0, len(items), size))


def _message(part: Sequence[bytes]) -> bytes:
    return b'{"commands":[' + b",".join(part) + b"]}"


def _found_acl(value: object) -> Acl:
    """An ACL of a role that is there. One that is not as ours are has a type that ours never have, so that it differs."""
    acl = _mapping(value)
    kind, topic = _text(acl.get("acltype")), _text(acl.get("topic"))
    return (kind if acl.get("allow") is True and acl.get("priority", 0) == 0 else f"not {kind}", topic)


def _data(answers: Iterable[Mapping[str, Any]], command: str, key: str) -> list[Any]:
    for answer in answers:
        if answer.get("command") == command:
            if "error" in answer:
                raise StateError(f"the dynamic security plugin refuses {command}: {answer['error']}")
            return _list(_mapping(answer.get("data")).get(key, []))
    raise StateError(f"the dynamic security plugin does not answer {command}")


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise StateError(f"the dynamic security plugin answers {str(value)[:80]!r}, expected an object")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise StateError(f"the dynamic security plugin answers {str(value)[:80]!r}, expected a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise StateError(f"the dynamic security plugin answers {str(value)[:80]!r}, expected a text")
    return value
