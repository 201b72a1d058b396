"""Which messages of a matrix are signed, who is believed, and the keys of a host (docs/spec/topics.md, "Signed messages")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgematrix.access.signed import SignedTopics
from edgematrix.access.trust import Trust
from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.authority import principals_of
from edgematrix.config.finding import Finding, error
from edgematrix.config.spec import MatrixSpec
from edgematrix.protocol.limits import Limits
from edgematrix.protocol.ports import Clock, Transport
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.clock import SystemClock
from edgematrix.runtime.sealed import Seal, SealedTransport, epoch_after

if TYPE_CHECKING:
    from edgematrix.runtime.deploy_proof import DeployProof
    from edgematrix.runtime.host import Host

__all__ = ["Signing", "check_signing", "deploy_proof", "trust_of"]


def trust_of(spec: MatrixSpec, local: str = "host") -> Trust:
    """What a matrix says of its signed messages.

    Args:
        local: the host of a matrix in which no host is named.

    Raises:
        ConfigError: as `principals_of`.
    """
    tree = AgentTree.of(spec)
    said = {spec.matrix: bool(spec.sign)} | {node.path: bool(node.spec.sign) for node in tree if node.spec.sign is not None}
    retained = {topic_for(spec.root, Kind.OUT, node.path, name) for node in tree for name, port in node.spec.outputs.items() if port.retain}
    grants = {principal.name: principal.grants for principal in principals_of(spec, local)}
    return Trust(spec.root, spec.matrix, SignedTopics(spec.root, said, retained), grants)


def check_signing(tree: AgentTree) -> Iterator[Finding]:
    """Boards have no keys: what they say cannot be signed."""
    topics = SignedTopics(
        "", {tree.matrix.matrix: bool(tree.matrix.sign)} | {node.path: bool(node.spec.sign) for node in tree if node.spec.sign is not None}
    )
    for node in tree:
        if node.is_board and topics.covers(node.path):
            what = f"{node.path} speaks for itself, as a board does, and cannot sign"
            yield error(node.where, what, "say `sign: false` there: what it says and is told is then believed unsigned", at_key=True)


class Signing:
    """What signs and checks the messages of one host.

    Args:
        folder: where its keys are, as `edgematrix provision` writes them.
        spec: what it runs, its own part and all others.
        name: the host's.

    Raises:
        UsageError: keys are missing, readable by others, or somebody else's.
        ConfigError: as `principals_of`.
    """

    def __init__(self, folder: Path, transport: Transport, spec: MatrixSpec, clock: Clock, name: str) -> None:
        from edgematrix.identity.signing_keys import read_key_pair  # noqa: PLC0415 - it takes 30 ms

        key, self._ring = read_key_pair(folder, name)
        worth_s = replace(Limits(), **spec.limits).signed_s_max
        self.trusting = partial(trust_of, local=name)
        """Works out who is believed in another definition."""
        seal = Seal(key, clock.wall_us, worth_s=worth_s, epoch=epoch_after(0, clock))
        self.transport = SealedTransport(transport, seal, self.trusting(spec))

    def guard(self, host: Host) -> None:
        """Let a host that has this transport take signed messages alone, where they are to be signed."""
        host.guard(self.transport, self._ring)


def deploy_proof(folder: Path, name: str, told: Callable[[str], None]) -> DeployProof:
    """What a host with keys asks of manifests.

    Args:
        folder: where its keys are.
        name: the host's.
        told: called with a sentence where a manifest is refused.

    Raises:
        UsageError: as `Signing`.
    """
    from edgematrix.identity.signing_keys import read_key_pair  # noqa: PLC0415 - see above
    from edgematrix.runtime.deploy_proof import DeployProof  # noqa: PLC0415 - a host that follows no deployment needs none

    key, ring = read_key_pair(folder, name)
    clock = SystemClock()
    seal = Seal(key, clock.wall_us, worth_s=0, epoch=epoch_after(0, clock)) if name in ring.deployers else None
    return DeployProof(ring, ring.deployers, seal, told)
