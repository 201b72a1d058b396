"""Signs what an operator, or who deploys, says from the command line, where the folder of keys is known."""

from __future__ import annotations

import time

from edgematrix.config.unsigned import keys_folder
from edgematrix.protocol.limits import Limits
from edgematrix.runtime.sealed import Seal

__all__ = ["OwnSeal", "own_seal"]


class OwnSeal(Seal):
    """A key, and `name`: whose it is."""

    name = ""


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
    seal.name = ring.principal(key.key_id) or ""
    return seal


def _wall_us() -> int:
    return time.time_ns() // 1_000
