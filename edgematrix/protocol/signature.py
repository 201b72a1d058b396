"""Signatures of messages: the last attribute of a JSON object, over the bytes before it and where they are to go.

`{…,"signature":"ALGORITHM.KEY.EPOCH.SEQUENCE.UNTIL.SIGNATURE"}` (docs/spec/topics.md, "Signed messages"). Any reader of JSON reads such a
message as it is. Whoever checks it cuts the attribute off, checks the bytes before it, and reads nothing else: what was not signed,
such as a key that is there twice, means nothing to anybody.
"""

from __future__ import annotations

import base64
import re

import msgspec

from edgematrix.errors import CodecError, SignatureError
from edgematrix.protocol.event import NUMBER_MAX

__all__ = ["KEY_ID", "Stamp", "Token", "attach", "detach", "signed_bytes"]

KEY_ID = r"[0-9a-f]{16}"
"""The form of a key's id."""
_DOMAIN = b"edgematrix-message-1"
_HEAD = b',"signature":"'
_NUMBER = r"(0|[1-9][0-9]{0,15})"
_TOKEN = re.compile(rf"([a-z0-9]{{1,16}})\.({KEY_ID})\.{_NUMBER}\.{_NUMBER}\.{_NUMBER}\.([A-Za-z0-9_-]{{22,128}})".encode())
_TAIL_BYTES_MAX = len(_HEAD) + 16 + 16 + 3 * 16 + 128 + 5 + 2


class Stamp(msgspec.Struct, frozen=True):
    """What is signed beside the message and its topic.

    `key_id` tells whose key it is, `epoch` and `sequence` count what was signed with it for a topic, `until_s` is the second (since 1970)
    from which on it is worth nothing; 0: never.
    """

    algorithm: str
    key_id: str
    epoch: int
    sequence: int
    until_s: int

    def text(self) -> str:
        """As it stands in the message."""
        return f"{self.algorithm}.{self.key_id}.{self.epoch}.{self.sequence}.{self.until_s}"


class Token(msgspec.Struct, frozen=True):
    """A signature as it came: the stamp, and the bytes that prove it."""

    stamp: Stamp
    signature: bytes


def signed_bytes(topic: str, stamp: Stamp, payload: bytes) -> bytes:
    """What a signature is made of: a tag of its own, the topic and the stamp with their lengths, and the message without its last brace.

    Args:
        payload: the message without a signature.
    """
    where, about = topic.encode(), stamp.text().encode()
    return b"%s %d:%s %d:%s %s" % (_DOMAIN, len(where), where, len(about), about, payload[:-1])


def attach(payload: bytes, stamp: Stamp, signature: bytes) -> bytes:
    """The message with its signature.

    Raises:
        CodecError: it is no JSON object with an attribute, as they are written here.
    """
    if payload[:2] != b'{"' or payload[-1:] != b"}":
        raise CodecError("only a JSON object that has attributes can be signed")
    return b'%s%s%s.%s"}' % (payload[:-1], _HEAD, stamp.text().encode(), base64.urlsafe_b64encode(signature).rstrip(b"="))


def detach(payload: bytes) -> tuple[bytes, Token]:
    """The message without its signature, and the signature, of which nothing is checked yet.

    Raises:
        SignatureError: there is none.
    """
    start = payload.rfind(_HEAD, max(0, len(payload) - _TAIL_BYTES_MAX))
    found = None if start < 1 or payload[-2:] != b'"}' else _TOKEN.fullmatch(payload, start + len(_HEAD), len(payload) - 2)
    if found is None:
        raise SignatureError("it is not signed")
    algorithm, key_id, epoch, sequence, until_s, text = found.groups()
    numbers = int(epoch), int(sequence), int(until_s)
    signature = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
    if max(numbers) > NUMBER_MAX or base64.urlsafe_b64encode(signature).rstrip(b"=") != text:  # each signature has one form only
        raise SignatureError("its signature is malformed")
    return payload[:start] + b"}", Token(Stamp(algorithm.decode(), key_id.decode(), *numbers), signature)
