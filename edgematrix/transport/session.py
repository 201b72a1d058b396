"""The conversation with the broker around the messages: greeting, subscriptions, pings, farewell. paho speaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgematrix.transport.connection import Version
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.paho_client import BufferedSocket, PahoClient
from edgematrix.transport.settings import Settings
from edgematrix.transport.subscriptions import identifier_of

__all__ = ["Greeting", "Session", "SessionOwner", "puback_reason"]

_FILTERS_A_PACKET = 50
_WINDOW_DEFAULT = 65_535
_PACKET_BYTES_DEFAULT = 268_435_460
"""What MQTT can carry: a first byte, four of length, and as much as they can say."""
_VERSION_REFUSED = 0x84
_TAKEN_OVER = 0x8E
_FAILURE = 0x80
_TRANSIENT = frozenset({0x80, 0x88, 0x89, 0x97, 0x9F})
"""CONNACK reasons that may pass: unspecified, unavailable, busy, quota exceeded, connection rate exceeded (MQTT 5, 3.2.2.2)."""
_BANNING = frozenset({0x87, 0x8A, 0x8C})
"""DISCONNECT reasons that a new attempt would only meet again: not authorized, banned, bad authentication method."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the broker allows (MQTT 5, 3.2.2.3; 3.1.1 says only whether the session is there)."""

    session_present: bool
    identified: bool
    window: int = _WINDOW_DEFAULT
    packet_bytes_max: int = _PACKET_BYTES_DEFAULT
    retain: bool = True
    qos_max: int = 1


class SessionOwner(Protocol):
    """Who is told how the conversation goes."""

    def greeted(self, greeting: Greeting) -> None:
        """The broker took us in."""

    def turned_away(self, reason: str, *, version: bool, again: bool) -> None:
        """The broker did not: because of the version, or for something that may pass (`again`), or for good."""

    def subscribed(self, topic_filter: str, refusal: str) -> None:
        """One filter was answered; `refusal` is empty if it was granted."""

    def broken(self, reason: str, *, again: bool) -> None:
        """The conversation cannot go on."""

    def published(self, topic: str, payload: bytes, head: int, packet_id: int, identifiers: tuple[int, ...]) -> None:
        """A message of QoS 2 came in, which paho has confirmed: nobody here asks for it, an older session may have."""

    def unreadable(self, topic: str, reason: str, packet_id: int) -> None:
        """A message of QoS 2 was thrown away."""


