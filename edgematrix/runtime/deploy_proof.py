"""What proves that a deployment comes from somebody who may deploy: its manifest is signed, and has the hash of every definition."""

from __future__ import annotations

from collections.abc import Callable, Collection

from edgematrix.errors import SignatureError
from edgematrix.protocol.ports import Verifier
from edgematrix.protocol.signature import detach, signed_bytes
from edgematrix.runtime.sealed import Seal

__all__ = ["DeployProof"]


class DeployProof:
    """Checks manifests, and signs those that this host publishes again where a broker has forgotten them.

    Args:
        verifier: the keys of all who may sign.
        deployers: who of them may say what runs.
        seal: this host's own key; None if it may not.
        told: called with a sentence where a manifest is refused; what is refused again for the same reason is counted alone.
    """

    def __init__(self, verifier: Verifier, deployers: Collection[str], seal: Seal | None, told: Callable[[str], None]) -> None:
        self._verifier = verifier
        self._deployers = deployers
        self._seal = seal
        self._told = told
        self._last = ""
        self.refused_count = 0

    def opened(self, topic: str, payload: bytes) -> bytes | None:
        """A manifest without its signature; None if it counts for nothing. That there is none any more need not be proved."""
        if not payload:
            return payload
        try:
            return self._opened(topic, payload)
        except SignatureError as error:
            self.refused_count += 1
            if error.what != self._last:
                self._last = error.what
                self._told(f"what is deployed on {topic} is refused: {error.what}")
        return None

    @property
    def may_sign(self) -> bool:
        """Whether what this host publishes again is believed."""
        return self._seal is not None

    def signed(self, topic: str, payload: bytes) -> bytes:
        """A manifest with this host's signature."""
        return payload if self._seal is None else self._seal.sign(topic, payload, ends=False)

    def _opened(self, topic: str, payload: bytes) -> bytes:
        body, token = detach(payload)
        stamp = token.stamp
        name = self._verifier.principal(stamp.key_id) if stamp.algorithm == self._verifier.algorithm else None
        if name is None:
            raise SignatureError(f"it is signed with the unknown key {stamp.algorithm} {stamp.key_id}")
        if not self._verifier.verify(stamp.key_id, signed_bytes(topic, stamp, body), token.signature):
            raise SignatureError(f"it is not what {name} has signed")
        if name not in self._deployers:
            raise SignatureError(f"it is signed by {name}, who may not deploy")
        return body
