"""The messages of MQTT-SN, one class each; `packet` writes and reads them.

They are those of "MQTT For Sensor Networks (MQTT-SN) Protocol Specification", version 1.2 (A. Stanford-Clark, H. L. Truong, 2013),
chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeAlias

__all__ = [
    "PROTOCOL", "Advertise", "Code", "Connack", "Connect", "Disconnect", "Flags", "GwInfo", "IdType", "Message", "Packet",
    "PacketError", "PingReq", "PingResp", "PubAck", "PubComp", "PubRec", "PubRel", "Publish", "RegAck", "Register", "SearchGw",
    "SubAck", "Subscribe", "UnsubAck", "Unsubscribe", "WillMsg", "WillMsgReq", "WillMsgResp", "WillMsgUpd", "WillTopic", "WillTopicReq",
    "WillTopicResp", "WillTopicUpd",
]  # fmt: skip

PROTOCOL = 1
"""The protocol id of version 1.2."""
_NO_QOS = 3
"""The bits of QoS -1: a message without a connection."""


class PacketError(ValueError):
    """A datagram is no message of MQTT-SN."""


class Code(IntEnum):
    """Return codes (5.3.10)."""

    ACCEPTED = 0
    CONGESTION = 1
    INVALID_TOPIC_ID = 2
    NOT_SUPPORTED = 3


class IdType(IntEnum):
    """How a topic is named (5.3.4)."""

    NORMAL = 0
    PREDEFINED = 1
    SHORT = 2


@dataclass(frozen=True, slots=True)
class Flags:
    """The byte of flags (5.3.4). `qos` is -1 to 2."""

    dup: bool = False
    qos: int = 0
    retain: bool = False
    will: bool = False
    clean: bool = False
    id_type: IdType = IdType.NORMAL

    def byte(self) -> int:
        """As it travels."""
        return self.dup << 7 | (self.qos & _NO_QOS) << 5 | self.retain << 4 | self.will << 3 | self.clean << 2 | self.id_type

    @classmethod
    def of(cls, byte: int) -> Flags:
        """Read the byte.

        Raises:
            PacketError: the type of the topic id is the reserved one.
        """
        if byte & 3 == 3:  # noqa: PLR2004 - the reserved value
            raise PacketError("the type of the topic id is 3, which is none")
        qos = byte >> 5 & 3
        return cls(bool(byte & 0x80), -1 if qos == _NO_QOS else qos, bool(byte & 0x10), bool(byte & 8), bool(byte & 4), IdType(byte & 3))


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `form` is the struct format of what stands before the rest, which is the last field where there is one."""

    kind: ClassVar[int]
    """The byte that tells the type."""
    form: ClassVar[str] = ""
    has_rest: ClassVar[bool] = False
    is_optional: ClassVar[bool] = False
    """Whether all of the body may be missing."""


@dataclass(frozen=True, slots=True)
class _Coded(Message):
    """An answer that is a return code alone."""

    form: ClassVar[str] = "B"
    code: int = 0


@dataclass(frozen=True, slots=True)
class _Numbered(Message):
    """The id of the message that is meant, and no more."""

    form: ClassVar[str] = "H"
    message_id: int


@dataclass(frozen=True, slots=True)
class _TopicAnswer(Message):
    """An answer about a topic: its id, and a return code."""

    form: ClassVar[str] = "HHB"
    topic_id: int
    message_id: int
    code: int = 0


@dataclass(frozen=True, slots=True)
class _Wish(Message):
    """What a node wants to hear. `topic` is a name or a filter, a short name, or the two bytes of a predefined id, as the flags say."""

    form: ClassVar[str] = "BH"
    has_rest: ClassVar[bool] = True
    flags: Flags
    message_id: int
    topic: bytes


@dataclass(frozen=True, slots=True)
class _WillsTopic(Message):
    """The topic of a will; without a body there is none."""

    form: ClassVar[str] = "B"
    has_rest: ClassVar[bool] = True
    is_optional: ClassVar[bool] = True
    flags: Flags = Flags()
    topic: bytes = b""


@dataclass(frozen=True, slots=True)
class _WillsPayload(Message):
    """The payload of a will."""

    has_rest: ClassVar[bool] = True
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Advertise(Message):
    """A gateway tells that it is there, and again within `duration_s`."""

    kind: ClassVar[int] = 0x00
    form: ClassVar[str] = "BH"
    gateway: int
    duration_s: int


@dataclass(frozen=True, slots=True)
class SearchGw(Message):
    """Somebody looks for a gateway."""

    kind: ClassVar[int] = 0x01
    form: ClassVar[str] = "B"
    radius: int = 0


@dataclass(frozen=True, slots=True)
class GwInfo(Message):
    """Which gateway is there."""

    kind: ClassVar[int] = 0x02
    form: ClassVar[str] = "B"
    has_rest: ClassVar[bool] = True
    gateway: int
    address: bytes = b""


