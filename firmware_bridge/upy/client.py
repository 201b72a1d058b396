"""An MQTT 3.1.1 client for a small memory: one loop, no threads, QoS 0 and 1, and a time-out on every wait.

Nothing here blocks for longer than it is told: connecting, greeting, subscribing, pinging and waiting for an
acknowledgement are states with a deadline, and `step` moves them on.
"""

from .brokers import Brokers
from .link import Link, LinkError, addresses, link_maker
from .packet import (
    CONNACK,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    MalformedError,
    Reader,
    connect,
    puback,
    publish,
    subscribe,
)
from .ticks import sleep_ms, ticks_add, ticks_diff, ticks_ms

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GREETING", "Client"]

_DOWN, _OPENING, GREETING, _UP = range(4)
_REFUSALS = ("", "protocol version", "client id", "server unavailable", "user or password", "not authorised")
_CHUNK_BYTES = 256
_READS_MAX = 8
_DUP = 0x08


class Client:
    """A connection that heals itself.

    `others` are further brokers of a cluster, each a host and a port: after an attempt that failed the next is tried, and after a
    connection that broke the same one first, as it has the session. `will` is a topic and a payload (retained, QoS 1). With
    `persistent` the broker keeps the session while the client is away. `tls` holds the arguments of `tls.Tls`; without it nothing is
    encrypted. `packet_bytes_max` bounds a packet in both directions, `unacked_max` the QoS 1 messages that wait for the broker, also
    while there is none. Whoever owns the client sets `on_message(topic, payload, retained)`, `on_ready()` (connected and subscribed)
    and `on_down(reason)`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        client_id: str,
        *,
        others: "list[tuple[str, int]] | tuple[()]" = (),
        user: str | None = None,
        password: str | None = None,
        will: tuple[str, bytes] | None = None,
        persistent: bool = True,
        tls: dict[str, str] | None = None,
        keepalive_s: int = 30,
        timeout_ms: int = 5_000,
        retry_ms: int = 1_000,
        retry_ms_max: int = 60_000,
        packet_bytes_max: int = 1_024,
        unacked_max: int = 8,
    ) -> None:
        self.on_message: "Callable[[str, bytes, bool], None]" = _ignore
        self.on_ready: "Callable[[], None]" = _ignore
        self.on_down: "Callable[[str], None]" = _ignore
        self.resumed = False
        """Whether the broker had our session at the last connection."""
        self.bytes_sent = self.bytes_read = 0
        self.persistent = persistent
        self.oversize = 0
        """Messages dropped because they did not fit."""
        self.brokers = Brokers([(host, port)] + [(str(name), int(number)) for name, number in others], retry_ms, retry_ms_max)
        self._identity = (client_id, user, password)
        self._will = will
        self._keepalive_s = keepalive_s
        self._timeout_ms = timeout_ms
        self.packet_bytes_max = packet_bytes_max
        self._unacked_max = unacked_max
        self._filters: list[str] = []
        self._unacked: list[list] = []  # type: ignore[type-arg]  # [packet id, packet, when it was sent, whether it is the last word]
        self._packet_id = 0
        self._reader = Reader(packet_bytes_max)
        self._chunk = memoryview(bytearray(_CHUNK_BYTES))
        self._addresses: list = []  # type: ignore[type-arg]  # see link.addresses
        self._link: Link | None = None
        self._make_link = link_maker(tls, packet_bytes_max)
        self._state = _DOWN
        self._closed = False
        self._since = self._sent_at = self._heard_at = self._ping_at = ticks_ms()
        self._pinging = False
        self._subscribing = 0
        self._stepping = False
        if keepalive_s < 1 or timeout_ms < 1 or retry_ms < 1 or packet_bytes_max < 128 or unacked_max < 1:
            raise ValueError("keepalive_s, timeout_ms, retry_ms and unacked_max start at 1, packet_bytes_max at 128")
        self._check_size(self._greeting())

    @property
    def up(self) -> bool:
        """Whether the broker has taken us in."""
        return self._state == _UP

    @property
    def unacked(self) -> int:
        """How many QoS 1 messages the broker has not acknowledged."""
        return len(self._unacked)

    def subscribe(self, topic_filter: str) -> None:
        """Ask for a filter with QoS 1, now and whenever the broker has lost the session. Call it before the first `step`."""
        self._filters.append(topic_filter)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, *, force: bool = False) -> bool:
        """Send a message; False if it is lost: QoS 0 while there is no connection, or QoS 1 while `unacked_max` wait.

        A QoS 1 message is kept until the broker has acknowledged it. `force` takes it beyond
        the bound, in place of an earlier forced one: what only the newest of counts for.

        Raises:
            ValueError: the packet is larger than `packet_bytes_max`.
        """
        if not qos:
            packet = publish(topic, payload, 0, retain, 0)
            self._check_size(packet)
            return self.up and self._send(packet)
        if force:
            self._unacked = [entry for entry in self._unacked if not entry[3]]
        elif len(self._unacked) >= self._unacked_max:
            return False
        packet_id = self._next_id()
        packet = publish(topic, payload, 1, retain, packet_id)
        self._check_size(packet)
        entry = [packet_id, packet, None, force]
        self._unacked.append(entry)
        if self.up and (self.resumed or not self._subscribing):
            self._send_unacked(entry)
        return True

    def step(self, wait_ms: int) -> None:
        """Do what there is to do, and wait at most `wait_ms` for it."""
        if self._closed:
            return
        if self._stepping:
            raise RuntimeError("step() inside a handler: return from it first")
        self._stepping = True
        try:
            if self._link is None:
                self._rest_or_open(wait_ms)
            else:
                self._work(self._link, min(wait_ms, self._patience_ms()))
                if self._link is not None:
                    self._check_deadlines()
        except (LinkError, MalformedError) as error:
            self._lost(str(error))
        finally:
            self._stepping = False

    def close(self) -> None:
        """Leave cleanly: the broker publishes no will. There is no way back."""
        link = self._link
        if link is not None and self.up:
            try:
                link.send(DISCONNECT)
                until = ticks_add(ticks_ms(), self._timeout_ms)
                while not link.idle and ticks_diff(until, ticks_ms()) > 0:
                    link.wait(ticks_diff(until, ticks_ms()))
            except LinkError:
                pass
        self._drop_link()
        self._closed = True

    def _rest_or_open(self, wait_ms: int) -> None:
        rest_ms = self.brokers.rest_ms
        if rest_ms > 0:
            sleep_ms(max(0, min(rest_ms, wait_ms)))
            return
        self._addresses = addresses(*self.brokers.place)
        self._open_next()

    def _open_next(self) -> None:
        if not self._addresses:
            raise LinkError("the server does not take the connection")
        family, address = self._addresses.pop(0)
        self._enter(_OPENING)
        try:
            self._link = self._make_link(family, address, self.brokers.place[0])
        except LinkError:
            self._open_next()

    def _work(self, link: Link, wait_ms: int) -> None:
        try:
            found = link.wait(wait_ms)
        except LinkError:
            if self._state != _OPENING:
                raise
            self._drop_link()
            self._open_next()
            return
        if found == 1:
            self._greet(link)
        elif found == 2:
            self._read(link)

    def _greet(self, link: Link) -> None:
        self._reader.reset()
        self._enter(GREETING)
        greeting = self._opening()
        self.bytes_sent += len(greeting)
        link.send(greeting)

    def _opening(self) -> bytearray:
        return self._greeting()

    def _greeting(self) -> bytearray:
        client_id, user, password = self._identity
        return connect(client_id, not self.persistent, self._keepalive_s, self._will, user, password)

    def _read(self, link: Link) -> None:
        for _ in range(_READS_MAX):
            count = link.read_into(self._chunk)
            self.bytes_read += count
            start = 0
            while start < count:
                start = self._reader.feed(self._chunk, start, count)
                if self._reader.complete:
                    self._handle(self._reader)
                    if self._link is not link:
                        return
                    self._reader.reset()
            if count < _CHUNK_BYTES:
                return

    def _handle(self, reader: Reader) -> None:
        self._heard_at = ticks_ms()
        if (reader.kind == CONNACK) != (self._state == GREETING):
            raise MalformedError("packet kind %d at the wrong time" % reader.kind)
        if reader.kind == CONNACK:
            self._welcomed(reader.body[0], reader.body[1])
        elif reader.kind == PUBLISH:
            self._receive(reader)
        elif reader.kind == PUBACK:
            self._acknowledged(reader.body[0] << 8 | reader.body[1])
        elif reader.kind == SUBACK:
            self._granted(reader.body)
        elif reader.kind == PINGRESP:
            self._pinging = False

    def _welcomed(self, flags: int, code: int) -> None:
        if code:
            self.brokers.refused()
            name = _REFUSALS[code] if code < len(_REFUSALS) else "unknown reason"
            raise LinkError("the broker refuses us: %s (%d)" % (name, code))
        if flags & 0xFE:
            raise MalformedError("CONNACK flags 0x%02x" % flags)
        self._enter(_UP)
        self._pinging = False
        self._sent_at = self._heard_at
        self.resumed = bool(flags)
        if not flags:
            self.brokers.forget()
        if self._subscribing:
            return  # it went with the greeting
        if self.brokers.subscribed:
            self._ready()
        elif self._filters:
            if flags:
                self._send_waiting()  # what comes of a session that goes on comes at once
            self._subscribing = self._next_id()
            self._must_send(subscribe(self._subscribing, self._filters))
        else:
            self._ready()

    def _granted(self, body: memoryview) -> None:
        if body[0] << 8 | body[1] != self._subscribing or len(body) != 2 + len(self._filters):
            raise MalformedError("a SUBACK that nobody asked for")
        for position, topic_filter in enumerate(self._filters):
            if body[2 + position] > 1:
                self.brokers.refused()
                raise LinkError("the broker refuses the subscription %s" % topic_filter)
        self.brokers.granted()
        self._subscribing = 0
        self._ready()

    def _ready(self) -> None:
        self._send_waiting()
        self.on_ready()

    def _send_waiting(self) -> None:
        for entry in list(self._unacked):
            if entry[2] is None:
                self._send_unacked(entry)

    def _receive(self, reader: Reader) -> None:
        qos = reader.flags >> 1 & 1
        if reader.oversize:
            self.oversize += 1
            packet_id = reader.packet_id
        else:
            body = reader.body
            size = body[0] << 8 | body[1]
            start = 2 + size
            packet_id = 0
            if start + 2 * qos > reader.length:
                raise MalformedError("a PUBLISH whose topic is longer than it")
            if qos:
                packet_id = body[start] << 8 | body[start + 1]
        if qos and not packet_id:
            raise MalformedError("a PUBLISH without a packet id")
        if not reader.oversize:
            try:
                topic = str(body[2:start], "utf-8")
            except UnicodeError:
                raise MalformedError("a topic that is no UTF-8") from None
            self.on_message(topic, bytes(body[start + 2 * qos :]), bool(reader.flags & 1))
        if qos and self._link is not None:
            self._must_send(puback(packet_id))

    def _acknowledged(self, packet_id: int) -> None:
        for position, entry in enumerate(self._unacked):
            if entry[0] == packet_id:
                del self._unacked[position]
                return

    def _send_unacked(self, entry: list) -> None:  # type: ignore[type-arg]
        entry[2] = ticks_ms()
        self._send(entry[1])

    def _send(self, packet: bytes | bytearray) -> bool:
        if self._link is None:
            return False
        try:
            sent = self._link.send(packet)
        except LinkError as error:
            self._lost(str(error))
            return False
        if sent:
            self.bytes_sent += len(packet)
            self._sent_at = ticks_ms()
        return sent

    def _must_send(self, packet: bytes | bytearray) -> None:
        if not self._send(packet) and self._link is not None:
            raise LinkError("the broker does not read what we send")

    def _check_deadlines(self) -> None:
        now = ticks_ms()
        if self._state != _UP:
            if ticks_diff(now, self._since) >= self._timeout_ms:
                if self._state == _OPENING:
                    self._drop_link()
                    self._open_next()
                    return
                raise LinkError("no CONNACK in time")
            return
        if self._subscribing and ticks_diff(now, self._since) >= self._timeout_ms:
            raise LinkError("no SUBACK in time")
        if self._pinging and ticks_diff(now, self._ping_at) >= self._timeout_ms:
            raise LinkError("no PINGRESP in time")
        oldest = self._oldest_sent()
        if oldest is not None and ticks_diff(now, oldest) >= self._timeout_ms:
            raise LinkError("no PUBACK in time")
        self.brokers.stood(ticks_diff(now, self._since))
        if not self._pinging and self._quiet_ms(now) >= self._ping_every_ms():
            self._pinging = True
            self._ping_at = now
            self._must_send(PINGREQ)

    def _quiet_ms(self, now: int) -> int:
        """How long we have not sent, or not heard, whichever is longer."""
        return max(ticks_diff(now, self._sent_at), ticks_diff(now, self._heard_at))

    def _ping_every_ms(self) -> int:
        return self._keepalive_s * 500

    def _oldest_sent(self) -> int | None:
        return self._unacked[0][2] if self._unacked else None

    def _patience_ms(self) -> int:
        """How long nothing is due."""
        now = ticks_ms()
        if self._state != _UP or self._subscribing:
            return self._timeout_ms - ticks_diff(now, self._since)
        rest_ms = self._ping_every_ms() - self._quiet_ms(now)
        if self._pinging:
            rest_ms = self._timeout_ms - ticks_diff(now, self._ping_at)
        oldest = self._oldest_sent()
        if oldest is not None:
            rest_ms = min(rest_ms, self._timeout_ms - ticks_diff(now, oldest))
        return rest_ms

    def _lost(self, reason: str) -> None:
        told = self.brokers.told(reason)
        if self._state == GREETING:
            self.brokers.forget()  # its session may be one that it has just made
        self.brokers.failed(self._state != _UP or self._subscribing > 0)
        self._drop_link()
        self.on_down(told)

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None
        self._state = _DOWN
        self._subscribing = 0
        for entry in self._unacked:
            if entry[2] is not None:
                entry[1][0] |= _DUP
                entry[2] = None

    def _enter(self, state: int) -> None:
        self._state = state
        self._since = ticks_ms()

    def _next_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % 65_535 + 1
            if all(entry[0] != self._packet_id for entry in self._unacked):
                return self._packet_id

    def _check_size(self, packet: bytearray) -> None:
        if len(packet) > self.packet_bytes_max:
            raise ValueError("a packet of %d bytes, packet_bytes_max is %d" % (len(packet), self.packet_bytes_max))


def _ignore(*_: object) -> None:
    """Where nobody listens."""
