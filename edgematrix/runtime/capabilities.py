"""What each kind of broker can carry, read from the profiles (`brokers/capabilities.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from edgematrix.errors import UsageError

__all__ = ["Capabilities", "load_capabilities", "read_profile"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one kind of broker can carry; the fields are explained in the file."""

    kind: str
    mqtt5: bool
    shared_subscriptions: bool
    topic_characters_refused: str
    client_id_characters_refused: str
    payload_bytes_max: int
    qos1_filters_max: int
    copies: bool


def read_profile(name: str) -> str:
    """The text of a file in `brokers/`, from a wheel as from a working tree."""
    return resources.files("brokers").joinpath(name).read_text(encoding="utf-8")


def load_capabilities(kind: str) -> Capabilities:
    """What a broker of this kind can carry.

    Raises:
        UsageError: no such kind is known.
    """
    known = tomllib.loads(read_profile("capabilities.toml"))
    if kind not in known:
        raise UsageError(f"no broker of the kind {kind[:40]!r} is known", remedy=f"known are {', '.join(known)}")
    return Capabilities(kind=kind, **known[kind])
