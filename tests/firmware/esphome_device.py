"""A device for tests that speaks ESPHome's native API, in plain text or encrypted: some entities, and what is asked of them."""

from __future__ import annotations

import base64
import io
import socket
import threading
from typing import Any

from aioesphomeapi import api_pb2 as pb
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from cryptography.exceptions import InvalidTag
from noise.connection import NoiseConnection  # type: ignore[import-untyped]

_NUMBER = {proto: number for number, proto in MESSAGE_TYPE_TO_PROTO.items()}
ENTITIES = [
    pb.ListEntitiesSensorResponse(object_id="level", key=1, name="Level"),
    pb.ListEntitiesSwitchResponse(object_id="pump", key=2, name="Pump"),
    pb.ListEntitiesNumberResponse(object_id="speed", key=3, name="Speed", min_value=0, max_value=10, step=1),
    pb.ListEntitiesLightResponse(object_id="lamp", key=4, name="Lamp"),
    pb.ListEntitiesBinarySensorResponse(object_id="door", key=5, name="Door"),
]


class EsphomeDevice:
    """Listens on a port of its own, for one connection after the other. `key` is that of its encryption, base64; empty for none."""

    def __init__(self, port: int = 0, key: str = "") -> None:
        self._key = key
        self._noise: Any = None
        self.asked: list[Any] = []
        self.changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def tell(self, message: Any) -> None:
        """Send a state."""
        if self._connection is not None:
            payload, number = message.SerializeToString(), _NUMBER[type(message)]
            if self._noise is None:
                self._connection.sendall(b"\0" + _varint(len(payload)) + _varint(number) + payload)
            else:
                plain = number.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload
                self._connection.sendall(_frame(self._noise.encrypt(plain)))

    def wait_for(self, kind: type, wait_s: float = 60.0) -> Any:
        """The next message of a type that the bridge sends."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(isinstance(one, kind) for one in self.asked), wait_s), self.asked
            found = next(one for one in self.asked if isinstance(one, kind))
            self.asked.remove(found)
            return found

    def hang_up(self) -> None:
        """As a power cut does."""
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._connection = connection
                try:
                    self._talk(connection)
                except (OSError, EOFError):
                    pass
                self._connection = None

    def _talk(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        self._noise = None
        if self._key:
            self._noise = _greet(connection, stream, self._key)
        while True:
            number, data = self._read_plain(stream) if self._noise is None else self._read_noise(stream)
            message = MESSAGE_TYPE_TO_PROTO[number]()
            message.ParseFromString(data)
            with self.changed:
                self.asked.append(message)
                self.changed.notify_all()
            for answer in self._answers(message):
                self.tell(answer)

    def _read_plain(self, stream: io.BufferedReader) -> tuple[int, bytes]:
        assert stream.read(1) in (b"\0", b""), "the bridge speaks plain text"
        size, number = _read_varint(stream), _read_varint(stream)
        return number, stream.read(size)

    def _read_noise(self, stream: io.BufferedReader) -> tuple[int, bytes]:
        plain = self._noise.decrypt(_read_frame(stream))
        return int.from_bytes(plain[:2], "big"), plain[4 : 4 + int.from_bytes(plain[2:4], "big")]

    def _answers(self, message: Any) -> list[Any]:
        if isinstance(message, pb.SwitchCommandRequest):
            return [pb.SwitchStateResponse(key=message.key, state=message.state)]
        return _ANSWERS.get(type(message), [])


_ANSWERS: dict[type, list[Any]] = {
    pb.HelloRequest: [pb.HelloResponse(api_version_major=1, api_version_minor=10, server_info="fake", name="fake")],
    pb.DeviceInfoRequest: [pb.DeviceInfoResponse(name="fake", mac_address="AA:BB:CC:DD:EE:FF")],
    pb.ListEntitiesRequest: [*ENTITIES, pb.ListEntitiesDoneResponse()],
    pb.SubscribeStatesRequest: [
        pb.SensorStateResponse(key=1, state=21.5),
        pb.SwitchStateResponse(key=2, state=False),
        pb.BinarySensorStateResponse(key=5),
    ],
    pb.PingRequest: [pb.PingResponse()],
    pb.DisconnectRequest: [pb.DisconnectResponse()],
}


def _greet(connection: socket.socket, stream: io.BufferedReader, key: str) -> Any:
    """What a device answers who wants to be encrypted: its name, then its half of the handshake; a wrong key is told, and ends it."""
    noise = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256")
    noise.set_as_responder()
    noise.set_psks(base64.b64decode(key))
    noise.set_prologue(b"NoiseAPIInit\0\0")
    noise.start_handshake()
    assert _read_frame(stream) == b"", "the bridge greets first"
    asked = _read_frame(stream)
    connection.sendall(_frame(b"\1fake\0aabbccddeeff\0"))
    try:
        noise.read_message(asked[1:])
    except InvalidTag:
        connection.sendall(_frame(b"\1Handshake MAC failure"))
        raise EOFError from None
    connection.sendall(_frame(b"\0" + noise.write_message()))
    return noise


def _frame(data: bytes) -> bytes:
    return b"\1" + len(data).to_bytes(2, "big") + data


def _read_frame(stream: io.BufferedReader) -> bytes:
    head = stream.read(3)
    if len(head) < 3:
        raise EOFError
    assert head[0] == 1, "the bridge speaks encrypted"
    return stream.read(int.from_bytes(head[1:], "big"))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(stream: Any) -> int:
    number = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            raise EOFError
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
        shift += 7
