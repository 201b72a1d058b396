"""A running host follows what is deployed: revision after revision, each as a whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgematrix.errors import CodecError, EdgeMatrixError, QueueFullError
from edgematrix.hosting.manifest import Manifest, encode_manifest, read_manifest
from edgematrix.hosting.revision import Deployment, Gathering
from edgematrix.protocol.filter import TopicFilter
from edgematrix.protocol.message import Publication
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.ports import Transport
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.birth import Announcer
from edgematrix.runtime.fetching import Fetching
from edgematrix.runtime.host import Host
from edgematrix.runtime.lacking import Lacking
from edgematrix.runtime.own_name import OwnName
from edgematrix.runtime.topology import Applied, Prepared

if TYPE_CHECKING:
    from edgematrix.runtime.deploy_proof import DeployProof

__all__ = ["Following"]

_TURN_S = 1.0
"""A broker that has forgotten what is deployed is told by the hosts in turn, each after the one before it had so long."""
_ECHO_S = 5.0
"""So long after it was published again the manifest has to have come back."""
_AT_ONCE, _PACE_S = 100, 0.05
"""So many definitions are published at a time, and then a pause is made: other messages have their turn."""


class Following:
    """Hears definitions and manifests, and lets the host follow them.

    Args:
        known: the deployment that the host was built from.
        prepare: builds a deployment and keeps it, beside the event loop; what cannot be built or kept raises.
        try_anew: tries whether a deployment could be built from the beginning, beside the event loop.
        left: called when a deployment has nothing for this host any more.
    """

    def __init__(
        self,
        host: Host,
        transport: Transport,
        announcer: Announcer,
        known: Deployment,
        *,
        name: str,
        prepare: Callable[[Deployment], Prepared],
        try_anew: Callable[[Deployment], None],
        changed: Callable[[str], None],
    ) -> None:
        self._host = host
        self._transport = transport
        self._announcer = announcer
        self._name = name
        self._prepare = prepare
        self._try_anew = try_anew
        self._changed = changed
        self._gathering = Gathering(known.manifest.matrix, known)
        self.deployment = known
        """What the host follows."""
        self.next: Deployment | None = None
        """What it is to be built from anew, once it has ended."""
        self.has_left = False
        """Whether nothing is left for it to do."""
        self.followed: Callable[[Deployment], None] = _nobody_follows
        """Called on the event loop when another deployment has been put in place."""
        self.refused: Callable[[Deployment, str], None] = _nobody_hears
        """Called on the event loop with a deployment that cannot be followed, and why."""
        self.proof: DeployProof | None = None
        """What tells whether a manifest is from somebody who may deploy; None where everybody who can publish it may."""
        self._declined: Manifest | None = None
        self._is_busy = False
        self._lacking = Lacking(self._gathering, announcer, changed, host.session.herald.announce)
        self._turn: asyncio.TimerHandle | None = None
        self._echo: asyncio.TimerHandle | None = None
        self._restoring: asyncio.Task[None] | None = None
        engine = host.engine
        self._head = f"{engine.root}/{Kind.SPEC}/"
        self._topic = f"{self._head}{engine.matrix}"
        host.session.deployed, host.session.asked, host.session.denied = self.heard, self._ask, self._denied
        own = OwnName(engine.root, name, announcer.session, changed, engine.matrix)
        engine.listen(TopicFilter.parse(own.topic), own)
        self._fetching = Fetching(transport, self._head)
        transport.subscribe({self._topic: 1, own.topic: 1})

    def heard(self, topic: str, payload: bytes) -> None:
        """Take a definition or a manifest."""
        path = topic.removeprefix(self._head)
        if "/" in path:
            self._gathering.take_definition(AgentPath(path), payload)
            self._fetching.heard(AgentPath(path), is_right=not self._gathering.lacks(AgentPath(path)))
        else:
            proved = payload if self.proof is None else self.proof.opened(topic, payload)
            if proved is None:
                return
            self._gathering.take_manifest(proved)
            self._fetching.want(self._gathering.missing)
            if self._is_older(proved):
                self._wait_for_turn()
            else:
                self._cancel(self._turn, self._echo)
        self._look()

    def stop(self) -> None:
        """End the host, for good."""
        self._host.session.goes_on = False
        self._host.stop()

    def close(self) -> None:
        """Follow nothing any more."""
        self._host.session.deployed = self._host.session.asked = self._host.session.denied = None
        self._fetching.close()
        self._lacking.close()
        self._cancel(self._turn, self._echo)
        if self._restoring is not None:
            self._restoring.cancel()

    # A broker that has forgotten

    def _ask(self) -> None:
        """Ask for the manifest that stands: the broker may have started with an older one, or with none."""
        self._transport.subscribe({self._topic: 1})
        self._wait_for_turn()

    def _is_older(self, payload: bytes) -> bool:
        """Whether a manifest is of a revision that was followed before, or is gone."""
        try:
            return not payload or read_manifest(self._gathering.matrix, payload).revision < self.deployment.revision
        except CodecError:
            return False  # it is told, and another deployment takes its place

    def _wait_for_turn(self) -> None:
        hosts = sorted(self.deployment.manifest.hosts)
        turn = hosts.index(self._name) if self._name in hosts else len(hosts)
        if self._turn is not None:
            self._turn.cancel()
        self._turn = asyncio.get_running_loop().call_later(_TURN_S * (turn + 2), self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        if self._host.session.is_linked and (self._restoring is None or self._restoring.done()):
            self._restoring = asyncio.get_running_loop().create_task(self._restore(), name="restore")

    async def _restore(self) -> None:
        """Publish again what is deployed: no manifest has come that is as new."""
        deployment = self.deployment
        if self.proof is not None and not self.proof.may_sign:
            self._changed(
                f"the broker has forgotten revision {deployment.revision} of {self._gathering.matrix}, and this host may not deploy"
            )
            return
        self._changed(f"the broker has forgotten revision {deployment.revision} of {self._gathering.matrix}: publishing it again")
        messages = [Publication(f"{self._head}{path}", data, 1, retain=True) for path, data in deployment.definitions.items()]
        manifest = encode_manifest(deployment.manifest)
        signed = manifest if self.proof is None else self.proof.signed(self._topic, manifest)
        messages.append(Publication(self._topic, signed, 1, retain=True))
        try:
            for number, message in enumerate(messages, 1):
                self._transport.publish(message)
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(_PACE_S)
        except QueueFullError as error:
            self._changed(f"it cannot be published now: {error}")
        else:
            self._cancel(self._echo)
            self._echo = asyncio.get_running_loop().call_later(_ECHO_S, self._unheard)

    def _denied(self, topic: str) -> None:
        """The broker refused a publication: of a deployment, no more of it is tried."""
        if topic.startswith(self._head) and self._restoring is not None:
            self._restoring.cancel()
            self._restoring = None
            self._unheard()

    def _unheard(self) -> None:
        """What was published again has not come back: brokers that speak MQTT 3.1.1 refuse without a word."""
        self._cancel(self._echo)
        if not self._host.session.is_linked:
            return  # it is tried again with the next connection
        self._changed(
            f"{self._name} cannot remind the broker of revision {self.deployment.revision}: "
            f"its access list lets those hosts alone of which `access` says `deploys: true`; deploy it again, or let another host"
        )

    @staticmethod
    def _cancel(*timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()

    # Inside

    def _look(self) -> None:
        """Begin to follow what is whole and new."""
        gathering = self._gathering
        manifest = gathering.manifest
        if self._is_busy or self.next is not None or self.has_left:
            return
        if not gathering.is_whole:
            self._lacking.look()
            return
        if manifest is self.deployment.manifest or manifest is self._declined or manifest == self.deployment.manifest:
            return
        deployment = gathering.standing().deployment
        assert deployment is not None  # noqa: S101 - it is whole
        self._begin(deployment)

    def _begin(self, deployment: Deployment) -> None:
        operations = self._host.operations
        assert operations is not None  # noqa: S101 - a host that follows deployments can be changed
        self._is_busy = True
        if deployment.manifest.head == self.deployment.manifest.head or self._name not in deployment.manifest.hosts:
            operations.replace(lambda: self._prepare(deployment), lambda applied, error: self._over(deployment, applied, error))
            self._host.acted()
        else:
            operations.beside(lambda: self._try_anew(deployment), lambda error: self._tried(deployment, error))

    def _over(self, deployment: Deployment, applied: Applied | None, error: EdgeMatrixError | None) -> None:
        self._is_busy = False
        if error is not None:
            self._refuse(deployment, error)
        elif applied is not None:
            self.deployment = deployment
            self._gathering.settle(deployment)
            manifest = deployment.manifest
            self.has_left = self._name not in manifest.hosts
            self._announcer.runs("" if self.has_left else manifest.matrix, 0 if self.has_left else manifest.revision)
            self._host.session.herald.announce()
            self._changed(_told(deployment, applied))
            self.followed(deployment)
            if self.has_left:
                self._end()
        self._look()

    def _tried(self, deployment: Deployment, error: EdgeMatrixError | None) -> None:
        self._is_busy = False
        if error is not None:
            self._refuse(deployment, error)
            self._look()
            return
        self._changed(f"revision {deployment.revision} of {deployment.manifest.matrix} is about the matrix as a whole: starting anew")
        self.next = deployment
        self._end()

    def _end(self) -> None:
        """Let the host end what it runs; the process goes on, and so says no farewell."""
        self._host.session.goes_on = True
        self._host.stop()

    def _refuse(self, deployment: Deployment, error: EdgeMatrixError) -> None:
        self._declined = deployment.manifest
        self.refused(deployment, str(error))
        self._changed(f"revision {deployment.revision} of {deployment.manifest.matrix} is refused: {error}")
        self._announcer.refuses(deployment.revision, str(error))
        self._host.session.herald.announce()


def _told(deployment: Deployment, applied: Applied) -> str:
    counts = ((len(applied.added), "came or were changed"), (len(applied.removed), "went"), (len(applied.changed), "follow another plan"))
    what = ", ".join(f"{count} {became}" for count, became in counts if count) or "nothing changed here"
    return f"revision {deployment.revision} of {deployment.manifest.matrix}: {what}"


def _nobody_hears(deployment: Deployment, reason: str) -> None:
    """What is refused is told by the host alone."""
    del deployment, reason


def _nobody_follows(deployment: Deployment) -> None:
    """What is to be done beside is nobody's concern."""
    del deployment
