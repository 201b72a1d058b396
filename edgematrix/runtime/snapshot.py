"""The state of a failover unit, as it travels to whoever may have the unit next (docs/spec/topics.md, "Failover")."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping

import msgspec

from edgematrix.errors import CodecError, StateError
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.path import AgentPath
from edgematrix.protocol.topic import Kind, topic_for
from edgematrix.runtime.group_runner import GroupRunner

__all__ = ["SNAPSHOT_BYTES_MAX", "SNAPSHOT_EVERY_US", "Snapshot", "encode_snapshot", "read_snapshot", "snapshot_of", "snapshot_topic"]

_log = logging.getLogger(__name__)

SNAPSHOT_BYTES_MAX = 65_536
"""How large a snapshot may be as it travels. What does not fit is left out, and named."""
SNAPSHOT_EVERY_US = 2 * SECOND_US
"""How often one is made at most, and only where something has changed."""
_VERSION = 1
_NAME = "_snapshot"
"""No name of the grammar, so that no agent is called so."""
_STATE_BYTES_MAX = SNAPSHOT_BYTES_MAX // 4 * 3 - 4_096
"""Base64 makes four bytes of three; the rest is for what is beside the states."""
_NAMES_TOLD_MAX = 20


class Snapshot(msgspec.Struct, frozen=True):
    """What a unit was like at one moment.

    `epoch` is that of the lease under which it was, `definition` a hash of what its agents were. `groups` are the parts of the
    states of their trigger groups, by the key under which they are stored, `cursors` what each durable agent had taken of each
    edge. `left_out` names groups whose state was too large.
    """

    epoch: int
    definition: str
    groups: dict[str, dict[str, bytes]] = {}
    cursors: dict[str, bytes] = {}
    left_out: tuple[str, ...] = ()


class _State(msgspec.Struct, array_like=True):
    groups: dict[str, dict[str, bytes]]
    cursors: dict[str, bytes]


class _Wire(msgspec.Struct, omit_defaults=True):
    v: int
    epoch: int
    definition: str
    state: str
    left_out: tuple[str, ...] = ()


def snapshot_topic(root: str, unit: AgentPath) -> str:
    """Where the snapshot of a unit is retained: below its own `state`."""
    return f"{topic_for(root, Kind.STATE, unit)}/{_NAME}"


def snapshot_of(
    epoch: int, definition: str, groups: Iterable[GroupRunner], members: Collection[AgentPath], cursors: Mapping[str, bytes]
) -> Snapshot:
    """Take one, at a moment when the engine is at rest.

    Args:
        epoch: that of the lease.
        definition: a hash of what the agents are.
        groups: the trigger groups of the host.
        members: the agents of the unit.
        cursors: what each durable agent of the unit has taken.
    """
    room_bytes = _STATE_BYTES_MAX
    parts: dict[str, dict[str, bytes]] = {}
    left_out: list[str] = []
    room_bytes -= sum(len(path) + len(data) for path, data in cursors.items())
    for runner in groups:
        if runner.agent not in members or not runner.durable:
            continue
        try:
            copied = runner.copy(room_bytes)
        except StateError as error:
            _log.warning("the state of %s does not travel: %s", runner.store_key, error)
            copied = None
        size_bytes = 0 if copied is None else sum(len(part) + len(data) + 16 for part, data in copied.items()) + len(runner.store_key)
        if copied is None or size_bytes > room_bytes:
            left_out.append(runner.store_key)
        elif copied:
            parts[runner.store_key] = copied
            room_bytes -= size_bytes
    return Snapshot(epoch, definition, parts, dict(cursors) if room_bytes >= 0 else {}, tuple(left_out[:_NAMES_TOLD_MAX]))


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The bytes that travel."""
    state = b64encode(_pack(_State(snapshot.groups, snapshot.cursors))).decode()
    return msgspec.json.encode(_Wire(_VERSION, snapshot.epoch, snapshot.definition, state, snapshot.left_out))


def read_snapshot(value: object) -> Snapshot:
    """Read what came, decoded from JSON.

    Raises:
        CodecError: it is no snapshot, or of another version.
    """
    if not isinstance(value, Mapping) or value.get("v") != _VERSION:
        raise CodecError(f"no snapshot of version {_VERSION}")
    try:
        wire = msgspec.convert(value, _Wire)
        state = _unpack(b64decode(wire.state, validate=True))
    except (msgspec.MsgspecError, ValueError) as error:
        raise CodecError(f"no snapshot: {error}") from None
    return Snapshot(wire.epoch, wire.definition, state.groups, state.cursors, wire.left_out)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_State).decode
