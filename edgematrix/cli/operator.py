"""Somebody at a command line who asks something of a running matrix."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping

from edgematrix.cli.agents_seen import AgentsSeen
from edgematrix.cli.console import plain
from edgematrix.cli.signing import own_seal
from edgematrix.cli.target import Target
from edgematrix.cli.visit import Visit
from edgematrix.errors import BusError, UsageError
from edgematrix.protocol.codec import encode_event
from edgematrix.protocol.event import Event
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.ids import id_maker
from edgematrix.transport.endpoint import Endpoint

__all__ = ["ANSWER_S_MAX", "Operator", "operator_name"]

ANSWER_S_MAX = 3.0
"""How long hosts may take to answer."""
_ORDER_US_MAX = 300_000_000
"""A broker keeps an order for a host that is away. After five minutes, by which clocks may differ, nobody means it any more."""
_GENERATION = re.compile(r"~[1-9][0-9]{0,5}\Z")
_NOBODY = "operator"
"""Who asks where the broker wants no user."""


class Operator:
    """A user of the bus, and a session to which its hosts answer. `agents` is what they have told of themselves.

    Raises:
        UsageError: the user's name cannot stand in a topic, or the keys with which orders are signed cannot be used.
    """

    def __init__(self, target: Target) -> None:
        self.agents = AgentsSeen(target.root)
        self._root = target.root
        self._seal = own_seal(target.url)
        name = operator_name(target.url) if self._seal is None else self._seal.name
        self.is_named = bool(name)
        """Whether the broker, or a signature, proves who asks."""
        self._user = name or _NOBODY
        self._new_id = id_maker()
        self._session = self._new_id(_now_us())

    @property
    def filters(self) -> list[str]:
        """What it has to hear: who is there, and the answers. Hosts first: they tell which states still hold."""
        root = self._root
        return [f"{root}/{Kind.HOST}/+", f"{root}/{Kind.STATE}/#", self.replies]

    @property
    def replies(self) -> str:
        """The filter of the answers."""
        return f"{self._root}/{Kind.REPLY}/+/{self._user}/{self._session}"

    def request(self, verb: str, path: str, data: Mapping[str, object], runid: str = "") -> Publication:
        """What is asked, as it goes over the bus (docs/spec/topics.md, `op`).

        Args:
            runid: of the run that it is to begin; empty where it begins none.

        Raises:
            CodecError: the data has no JSON form.
        """
        now_us = _now_us()
        event = Event(
            specversion="1.0",
            id=self._new_id(now_us),
            source=f"/{path}",
            type=f"em.{Kind.OP}.{verb}",
            time=format_moment(now_us),
            data={"session": self._session, **data},
            runid=runid,
            expirytime=format_moment(now_us + _ORDER_US_MAX),
        )
        topic, payload = topic_for(self._root, Kind.OP, f"{self._user}/{verb}", path), encode_event(event)
        return Publication(topic, payload if self._seal is None else self._seal.sign(topic, payload, ends=True), 1)

    async def the_one_matrix(self, words: str) -> str:
        """The matrix that is meant where nobody names one. `words` are those of the command line that its name would follow.

        Raises:
            BusError: there is none.
            UsageError: there are several.
        """
        agents = self.agents
        await agents.wait_until(lambda: False)
        names = agents.matrices
        if not names:
            raise BusError(f"no agent is online below {self._root}/", remedy=agents.nearest(""))
        if len(names) > 1:
            raise UsageError(f"several matrices are on this bus: {', '.join(names[:20])}", remedy=f"edgematrix {words} {names[0]}")
        return names[0]

    def unanswered(self, verb: str, hosts: Collection[str], guest: Visit) -> BusError:
        """The error for hosts that were asked and said nothing."""
        allowed = f"{self._root}/{Kind.OP}/{self._user}/{verb}/# and {self._root}/{Kind.REPLY}/+/{self._user}/#"
        remedy = (guest.trouble or [f"the broker's access list has to allow {allowed}"])[0]
        asked = ", ".join(map(plain, sorted(hosts))) or "any host"
        return BusError(f"no answer from {asked} within {ANSWER_S_MAX:g} s", remedy=remedy)


def operator_name(url: str) -> str:
    """Who asks: the broker lets a user speak for himself alone. A newer credential of his, as `anna~2`, is he all the same.

    Empty where the address names nobody.

    Raises:
        UsageError: the name cannot stand in a topic.
    """
    name = Endpoint.parse(url).username
    if name is None:
        return ""
    name = _GENERATION.sub("", name)
    if not name or any(sign in name for sign in "/+#\0"):
        raise UsageError(f"the user name {name[:80]!r} cannot stand in a topic", where="--url")
    return name


def _now_us() -> int:
    return time.time_ns() // 1_000
