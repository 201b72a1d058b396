"""A transport that signs what goes out, where messages are to be signed (docs/spec/topics.md, "Signed messages")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from msgspec import structs

from edgematrix.access.signed import Rule
from edgematrix.access.trust import Trust
from edgematrix.protocol.duration import SECOND_US
from edgematrix.protocol.message import Publication
from edgematrix.protocol.ports import Clock, Link, Signer, Transport
from edgematrix.protocol.signature import Stamp, attach, signed_bytes

__all__ = ["Seal", "SealedTransport", "epoch_after", "read_epoch", "write_epoch"]

_TOPICS_MAX = 20_000


class Seal:
    """One's own key, and what was signed with it so far.

    Args:
        worth_s: how long what is signed is worth something.
        epoch: higher than in any earlier life of whoever has the key.
    """

    STORE_KEY: ClassVar[str] = "#seal"

    def __init__(self, signer: Signer, wall_us: Callable[[], int], *, worth_s: int, epoch: int) -> None:
        self._signer = signer
        self._wall_us = wall_us
        self._worth_s = worth_s
        self.epoch = epoch
        self._sequences: dict[str, int] = {}
        self._floor = 0
        """What sequences of topics begin after."""

    def sign(self, topic: str, payload: bytes, *, ends: bool) -> bytes:
        """A message with its signature.

        Args:
            topic: where it goes.
            payload: a JSON object.
            ends: whether it is worth nothing after a while.

        Raises:
            CodecError: it is no JSON object with an attribute.
        """
        sequences = self._sequences
        if topic not in sequences and len(sequences) >= _TOPICS_MAX:
            self._floor = max(sequences.values())
            sequences.clear()
        sequence = sequences[topic] = sequences.get(topic, self._floor) + 1
        until_s = -(-self._wall_us() // SECOND_US) + self._worth_s if ends else 0
        signer = self._signer
        stamp = Stamp(signer.algorithm, signer.key_id, self.epoch, sequence, max(until_s, 0))
        return attach(payload, stamp, signer.sign(signed_bytes(topic, stamp, payload)))


class SealedTransport:
    """Signs what is published on topics that carry signed messages, and hands all on to the transport.

    Each publication has a number of its own, also one that is sent again: so whoever receives it can tell it from a copy.
    """

    def __init__(self, transport: Transport, seal: Seal, trust: Trust) -> None:
        self._transport = transport
        self.seal = seal
        self.trust = trust

    def publish(self, publication: Publication) -> None:
        """Sign and send.

        Raises:
            QueueFullError, TopicError: as the transport.
            CodecError: it is no JSON object, on a topic that carries signed messages.
        """
        topics = self.trust.topics
        if publication.payload and topics.rule(publication.topic) is not Rule.NONE:
            ends = not (publication.retain or publication.number or publication.is_lasting)
            payload = self.seal.sign(publication.topic, publication.payload, ends=ends)
            publication = structs.replace(publication, payload=payload)
        self._transport.publish(publication)

    async def run(self, link: Link) -> None:
        """As the transport."""
        await self._transport.run(link)

    async def close(self) -> None:
        """As the transport."""
        await self._transport.close()

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """As the transport."""
        self._transport.subscribe(filters)

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """As the transport."""
        self._transport.unsubscribe(filters)

    @property
    def receipt(self) -> int:
        """As the transport."""
        return self._transport.receipt

    def acknowledge(self, receipt: int) -> None:
        """As the transport."""
        self._transport.acknowledge(receipt)

    def sever(self, reason: str) -> None:
        """As the transport."""
        self._transport.sever(reason)

    def counts(self) -> Mapping[str, int]:
        """As the transport."""
        return self._transport.counts()


def epoch_after(stored: int, clock: Clock) -> int:
    """The epoch of a new life: the wall clock in microseconds, or what is higher than the one before."""
    return max(stored + 1, clock.wall_us())


def write_epoch(epoch: int) -> bytes:
    """As it is stored."""
    return str(epoch).encode()


def read_epoch(data: bytes) -> int:
    """The epoch that was stored; 0 where none was, or it cannot be read: the wall clock tells then."""
    return int(data) if data.isdigit() else 0
