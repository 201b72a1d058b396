"""Reads the `authorization` of a nats-server, and compares it with the access list of a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgematrix.access.difference import Difference, FoundList, FoundUser, compared
from edgematrix.access.grant import Access
from edgematrix.access.nats import CONNECTION_TYPES, denied_to_wildcards, permitted
from edgematrix.access.nats_text import Value, read_configuration
from edgematrix.access.principal import Principal
from edgematrix.access.users import Users
from edgematrix.errors import StateError

__all__ = ["nats_differences", "read_authorization"]

_SIDES = {"publish": Access.WRITE, "subscribe": Access.READ}
_KEYS = frozenset({"users", "timeout"})
_KEYS_OF_USER = frozenset({"user", "username", "password", "pass", "allowed_connection_types", "permissions"})
_KEYS_OF_PERMISSIONS = frozenset({"publish", "pub", "subscribe", "sub"})
_KEYS_OF_SIDE = frozenset({"allow", "deny"})
_ODD_AT_TOP = frozenset({"accounts", "no_auth_user", "operator", "system_account", "trusted", "trusted_keys", "resolver", "include"})
_ODD_BELOW = frozenset({"no_auth_user", "include"})
"""In a block for a kind of connection, such as `mqtt`."""


def nats_differences(principals: Iterable[Principal], users: Users, text: str) -> list[Difference]:
    """What the block grants too much, and what it lacks.

    Raises:
        StateError: the file is no configuration of nats-server, or has no `authorization`.
        TopicError: NATS has no subject for a filter of the matrix.
    """
    return compared(principals, users, read_authorization(text), lambda principal, access: permitted(principal.grants, access), _covers)


def read_authorization(text: str) -> FoundList:
    """What a configuration grants to whom; what it says beside that is odd.

    Raises:
        StateError: it is no configuration of nats-server, or has no `authorization`.
    """
    top = read_configuration(text)
    if "authorization" not in top:
        raise StateError("there is no `authorization` in it", remedy="name the file that `edgematrix acl --broker nats` wrote")
    found = FoundList()
    for key, value in top.items():
        below = [each for each in value.value if each.lower() in _ODD_BELOW] if isinstance(value.value, dict) else []
        if key.lower() in _ODD_AT_TOP or below or (key.lower() == "authorization" and key != "authorization"):
            name = f"{key}.{below[0]}" if below else key
            found.oddities[value.line] = f"{name!r} lets others in, which is not compared"
    block = _known(found, "authorization", top["authorization"], _KEYS, "lets others in, or gives them more")
    for item in _list(block.get("users", Value([], 0))):
        _user(found, item)
    return found


def _known(found: FoundList, name: str, value: Value, known: frozenset[str], what: str) -> dict[str, Value]:
    """The keys of a block. Others are odd: nats-server reads keys in any case, and has several names for some."""
    keys = _map(value)
    for key, below in keys.items():
        if key not in known:
            found.oddities[below.line] = f"{name}.{key[:80]} {what}"
    return keys


def _user(found: FoundList, item: Value) -> None:
    keys = _known(found, "a user's", item, _KEYS_OF_USER, "may give more, and is not compared")
    name = keys.get("user") or keys.get("username")
    if name is None:
        found.oddities[item.line] = "a user without a name"
        return
    if _text(name) in found.users:
        found.oddities[name.line] = f"{_text(name)!r} stands there twice"
        return
    user = found.users[_text(name)] = FoundUser(name.line)
    types = {_text(kind) for kind in _list(keys["allowed_connection_types"])} if "allowed_connection_types" in keys else {"STANDARD"}
    if not types <= set(CONNECTION_TYPES):
        found.oddities[name.line] = f"{_text(name)!r} may come in over other ways than MQTT: allowed_connection_types is not MQTT alone"
    if "permissions" not in keys:
        user.everything = True
        return
    sides = _known(found, "permissions", keys["permissions"], _KEYS_OF_PERMISSIONS, f"gives {_text(name)!r} more")
    for side, access in _SIDES.items():
        both = [sides[key] for key in (side, side[:3]) if key in sides]
        if len(both) > 1:
            found.oddities[both[1].line] = f"permissions.{side[:3]} says again what permissions.{side} says"
        for value in both:
            if isinstance(value.value, dict):
                _known(found, f"permissions.{side}", value, _KEYS_OF_SIDE, f"gives {_text(name)!r} more")
        _side(user, access, both[0] if both else None, name.line)


def _side(user: FoundUser, access: Access, value: Value | None, line: int) -> None:
    """One of the two lists; a text or a list alone is what is allowed, and nothing allowed or denied is everything."""
    if value is None:
        user.granted[access][">"] = line
        return
    both = value.value if isinstance(value.value, dict) else {"allow": value}
    denied = [_text(each) for each in _several(both.get("deny"))]
    allowed = _several(both.get("allow")) if "allow" in both else [Value(">", value.line)]
    open_to = [each for each in allowed if _text(each).startswith("*")]
    lacking = [subject for subject in denied_to_wildcards(access) if subject not in denied]
    if open_to and lacking and ">" not in denied:
        user.granted[access].setdefault(f"{_text(open_to[0])} with {lacking[0]}", open_to[0].line)
    for each in allowed:
        if ">" not in denied:
            user.granted[access].setdefault(_text(each), each.line)


def _several(value: Value | None) -> list[Value]:
    if value is None:
        return []
    return _list(value) if isinstance(value.value, list) else [value]


def _covers(wide: str, narrow: str) -> bool:
    """Whether a subject with wildcards matches all that another does: `*` is one token, `>` is one or more."""
    one, other = wide.split("."), narrow.split(".")
    return _tokens_cover(one, other)


def _tokens_cover(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    for position, part in enumerate(wide):
        if position == len(narrow):
            return False
        if part == ">":
            return True
        if narrow[position] == ">" or part not in ("*", narrow[position]):
            return False
    return len(wide) == len(narrow)


def _map(value: Value) -> dict[str, Value]:
    if not isinstance(value.value, dict):
        raise StateError(f"line {value.line}: expected {{…}}")
    return value.value


def _list(value: Value) -> list[Value]:
    if not isinstance(value.value, list):
        raise StateError(f"line {value.line}: expected […]")
    return value.value


def _text(value: Value) -> str:
    if not isinstance(value.value, str):
        raise StateError(f"line {value.line}: expected a text")
    return value.value
