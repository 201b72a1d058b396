"""Whether a matrix wants signed messages, and where a host has keys for that."""

from __future__ import annotations

import os
from pathlib import Path

from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.errors import UsageError

__all__ = ["SIGNING_FILE", "keys_folder", "refuse_signed", "signs"]

_VARIABLE = "EDGEMATRIX_KEYS"
_REMEDY = f"{_VARIABLE}=DIR with its folder as edgematrix provision makes it, or --broker @DIR/broker.url"


SIGNING_FILE = "signing.key"


def keys_folder(said: Path | None, broker: str) -> Path | None:
    """Where a host's, or an operator's, keys are; None if there are none.

    Args:
        said: the folder that was named; None for that which the environment names, else that of the broker's address, if that stands
            in a file with keys beside it.
        broker: the broker's address; `@FILE` for one that stands in a file.
    """
    named = os.environ.get(_VARIABLE)
    if said is not None or named:
        return said or Path(named or "").expanduser()
    if not broker.startswith("@"):
        return None
    folder = Path(broker[1:]).expanduser().parent
    return folder if (folder / SIGNING_FILE).exists() else None


def signs(spec: MatrixSpec) -> bool:
    """Whether any message of a matrix is to be signed."""
    return bool(spec.sign) or any(_any_signs(agent) for agent in spec.agents.values())


def refuse_signed(spec: MatrixSpec) -> None:
    """What a host without keys makes of a matrix.

    Raises:
        UsageError: its messages are to be signed.
    """
    if signs(spec):
        raise UsageError("the matrix wants signed messages, and this host has no keys", where=spec.matrix, remedy=_REMEDY)


def _any_signs(agent: AgentSpec) -> bool:
    return bool(agent.sign) or any(_any_signs(below) for below in agent.agents.values())
