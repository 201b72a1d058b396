"""Somebody who has the broker: hears all, alters, repeats, re-addresses, strips and forges; and keys for hosts that are to notice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from edgematrix.identity.signing_keys import SigningKey, write_keys
from edgematrix.protocol.signature import Stamp, attach, detach, signed_bytes

Said = tuple[str, bytes]


def make_keys(folder: Path, names: Iterable[str]) -> dict[str, SigningKey]:
    """A folder below `folder` for each of these, as provisioning makes it."""
    keys = {name: SigningKey.make() for name in names}
    for name, key in keys.items():
        (folder / name).mkdir(parents=True)
        key.write(folder / name)
        write_keys(folder / name, {other: [known.public] for other, known in keys.items()})
    return keys


def stripped(payload: bytes) -> bytes:
    return detach(payload)[0]


def resigned(payload: bytes, topic: str, key: SigningKey, *, stamp: Stamp | None = None, key_id: str = "") -> bytes:
    """The same message, signed by somebody else."""
    body, token = detach(payload)
    old = stamp or token.stamp
    stamp = Stamp(key.algorithm, key_id or key.key_id, old.epoch, old.sequence, old.until_s)
    return attach(body, stamp, key.sign(signed_bytes(topic, stamp, body)))


class Hostile:
    """Makes hostile messages of what was heard.

    Args:
        heard: signed messages with their topics.
        topics: where they are to go.
        insider: the key of somebody who is known, and may publish on none of these topics.
    """

    def __init__(self, heard: list[Said], topics: list[str], insider: SigningKey, seed: int) -> None:
        self._heard = heard
        self._topics = topics
        self._insider = insider
        self._stranger = SigningKey.make()
        self._random = Random(seed)

    def messages(self, count: int) -> Iterator[Said]:
        ways = [self.altered, self.cut, self.bare, self.again, self.moved, self.stranger, self.pretender, self.known, self.spliced]
        for number in range(count):
            topic, payload = self._random.choice(self._heard)
            yield ways[number % len(ways)](topic, payload)

    def altered(self, topic: str, payload: bytes) -> Said:
        at = self._random.randrange(len(payload))
        byte = self._random.choice([byte for byte in range(256) if byte != payload[at]])
        return topic, payload[:at] + bytes([byte]) + payload[at + 1 :]

    def cut(self, topic: str, payload: bytes) -> Said:
        return topic, payload[: self._random.randrange(1, len(payload))]

    def bare(self, topic: str, payload: bytes) -> Said:
        return topic, self._random.choice([stripped(payload), b"1", b"on", b'{"x":1}'])

    def again(self, topic: str, payload: bytes) -> Said:
        return topic, payload

    def moved(self, topic: str, payload: bytes) -> Said:
        return self._random.choice([other for other in self._topics if other != topic]), payload

    def stranger(self, topic: str, payload: bytes) -> Said:
        return topic, resigned(payload, topic, self._stranger)

    def pretender(self, topic: str, payload: bytes) -> Said:
        return topic, resigned(payload, topic, self._stranger, key_id=detach(payload)[1].stamp.key_id)

    def known(self, topic: str, payload: bytes) -> Said:
        return topic, resigned(payload, topic, self._insider)

    def spliced(self, topic: str, payload: bytes) -> Said:
        """The body of one with the signature of another, or with a number that is not its own."""
        other = self._random.choice(self._heard)[1]
        tail = other[other.rindex(b',"signature"') :]
        own = payload[payload.rindex(b',"signature"') :]
        if tail == own:
            parts = payload.rsplit(b".", 3)
            return topic, b".".join([parts[0], b"%d" % (int(parts[1]) + 1), *parts[2:]])
        return topic, payload[: -len(own)] + tail