@dataclass(frozen=True, slots=True)
class Connect(Message):
    """A node comes. `duration_s` is its keep-alive."""

    kind: ClassVar[int] = 0x04
    form: ClassVar[str] = "BBH"
    has_rest: ClassVar[bool] = True
    flags: Flags
    protocol: int = PROTOCOL
    duration_s: int = 60
    client_id: bytes = b""


@dataclass(frozen=True, slots=True)
class Connack(_Coded):
    """Whether it is let in."""

    kind: ClassVar[int] = 0x05


@dataclass(frozen=True, slots=True)
class WillTopicReq(Message):
    """Asks for the topic of the will."""

    kind: ClassVar[int] = 0x06


@dataclass(frozen=True, slots=True)
class WillTopic(_WillsTopic):
    """The topic of the will; without a body there is none."""

    kind: ClassVar[int] = 0x07


@dataclass(frozen=True, slots=True)
class WillMsgReq(Message):
    """Asks for the will's payload."""

    kind: ClassVar[int] = 0x08


@dataclass(frozen=True, slots=True)
class WillMsg(_WillsPayload):
    """The will's payload."""

    kind: ClassVar[int] = 0x09


@dataclass(frozen=True, slots=True)
class Register(Message):
    """A topic id for a topic; from a node the id is 0."""

    kind: ClassVar[int] = 0x0A
    form: ClassVar[str] = "HH"
    has_rest: ClassVar[bool] = True
    topic_id: int
    message_id: int
    topic: bytes


@dataclass(frozen=True, slots=True)
class RegAck(_TopicAnswer):
    """The answer, with the id."""

    kind: ClassVar[int] = 0x0B


@dataclass(frozen=True, slots=True)
class Publish(Message):
    """A message. A short topic's two characters stand in the place of the id."""

    kind: ClassVar[int] = 0x0C
    form: ClassVar[str] = "BHH"
    has_rest: ClassVar[bool] = True
    flags: Flags
    topic_id: int
    message_id: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class PubAck(_TopicAnswer):
    """It has come, or why not."""

    kind: ClassVar[int] = 0x0D


@dataclass(frozen=True, slots=True)
class PubComp(_Numbered):
    """QoS 2."""

    kind: ClassVar[int] = 0x0E


@dataclass(frozen=True, slots=True)
class PubRec(_Numbered):
    """QoS 2."""

    kind: ClassVar[int] = 0x0F


@dataclass(frozen=True, slots=True)
class PubRel(_Numbered):
    """QoS 2."""

    kind: ClassVar[int] = 0x10


@dataclass(frozen=True, slots=True)
class Subscribe(_Wish):
    """It wants to hear this."""

    kind: ClassVar[int] = 0x12


@dataclass(frozen=True, slots=True)
class SubAck(Message):
    """`flags` has the QoS that is granted; `topic_id` is 0 where it was a filter."""

    kind: ClassVar[int] = 0x13
    form: ClassVar[str] = "BHHB"
    flags: Flags
    topic_id: int
    message_id: int
    code: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe(_Wish):
    """It wants to hear this no more."""

    kind: ClassVar[int] = 0x14


@dataclass(frozen=True, slots=True)
class UnsubAck(_Numbered):
    """Done."""

    kind: ClassVar[int] = 0x15


@dataclass(frozen=True, slots=True)
class PingReq(Message):
    """It is there; with its client id, it has woken up and asks for what waits."""

    kind: ClassVar[int] = 0x16
    has_rest: ClassVar[bool] = True
    client_id: bytes = b""


@dataclass(frozen=True, slots=True)
class PingResp(Message):
    """The answer; to who has woken up it says that nothing waits any more."""

    kind: ClassVar[int] = 0x17


@dataclass(frozen=True, slots=True)
class Disconnect(Message):
    """It goes; with a duration (not 0) it sleeps that long."""

    kind: ClassVar[int] = 0x18
    form: ClassVar[str] = "H"
    is_optional: ClassVar[bool] = True
    duration_s: int = 0


@dataclass(frozen=True, slots=True)
class WillTopicUpd(_WillsTopic):
    """Another topic for the will; without a body there is no will any more."""

    kind: ClassVar[int] = 0x1A


@dataclass(frozen=True, slots=True)
class WillTopicResp(_Coded):
    """Whether it is taken."""

    kind: ClassVar[int] = 0x1B


@dataclass(frozen=True, slots=True)
class WillMsgUpd(_WillsPayload):
    """Another payload for the will."""

    kind: ClassVar[int] = 0x1C


@dataclass(frozen=True, slots=True)
class WillMsgResp(_Coded):
    """Whether it is taken."""

    kind: ClassVar[int] = 0x1D


Packet: TypeAlias = (
    Advertise | SearchGw | GwInfo | Connect | Connack | WillTopicReq | WillTopic | WillMsgReq | WillMsg | Register | RegAck | Publish
    | PubAck | PubComp | PubRec | PubRel | Subscribe | SubAck | Unsubscribe | UnsubAck | PingReq | PingResp | Disconnect | WillTopicUpd
    | WillTopicResp | WillMsgUpd | WillMsgResp
)  # fmt: skip
