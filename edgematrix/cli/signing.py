"""Signs what an operator, or who deploys, says from the command line, where the folder of keys is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgematrix.config.unsigned import keys_folder
from edgematrix.errors import UsageError
from edgematrix.protocol.limits import Limits
from edgematrix.runtime.sealed import Seal

if TYPE_CHECKING:
    from edgematrix.identity.signing_keys import KeyRing
    from edgematrix.runtime.deploy_proof import DeployProof

__all__ = ["OwnSeal", "own_seal"]


class OwnSeal(Seal):
    """A key: `name` is whose it is, and `ring` has the keys of all."""

    name: str
    ring: KeyRing

    def check_deploys(self) -> None:
        """Refuse to deploy what hosts would not follow.

        Raises:
            UsageError: the owner of the key is not among those who may.
        """
        if self.name not in self.ring.deployers:
            remedy = f"`deploys: true` for {self.name} under `access:`, then edgematrix provision, and its keys.json to all hosts"
            raise UsageError(f"{self.name} may not deploy: hosts with keys would refuse it", remedy=remedy)

    def proof(self, told: Callable[[str], None]) -> DeployProof:
        """What tells which deployment is from somebody who may deploy."""
        from edgematrix.runtime.deploy_proof import DeployProof  # noqa: PLC0415 - to deploy alone

        return DeployProof(self.ring, self.ring.deployers, None, told)


def own_seal(broker: str) -> OwnSeal | None:
    """What signs for whoever is at the command line; None for somebody without keys.

    Args:
        broker: the broker's address as it was given; beside one that stands in a file may be keys.

    Raises:
        UsageError: the keys cannot be read, others may read them, or they are not known.
    """
    folder = keys_folder(None, broker)
    if folder is None:
        return None
    from edgematrix.identity.signing_keys import read_key_pair  # noqa: PLC0415 - it takes 30 ms

    key, ring = read_key_pair(folder)
    # A command needs the right time for its signatures to be worth something; so its epochs grow.
    seal = OwnSeal(key, _wall_us, worth_s=Limits().signed_s_max, epoch=_wall_us())
    seal.ring = ring
    seal.name = ring.principal(key.key_id) or ""
    return seal


def _wall_us() -> int:
    return time.time_ns() // 1_000