class Session:
    """One conversation, over one connection.

    Args:
        owner: is told what the broker said, once a packet has been handled whole.
        write: sends bytes.
    """

    def __init__(
        self,
        owner: SessionOwner,
        endpoint: Endpoint,
        settings: Settings,
        version: Version,
        write: Callable[[bytes | bytearray], None],
    ) -> None:
        self._owner = owner
        self._endpoint = endpoint
        self._settings = settings
        self._v5 = version is Version.MQTT_5
        self._socket = BufferedSocket(write)
        self._said: list[Callable[[], None]] = []
        self._asked: dict[int, list[str]] = {}
        self._identified = False
        self._over = False
        self._client = self._make_client()

    @property
    def keepalive_s(self) -> int:
        """How often something has to be heard; the broker may have set it."""
        return self._client.keepalive

    def greet(self) -> None:
        """Send CONNECT."""
        settings, endpoint = self._settings, self._endpoint
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = settings.packet_bytes_max
            properties.ReceiveMaximum = settings.receive_max
            if settings.session_expiry_s:
                properties.SessionExpiryInterval = settings.session_expiry_s
            clean = settings.session_expiry_s == 0
            self._client.connect(endpoint.host, endpoint.port, settings.keepalive_s, clean_start=clean, properties=properties)
        else:
            self._client.connect(endpoint.host, endpoint.port, settings.keepalive_s)
        self._settle()

    def take(self, frame: bytes) -> None:
        """Handle a packet that is no message."""
        if not self._over:
            self._socket.fill(frame)
            self._client.loop_read()
            self._settle()

    def tick(self) -> None:
        """Send a ping if it is time, and find out whether the last one had an answer."""
        if not self._over:
            self._client.loop_misc()
            self._settle()

    def subscribe(self, filters: Mapping[str, int]) -> None:
        """Ask for filters, each with its QoS."""
        if self._identified:
            for topic_filter, qos in filters.items():
                properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
                properties.SubscriptionIdentifier = identifier_of(topic_filter)
                self._ask([(topic_filter, qos)], properties)
        else:
            pending = list(filters.items())
            for start in range(0, len(pending), _FILTERS_A_PACKET):
                self._ask(pending[start : start + _FILTERS_A_PACKET], None)
        self._settle()

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Ask for filters no longer."""
        pending = list(filters)
        for start in range(0, len(pending), _FILTERS_A_PACKET):
            self._client.unsubscribe(pending[start : start + _FILTERS_A_PACKET])
        self._settle()

    def farewell(self) -> None:
        """Send DISCONNECT: the broker publishes no will."""
        self._over = True
        self._client.disconnect()
        self._client.loop_write()

    def end(self) -> None:
        """Nothing is to be said any more."""
        self._over = True

    def _make_client(self) -> PahoClient:
        settings, endpoint = self._settings, self._endpoint
        client = PahoClient(
            client_id=settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            clean_session=settings.session_expiry_s == 0,
            buffered=self._socket,
        )
        if endpoint.username is not None:
            client.username_pw_set(endpoint.username, endpoint.password)
        will = settings.will
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _ask(self, filters: list[tuple[str, int]], properties: Properties | None) -> None:
        if self._v5:
            not_ours = self._settings.not_ours
            topics: Any = [(name, SubscribeOptions(qos=qos, noLocal=name in not_ours)) for name, qos in filters]
        else:
            topics = filters
        _, packet_id = self._client.subscribe(topics, properties=properties)
        if packet_id is not None:
            self._asked[packet_id] = [topic_filter for topic_filter, _ in filters]

    def _settle(self) -> None:
        """Let paho's bytes go out, and tell the owner what paho's callbacks noted: paho holds locks while it calls them."""
        if self._client.want_write():
            self._client.loop_write()
        said, self._said = self._said, []
        for tell in said:
            tell()

    def _on_connect(self, _client: object, _data: object, flags: Any, reason: ReasonCode, properties: Properties | None) -> None:
        if reason.value < _FAILURE:
            greeting = self._greeting(flags.session_present, properties)
            self._identified = greeting.identified
            self._said.append(lambda: self._owner.greeted(greeting))
            return
        self._over = True
        text = str(reason)
        version, again = reason.value == _VERSION_REFUSED, reason.value in _TRANSIENT
        self._said.append(lambda: self._owner.turned_away(text, version=version, again=again))

    def _greeting(self, session_present: bool, properties: Properties | None) -> Greeting:
        if not self._v5 or properties is None:
            return Greeting(session_present=session_present, identified=False)
        return Greeting(
            session_present=session_present,
            identified=bool(getattr(properties, "SubscriptionIdentifierAvailable", 1)),
            window=getattr(properties, "ReceiveMaximum", _WINDOW_DEFAULT),
            packet_bytes_max=getattr(properties, "MaximumPacketSize", _PACKET_BYTES_DEFAULT),
            retain=bool(getattr(properties, "RetainAvailable", 1)),
            qos_max=getattr(properties, "MaximumQoS", 1),
        )

    def _on_subscribe(self, _client: object, _data: object, packet_id: int, reasons: list[ReasonCode], _properties: object) -> None:
        filters = self._asked.pop(packet_id, [])
        answers = [(name, str(reason) if reason.value >= _FAILURE else "") for name, reason in zip(filters, reasons, strict=False)]
        answers += [(name, "the broker did not answer for it") for name in filters[len(reasons) :]]

        def tell() -> None:
            for name, refusal in answers:
                self._owner.subscribed(name, refusal)

        self._said.append(tell)

    def _on_message(self, _client: object, _data: object, message: MQTTMessage) -> None:
        head = 0x30 | message.qos << 1 | message.retain
        payload = bytes(message.payload)
        identifiers = tuple(getattr(message.properties, "SubscriptionIdentifier", ()))
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._said.append(lambda: self._owner.unreadable("?", "its topic is not valid UTF-8", 0))
        else:
            self._said.append(lambda: self._owner.published(topic, payload, head, 0, identifiers))

    def _on_disconnect(self, _client: object, _data: object, flags: Any, reason: ReasonCode, _properties: object) -> None:
        if self._over:
            return
        self._over = True
        text = str(reason)
        again = True
        if flags.is_disconnect_packet_from_server:
            again = reason.value not in _BANNING
            text = f"the broker ended the session: {text}"
            if reason.value == _TAKEN_OVER:
                text += f"; another client has the id {self._settings.client_id!r}"
        elif text == "Keep alive timeout":
            text = f"no answer to a ping for {self._client.keepalive} s"
        self._said.append(lambda: self._owner.broken(text, again=again))


def puback_reason(code: int) -> str:
    """What a PUBACK's reason code says (MQTT 5, 3.4.2.1)."""
    try:
        return ReasonCode(PacketTypes.PUBACK, identifier=code).getName()
    except KeyError:
        return f"reason code {code:#04x}"
