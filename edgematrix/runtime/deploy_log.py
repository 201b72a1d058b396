"""Which revisions a host took up or refused, in its audit log."""

from __future__ import annotations

from edgematrix.access.audit import Fact, Outcome
from edgematrix.hosting.manifest import Manifest, deploying_user
from edgematrix.runtime.audit_gate import AuditGate

__all__ = ["DeployLog", "deployed"]

_VERB = "deploy"


def deployed(manifest: Manifest, outcome: Outcome, reason: str, at: str, of: int = 0) -> Fact:
    """An entry about a revision.

    The user is a claim of whoever published it: the broker proves that it was somebody who may deploy.
    """
    asked = {"revision": manifest.revision, "deployer": manifest.deployer}
    return Fact(at, deploying_user(manifest), _VERB, manifest.matrix, asked, outcome, reason, of)


class DeployLog:
    """Writes that a revision is about to be taken up, and what came of it. It may be used in a thread."""

    def __init__(self, gate: AuditGate) -> None:
        self._gate = gate
        self._begun: dict[int, int] = {}
        """The entries with which revisions were begun."""

    def begin(self, manifest: Manifest) -> None:
        """Write that it is about to be taken up.

        Raises:
            StateError: it cannot be written, so it is not to be taken up.
        """
        number = self._gate.write_now(deployed(manifest, Outcome.BEGUN, "", self._gate.now()))
        self._begun = {manifest.revision: number}

    def end(self, manifest: Manifest, reason: str = "") -> None:
        """Write what came of it, soon; on the event loop.

        Args:
            reason: why it is refused; empty if it was taken up.
        """
        outcome = Outcome.REFUSED if reason else Outcome.DONE
        fact = deployed(manifest, outcome, reason, self._gate.now(), self._begun.pop(manifest.revision, 0))
        self._gate.write(fact, lambda number, error: None)  # noqa: ARG005 - nobody waits for it
