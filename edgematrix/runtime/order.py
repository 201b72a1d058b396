"""What operators, and agents above, ask of running agents (docs/spec/topics.md, `op` and `ctl`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Protocol, TypeAlias

import msgspec

from edgematrix.errors import CodecError, EdgeMatrixError
from edgematrix.protocol.event import Trail
from edgematrix.protocol.message import NO_TRAIL, Message
from edgematrix.protocol.path import AgentPath, check_name, is_below, parse_path
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.watches import Watch

__all__ = [
    "DEFINES",
    "VERBS",
    "Answer",
    "Approve",
    "Asked",
    "Cancel",
    "Connect",
    "Create",
    "Dead",
    "Desk",
    "Disconnect",
    "Duplicate",
    "Edit",
    "Failback",
    "Order",
    "Pause",
    "Remove",
    "Resume",
    "Send",
    "Told",
    "Verb",
    "read_control",
    "read_operation",
]


Answer: TypeAlias = dict[str, object]
"""What there is to say about something that was done."""
Told: TypeAlias = Callable[[Answer | None, EdgeMatrixError | None], None]
"""Called with that, or with why it was not done."""


class Create(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new agent. `spec` is its definition as it stands in a file."""

    spec: dict[str, object]
    session: str = ""


class Remove(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Take an agent out, with all below it."""

    session: str = ""


class Duplicate(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A copy of an agent, with all below it, at the path `to`."""

    to: str
    session: str = ""


class Connect(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A new edge of a flow."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    when: str | None = None
    loop: bool = False
    session: str = ""


class Disconnect(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An edge of a flow that is to be gone. There is one between two ends, so `when` and `loop` need not be said."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    when: str | None = None
    loop: bool = False
    session: str = ""


class Pause(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Let the agent, and all below it, begin no runs."""

    session: str = ""


class Resume(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Let a paused agent begin runs again."""

    session: str = ""


class Failback(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Bring an agent that moved to another host back to the best choice of its hosts that is online."""

    session: str = ""


class Cancel(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """End a run, or a step's run, with all its steps."""

    run: str
    session: str = ""


class Approve(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Answer a question to a person; with `list`, tell those that wait. `run` says which one is meant, where there are several.

    `digest` says which action is approved, where the question is about one.
    """

    answer: object = msgspec.UNSET
    run: str = ""
    digest: str = ""
    list: bool = False
    session: str = ""


_IDS_MAX = 1_000
_LETTERS_MAX = 1_000


class Dead(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Look at dead letters, the `newest` of them, or handle those of these ids (or of their beginnings or ends), or `all`."""

    do: Literal["list", "show", "retry", "drop"] = "list"
    id: str = ""
    ids: Annotated[list[str], msgspec.Meta(max_length=_IDS_MAX)] = []
    all: bool = False
    newest: Annotated[int, msgspec.Meta(ge=1, le=_LETTERS_MAX)] = 100
    session: str = ""

    @property
    def meant(self) -> list[str]:
        """The ids, or what they begin or end with, each once."""
        return list(dict.fromkeys([self.id, *self.ids] if self.id else self.ids))


class Send(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Work for an input port of the agent."""

    port: str
    payload: object
    session: str = ""


Edit: TypeAlias = Create | Remove | Duplicate | Connect | Disconnect
Verb: TypeAlias = Edit | Pause | Resume | Cancel | Approve | Dead | Failback | Send
Asked: TypeAlias = Verb | Watch

DEFINES: tuple[type[Edit], ...] = (Create, Remove, Duplicate, Connect, Disconnect)
"""What changes the definition."""

VERBS: dict[str, type[Verb]] = {
    "create": Create,
    "remove": Remove,
    "duplicate": Duplicate,
    "connect": Connect,
    "disconnect": Disconnect,
    "pause": Pause,
    "resume": Resume,
    "cancel": Cancel,
    "approve": Approve,
}

_OF_OPERATORS: dict[str, type[Verb]] = VERBS | {"dead": Dead, "failback": Failback, "send": Send}
"""Agents do not handle dead letters, and do not move one another: people do. What agents send goes to `in`."""


class Order(msgspec.Struct):
    """One of these, about the agent `path`. `by` is who asks, `session` where the answer goes, `trail` how it came about.

    `given_us` is when it was given, on the host's timeline, as whoever asks says; None where nothing is said.
    `entry` is the number under which it was written to the audit log before it was carried out; 0 where it was not.
    """

    verb: str
    path: AgentPath
    asked: Asked
    by: str
    trail: Trail = NO_TRAIL
    topic: str = ""
    value: object = None
    given_us: int | None = None
    entry: int = 0

    @property
    def session(self) -> str:
        """Where the answer goes; empty if nobody waits for it."""
        return self.asked.session


class Desk(Protocol):
    """Where changes of what runs are asked for."""

    def ask(self, order: Order, told: Told, now_us: int) -> None:
        """Carry it out, now or in its turn."""


def read_operation(message: Message, root: str) -> Order:
    """Read what comes on `{root}/op/{user}/{verb}/{path}`. That it is that user, the broker proves.

    Raises:
        CodecError: it is retained, nobody asks, or no such thing can be asked.
        PathError: the path, or the session, breaks the grammar.
    """
    user, _, rest = message.topic.removeprefix(f"{root}/{Kind.OP}/").partition("/")
    if not user:
        raise CodecError("no order: its topic does not say who asks", remedy=f"{root}/{Kind.OP}/USER/VERB/PATH")
    verb, _, path = rest.partition("/")
    return _order(message, verb, parse_path(path), user, _OF_OPERATORS)


def read_control(message: Message, root: str) -> Order:
    """Read what comes on `{root}/ctl/{path}/{verb}`. Its source, an agent above, is a claim.

    Raises:
        CodecError: it is retained, no such thing can be asked, or whoever asks is no agent above.
        PathError: the path, or the session, breaks the grammar.
    """
    path, _, verb = message.topic.removeprefix(f"{root}/{Kind.CTL}/").rpartition("/")
    if not message.source:
        raise CodecError(f"no {verb[:80]}: a bare payload does not say which agent asks", remedy="send an event")
    if not is_below(path, message.source):
        raise CodecError(f"no {verb[:80]}: /{message.source[:200]} is not above {path[:200]}", remedy="an operator asks on `op`")
    return _order(message, verb, parse_path(path), f"/{message.source}", VERBS)


def _order(message: Message, verb: str, path: AgentPath, by: str, verbs: Mapping[str, type[Verb]]) -> Order:
    kind = verbs.get(verb)
    if kind is None:
        raise CodecError(f"no agent understands {verb[:80]!r} here", remedy=f"known are {', '.join(verbs)}")
    if message.retained:
        raise CodecError(f"no {verb}: a retained one would be carried out again whenever the host connects", remedy="publish it unretained")
    try:
        asked: Verb = msgspec.convert({} if message.value in (None, "") else message.value, kind)
    except msgspec.ValidationError as error:
        raise CodecError(f"no {verb}: {error}") from None
    if asked.session:
        check_name(asked.session, "session")
    return Order(verb, path, asked, by, message.trail, message.topic, message.value, message.time_us)
