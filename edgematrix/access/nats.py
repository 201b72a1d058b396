"""The access list as the `authorization` of nats-server's configuration (https://docs.nats.io, "Authorization").

A user comes in by MQTT alone: over NATS' own protocol it could reach what the server keeps for MQTT. Tried on nats-server 2.15: an
MQTT user needs no grant on `$MQTT.>`, for the server makes sessions, queues and retained messages on its own account, and it refuses
what begins with `$MQTT/` to everybody. A subscription that no single grant covers is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from edgematrix.access.grant import Access, Grant, Grants
from edgematrix.access.mosquitto import refuse_unwritable
from edgematrix.access.principal import Principal
from edgematrix.access.reason import shortened
from edgematrix.access.subject import subjects
from edgematrix.access.users import Users, with_users
from edgematrix.errors import ConfigError, Issue, TopicError

__all__ = ["CONNECTION_TYPES", "PRIVATE", "authorization", "denied_to_wildcards", "permitted"]

CONNECTION_TYPES = ("MQTT", "MQTT_WS")
"""How a user may come in."""

PRIVATE = ("$SYS.>", "$JS.>", "$JSC.>", "$MQTT.>", "$KV.>", "$O.>", "$NRG.>", "$SRV.>", "$GNR.>", "$LDS.>", "$G.>", "_INBOX.>", "_R_.>")
"""Subjects of the server: denied by name to whom a wildcard at the first level is granted, as `*` matches them too, unlike `+`."""

_KEPT_FOR_MQTT = ("$MQTT.msgs.>", "$MQTT.rmsgs.>", "$MQTT.sess.>", "$MQTT.qos2.>", "$MQTT.out.>", "$MQTT.JSA.>")
"""What reading is denied of `$MQTT`: `$MQTT.sub` is where the server hands each QoS 1 subscription its messages, on the user's account."""

_WORDS = {Access.WRITE: "publish", Access.READ: "subscribe"}


def authorization(principals: Iterable[Principal], users: Users | None = None, passwords: Mapping[str, str] | None = None) -> str:
    """The block, for the top level of a configuration or for `include`. The same principals give the same bytes.

    Args:
        users: the live user names of each principal; where certificates tell who comes (`verify_and_map`), the names in them.
        passwords: of users that come with one, as they are or as bcrypt makes them. Who is not in it has to show a certificate.

    Raises:
        ConfigError: NATS has no subject for a filter, a user name cannot be written, or two principals share one.
    """
    passwords = passwords or {}
    lines = ["authorization {", "  users = ["]
    for user, principal in with_users(principals, users or {}):
        lines += [
            f"    # {principal.role} {principal.subject}",
            "    {",
            f"      user: {_quoted(refuse_unwritable(user, 'the user name'))}",
        ]
        if user in passwords:
            lines.append(f"      password: {_quoted(refuse_unwritable(passwords[user], f'the password of {user}'))}")
        lines.append(f"      allowed_connection_types: [{', '.join(map(_quoted, CONNECTION_TYPES))}]")
        lines += ["      permissions: {", *_permissions(principal), "      }", "    }"]
    return "\n".join([*lines, "  ]", "}", ""])


def permitted(grants: Grants, access: Access) -> dict[str, Grant]:
    """The subjects that grants come to, each with the first grant that asks for it.

    Raises:
        TopicError: NATS has no subject for a filter.
    """
    found: dict[str, Grant] = {}
    for grant in grants:
        if grant.access is access:
            for subject in subjects(grant.filter):
                found.setdefault(subject, grant)
    return found


def denied_to_wildcards(access: Access) -> tuple[str, ...]:
    """What is denied beside a subject that begins with `*`, which matches the server's own subjects too."""
    return tuple(part for subject in PRIVATE for part in _denied(subject, access))


def _permissions(principal: Principal) -> Iterator[str]:
    for access, word in _WORDS.items():
        try:
            allowed = permitted(principal.grants, access)
        except TopicError as error:
            why = f"{principal.role} {principal.subject}: {error.what}"
            raise ConfigError([Issue("error", why, remedy=error.remedy or "use mosquitto, or topics without it")]) from None
        if not allowed:
            yield f'        {word}: {{ deny: [">"] }}'
            continue
        yield f"        {word}: {{"
        yield "          allow: ["
        yield from (f"            {_quoted(subject)}{_beside(grant)}" for subject, grant in allowed.items())
        yield "          ]"
        if any(subject.startswith("*") for subject in allowed):
            yield f"          deny: [{', '.join(map(_quoted, denied_to_wildcards(access)))}]"
        yield "        }"


def _denied(subject: str, access: Access) -> tuple[str, ...]:
    return _KEPT_FOR_MQTT if subject == "$MQTT.>" and access is Access.READ else (subject,)


def _beside(grant: Grant) -> str:
    return f"  # {shortened(grant.reasons)}" if grant.reasons else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
