"""A client that says all that waits in one write with its greeting, and does not wait for the answer: two round trips in all."""

from .client import GREETING, Client
from .packet import publish, subscribe
from .ticks import ticks_ms

__all__ = ["Pipeline"]

_DUP = 0x08


class Pipeline(Client):
    """A client for an agent that sleeps: it is awake for a short while, and takes up what the broker had not acknowledged before."""

    _held: "tuple[bytearray, ...]" = ()
    """QoS 0 messages that go out with the greeting."""

    @property
    def rest_ms(self) -> int:
        """How long nothing is tried, because what was tried failed; 0 if something is under way."""
        return 0 if self._link is not None else self.brokers.rest_ms

    @property
    def room(self) -> int:
        """How many QoS 1 messages more it takes."""
        return self._unacked_max - len(self._unacked)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, *, force: bool = False) -> bool:
        """As `Client.publish`; what has QoS 0 waits for the greeting, too."""
        if qos or self._state >= GREETING:
            return super().publish(topic, payload, qos, retain, force=force)
        if len(self._held) >= self._unacked_max:
            return False
        packet = publish(topic, payload, 0, retain, 0)
        self._check_size(packet)
        self._held += (packet,)
        return True

    def packed(self, topic: str, payload: bytes, retain: bool) -> tuple[int, bytearray]:
        """A QoS 1 message as it would be sent, as `waiting` has it.

        Raises:
            ValueError: the packet is larger than `packet_bytes_max`.
        """
        packet_id = self._next_id()
        packet = publish(topic, payload, 1, retain, packet_id)
        self._check_size(packet)
        return packet_id, packet

    def waiting(self) -> list:  # type: ignore[type-arg]
        """The QoS 1 messages that the broker has not acknowledged: (packet id, packet)."""
        return [(entry[0], bytes(entry[1])) for entry in self._unacked if not entry[3]]

    def wait_again(self, packet_id: int, packet: bytes) -> None:
        """Go on with a message that waited before a reset. Call it before the first `step`."""
        again = bytearray(packet)
        again[0] |= _DUP
        self._unacked.append([packet_id, again, None, False])

    def _opening(self) -> bytearray:
        """The greeting, and behind it what is to be said after it (MQTT 3.1.1, 3.1.4: nobody needs to wait for the answer)."""
        whole = super()._opening()
        if self._filters and not self.brokers.subscribed:
            self._subscribing = self._next_id()
            whole.extend(subscribe(self._subscribing, self._filters))
        for packet in self._held:
            whole.extend(packet)
        self._held = ()
        now = ticks_ms()
        for entry in self._unacked:
            whole.extend(entry[1])
            entry[2] = now
        return whole
