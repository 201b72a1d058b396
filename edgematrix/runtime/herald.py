"""What a host says on the bus of itself and of its agents, retained for whoever asks later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from edgematrix.hosting.capability import PROTOCOL_VERSION
from edgematrix.protocol.agent_state import agent_state
from edgematrix.protocol.codec import encode_value
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Publication
from edgematrix.protocol.moment import format_moment
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Clock
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.birth import Announcer, host_topic
from edgematrix.runtime.engine import Engine
from edgematrix.runtime.topology import Applied

if TYPE_CHECKING:
    from edgematrix.runtime.endings import Endings

__all__ = ["Herald", "offline_will"]

_SOURCES_TOLD_MAX = 20


def offline_will(root: str, name: str, session: str) -> Publication:
    """What the broker says for a host that is gone without a word."""
    return Publication(host_topic(root, name), encode_value({"v": 1, "status": "offline", "session": session}), 1, retain=True)


class Herald:
    """Speaks for one host, while the broker is there; what has changed meanwhile is said when it is back.

    Args:
        publish: hands a publication to the transport.
        name: the host's name.
        session: an id of this process's life, so that a will of an earlier life offends nobody.
        agents: the paths that live here, to begin with.
        revision: how often the definition was changed.
        changed: called with a sentence when there is something to tell people.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        publish: Callable[[Publication], None],
        *,
        name: str,
        session: str,
        agents: Iterable[AgentPath],
        revision: Callable[[], int],
        changed: Callable[[str], None],
    ) -> None:
        self.id = session
        self.is_linked = False
        """Whether the broker is there."""
        self.was_linked = False
        """Whether it has been there before."""
        self.announcer: Announcer | None = None
        """What the host says of itself, where it follows deployments."""
        self.endings: Endings | None = None
        """What tells which certificates end soon; None without TLS."""
        self.heard_from_bus: Callable[[], Mapping[AgentPath, list[str]]] = dict
        """What each agent hears over the broker alone."""
        self._engine = engine
        self._clock = clock
        self._publish = publish
        self._name = name
        self._agents = tuple(agents)
        self._local = frozenset(self._agents)
        self._revision = revision
        self._changed = changed
        self._since = format_moment(clock.wall_us())
        self._missed: dict[AgentPath, dict[str, object]] = {}
        """What each could not hear while the broker was away last."""
        self._unlinked_us: int | None = None
        self._number = 0
        engine.ailed = self._ailed

    @property
    def number(self) -> int:
        """How often the host has said what there is to say of it: the number of the newest time."""
        return self._number if self.announcer is None else self.announcer.number

    def greet(self) -> None:
        """Say that the host and its agents are there; the broker may have forgotten them."""
        self._note_gap()
        self.was_linked = True
        self.look_for_endings(anew=True)
        self._announce("online")
        for path in self._agents:
            self._tell(path)

    def unlinked(self) -> None:
        """The broker is away."""
        self.is_linked = False
        self._unlinked_us = self._clock.wall_us()

    def follow(self, applied: Applied) -> None:
        """Tell which agents came, went or changed."""
        self._agents = tuple(applied.agents)
        self._local = frozenset(self._agents)
        for path in applied.removed:
            if path not in applied.elsewhere:
                self._publish(Publication(topic_for(self._engine.root, Kind.STATE, path), b"", 1, retain=True))
        if self.is_linked:
            for path in (*applied.added, *applied.changed):
                self._tell(path)
            self._announce("online")

    def announce(self) -> None:
        """Say again what there is to say of the host: something of it has changed."""
        if self.is_linked:
            self._announce("online")

    def look_for_endings(self, *, anew: bool = False) -> None:
        """Look which certificates end soon, once a day or `anew`; what is found is said, and stands in what is told of the agents."""
        endings = self.endings
        if endings is None or not endings.look(anew=anew):
            return
        for text in endings.news:
            self._changed(text)
        if self.is_linked and not anew:
            self._announce("online")
            for path in self._agents:
                self._tell(path)

    def farewell(self) -> None:
        """Say that the host goes on purpose."""
        self._announce("offline")

    # Inside

    def _announce(self, status: str) -> None:
        if self.announcer is not None:
            self._publish(self.announcer.publication(self._engine.root, is_online=status == "online", agents=len(self._agents)))
            return
        self._number += 1
        about: dict[str, object] = {"v": 1, "status": status, "session": self.id, "number": self._number, "since": self._since}
        if self.endings is not None and self.endings.warnings:
            about["warnings"] = list(self.endings.warnings)
        self._say(host_topic(self._engine.root, self._name), about | {"protocol": PROTOCOL_VERSION, "agents": len(self._agents)})

    def _note_gap(self) -> None:
        """Work out what agents could not hear while the broker was away: whoever reads their states is to know."""
        since_us, self._unlinked_us = self._unlinked_us, None
        if since_us is None or not self.was_linked:
            return
        until_us = self._clock.wall_us()
        self._changed(f"was without a broker for {(until_us - since_us) / SECOND_US:.1f} s")
        span = {"since": format_moment(since_us), "until": format_moment(until_us)}
        self._missed = {
            path: span | {"sources": sources[:_SOURCES_TOLD_MAX], "more": max(0, len(sources) - _SOURCES_TOLD_MAX)}
            for path, sources in self.heard_from_bus().items()
        }

    def _ailed(self, path: AgentPath) -> None:
        if self.is_linked and path in self._local:
            self._tell(path)

    def _tell(self, path: AgentPath) -> None:
        """Say how an agent is."""
        ailing = self._engine.ailing.get(path)
        status = "paused" if self._engine.pauses.covers(path) else "failed" if ailing else "ready"
        about = agent_state(status, self._name, self.id, self._since, self._revision())
        if ailing:
            about["reason"] = ailing
            about["tries"] = True  # or those who call it from elsewhere would never find out that it can again
        if path in self._engine.waiting:
            about["waiting"] = self._engine.waiting[path]
        if path in self._missed:
            about["missed"] = self._missed[path]
        if self.endings is not None and self.endings.warnings:
            about["warnings"] = list(self.endings.warnings)
        self._say(topic_for(self._engine.root, Kind.STATE, path), about)

    def _say(self, topic: str, value: Mapping[str, object]) -> None:
        self._publish(Publication(topic, encode_value(value), 1, retain=True))
