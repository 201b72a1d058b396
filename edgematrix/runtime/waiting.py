"""A host that runs nothing yet: it is there, and waits until a deployment gives it agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from edgematrix.errors import QueueFullError
from edgematrix.hosting.revision import Deployment, Gathering
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Transport
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.birth import Announcer
from edgematrix.runtime.fetching import Fetching
from edgematrix.runtime.lacking import Lacking
from edgematrix.runtime.own_name import OwnName

if TYPE_CHECKING:
    from edgematrix.runtime.deploy_proof import DeployProof

__all__ = ["Waiting"]

_MATRICES_MAX = 100
_FAREWELL_S = 2.0
"""How long a connection is waited for, only to say farewell."""


class Waiting:
    """The link of a host's transport meanwhile.

    Args:
        root: the first level of the bus's own topics.
        name: the host's.
        matrix: what it is to run; the empty text for the first that gives it agents.
        declined: whether a deployment was refused before: it is not taken a second time.
        changed: called with a sentence when the connection comes or goes.
    """

    def __init__(
        self,
        transport: Transport,
        announcer: Announcer,
        *,
        root: str,
        name: str,
        matrix: str,
        declined: Callable[[Deployment], bool],
        changed: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._announcer = announcer
        self._root = root
        self._name = name
        self._declined = declined
        self._changed = changed
        self._head = f"{root}/{Kind.SPEC}/"
        self._gatherings: dict[str, Gathering] = {}
        self.proof: DeployProof | None = None
        """What tells whether a manifest is from somebody who may deploy; None where everybody who can publish it may."""
        self._is_linked = False
        self._is_stopping = False
        self._own = OwnName(root, name, announcer.session, changed)
        self._found: asyncio.Future[Deployment | None] = asyncio.get_running_loop().create_future()
        self._fetching: dict[str, Fetching] = {}
        self._lacking: dict[str, Lacking] = {}
        self._filter = f"{self._head}{matrix or '+'}"

    async def run(self) -> Deployment | None:
        """Wait for a deployment with something for this host; None if it was stopped.

        Raises:
            AccessRefusedError: the broker refuses this host.
        """
        self._transport.subscribe({self._filter: 1, self._own.topic: 1})
        link = asyncio.create_task(self._transport.run(self), name="transport")
        try:
            waits: set[asyncio.Future[Any]] = {link, self._found}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not self._found.done():
                await link  # it ended with an error
            return self._found.result()
        finally:
            if self._found.done() and not self._found.cancelled() and self._found.result() is None:
                self._say(is_online=False)
            for fetching in self._fetching.values():
                fetching.close()
            for lacking in self._lacking.values():
                lacking.close()
            await self._transport.close()
            link.cancel()
            with suppress(asyncio.CancelledError):
                await link

    def stop(self) -> None:
        """End `run`, as soon as that can be said; may be called more than once."""
        self._is_stopping = True
        if self._is_linked:
            self._end()
        else:
            asyncio.get_running_loop().call_later(_FAREWELL_S, self._end)

    def _end(self) -> None:
        if not self._found.done():
            self._found.set_result(None)

    def look_for_endings(self) -> None:
        """Look, once a day, which certificates end soon, and say so."""
        if self._look_anew(anew=False):
            self.announce()

    def _look_anew(self, *, anew: bool = True) -> bool:
        endings = self._announcer.endings
        if endings is None or not endings.look(anew=anew):
            return False
        for text in endings.news:
            self._changed(text)
        return True

    def announce(self) -> None:
        """Say again what there is to say of the host: something of it has changed."""
        if self._is_linked:
            self._say(is_online=True)

    # What the transport tells

    def received(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        """Take a definition or a manifest."""
        del qos, retained
        if topic == self._own.topic:
            with suppress(msgspec.DecodeError):  # whatever it is, no host has said it
                self._own.take(msgspec.json.decode(payload))
            return
        matrix, slash, _ = topic.removeprefix(self._head).partition("/")
        gathering = self._gatherings.get(matrix)
        if gathering is None:
            if len(self._gatherings) >= _MATRICES_MAX:
                self._changed(f"more than {_MATRICES_MAX} matrices are deployed below {self._root}/: choose one with --matrix")
                return
            gathering = self._gatherings[matrix] = Gathering(matrix)
            self._fetching[matrix] = Fetching(self._transport, self._head)
            self._lacking[matrix] = Lacking(gathering, self._announcer, self._changed, self.announce)
        fetching = self._fetching[matrix]
        if slash:
            path = AgentPath(topic.removeprefix(self._head))
            gathering.take_definition(path, payload)
            fetching.heard(path, is_right=not gathering.lacks(path))
        else:
            proved = payload if self.proof is None else self.proof.opened(topic, payload)
            if proved is None:
                return
            gathering.take_manifest(proved)
            self._tell_refusal(gathering)
            is_ours = gathering.manifest is not None and self._name in gathering.manifest.hosts
            fetching.want(gathering.missing if is_ours else ())
        self._look(gathering)

    def connected(self, session_present: bool) -> None:
        """The broker took us in."""
        del session_present
        self._is_linked = True
        if self._is_stopping:
            self._end()
            return
        self._changed("connected, waiting for agents")
        self._look_anew()
        self.announce()

    def disconnected(self, reason: str) -> None:
        """Say so; the transport tries again by itself."""
        self._is_linked = False
        self._changed(f"disconnected: {reason}")

    def refused(self, topic_filter: str, reason: str) -> None:
        """Say which subscription the broker refuses: nothing will be heard."""
        remedy = "name what it is to run with --matrix" if topic_filter == f"{self._head}+" else "the broker's access list has to grant it"
        self._changed(f"the broker refuses {self._name} the subscription {topic_filter!r}: {reason}. {remedy[0].upper()}{remedy[1:]}")

    def dropped(self, topic: str, reason: str) -> None:
        """Say what the transport gave up."""
        self._changed(f"{topic}: {reason}")

    def confirmed(self, number: int) -> None:
        """Nothing that it says has a number."""

    # Inside

    def _look(self, gathering: Gathering) -> None:
        manifest = gathering.manifest
        if manifest is None or self._name not in manifest.hosts or self._found.done():
            return
        if not gathering.is_whole:
            self._lacking[gathering.matrix].look()
            return
        deployment = gathering.standing().deployment
        if deployment is not None and not self._declined(deployment):
            self._found.set_result(deployment)

    def _tell_refusal(self, gathering: Gathering) -> None:
        standing = gathering.standing()
        if standing.refusal:
            self._changed(standing.refusal)
            self._announcer.refuses(standing.revision, standing.refusal)
            self.announce()

    def _say(self, *, is_online: bool) -> None:
        with suppress(QueueFullError):  # it is said again with the next connection
            self._transport.publish(self._announcer.publication(self._root, is_online=is_online, agents=0))
