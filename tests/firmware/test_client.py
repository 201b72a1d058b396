"""The client against a server that is scripted byte by byte."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from firmware_bench import Server

from firmware_bridge.upy import link, packet
from firmware_bridge.upy.client import Client

Serve = Callable[[Callable[[socket.socket, int], None]], Server]

CONNACK = b"\x20\x02\x00\x00"
RESUMED = b"\x20\x02\x01\x00"
WAIT_S = 60.0


def read_packet(connection: socket.socket) -> bytes:
    """One packet as the server gets it."""
    head = connection.recv(1)
    if not head:
        raise OSError
    length = shift = 0
    digits = b""
    while True:
        digit = connection.recv(1)
        digits += digit
        length |= (digit[0] & 0x7F) << shift
        shift += 7
        if not digit[0] & 0x80:
            break
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return head + digits + body


def suback(subscribe: bytes) -> bytes:
    return b"\x90\x03" + subscribe[2:4] + b"\x01"


def pump(client: Client, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not until():
        assert time.monotonic() < deadline, "the client did not get there"
        client.step(20)


def client_of(port: int, **options: Any) -> Client:
    return Client("127.0.0.1", port, "c", **{"timeout_ms": 500, "retry_ms": 5, "retry_ms_max": 20, **options})


class Recorder:
    """A script that answers as told and keeps what it got, by connection."""

    def __init__(self, *answers: Callable[[bytes], bytes | None]) -> None:
        self.got: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self._answers = answers

    def __call__(self, connection: socket.socket, number: int) -> None:
        answer = self._answers[min(number, len(self._answers)) - 1]
        while True:
            found = read_packet(connection)
            self.got.put((number, found))
            reply = answer(found)
            if reply is None:
                return
            connection.sendall(reply)

    def packets(self) -> list[tuple[int, bytes]]:
        return [self.got.get_nowait() for _ in range(self.got.qsize())]


def well_behaved(found: bytes) -> bytes:
    return {0x10: CONNACK, 0xC0: b"\xd0\x00"}.get(found[0]) or (suback(found) if found[0] == 0x82 else puback_of(found))


def resuming(found: bytes) -> bytes:
    return RESUMED if found[0] == 0x10 else well_behaved(found)


def puback_of(found: bytes) -> bytes:
    if found[0] & 0xF6 != 0x32:
        return b""
    size = found[2] << 8 | found[3]
    return b"\x40\x02" + found[4 + size : 6 + size]


def drops_publishes(found: bytes) -> bytes | None:
    return None if found[0] >> 4 == 3 else well_behaved(found)


def kinds(packets: list[tuple[int, bytes]], number: int) -> list[int]:
    return [found[0] >> 4 for connection, found in packets if connection == number]


def test_a_first_session_is_subscribed_even_if_the_broker_knew_us(server: Serve) -> None:
    """The program may be a new one, with other ports."""
    script = Recorder(resuming)
    ready = []
    client = client_of(server(script).port)
    client.subscribe("em/in/c/+")
    client.on_ready = lambda: ready.append(1)
    pump(client, lambda: bool(ready))
    assert kinds(script.packets(), 1) == [1, 8]
    client.close()


@pytest.mark.parametrize(("second", "expected"), [(resuming, [1, 3]), (well_behaved, [1, 8, 3])])
def test_a_lost_session_is_subscribed_anew_and_a_kept_one_is_not(
    second: Callable[[bytes], bytes], expected: list[int], server: Serve
) -> None:
    script = Recorder(drops_publishes, second)
    ready: list[int] = []
    client = client_of(server(script).port)
    client.subscribe("em/in/c/+")
    client.on_ready = lambda: ready.append(1)
    pump(client, lambda: len(ready) == 1)
    assert client.publish("t", b"1", 1)
    pump(client, lambda: len(ready) == 2 and not client.unacked)
    assert kinds(script.packets(), 2) == expected
    client.close()


def test_an_unacknowledged_message_goes_out_again_as_a_duplicate_with_its_id(server: Serve) -> None:
    script = Recorder(drops_publishes, resuming)
    client = client_of(server(script).port)
    pump(client, lambda: client.up)
    client.publish("t", b"first", 1)
    client.publish("t", b"second", 1)
    pump(client, lambda: client.unacked == 0)
    sent = [(number, found) for number, found in script.packets() if found[0] >> 4 == 3]
    assert sent[0][1] == packet.publish("t", b"first", 1, False, 1)
    again = [found for number, found in sent if number == 2]
    assert [found[0] for found in again] == [0x3A, 0x3A]
    assert [found[1:] for found in again] == [
        bytes(packet.publish("t", body, 1, False, place + 1)[1:]) for place, body in enumerate((b"first", b"second"))
    ]
    client.close()


def test_messages_wait_for_a_connection_up_to_their_bound(server: Serve) -> None:
    script = Recorder(well_behaved)
    client = client_of(server(script).port, unacked_max=3)
    assert [client.publish("t", bytes([n]), 1) for n in range(5)] == [True, True, True, False, False]
    assert not client.publish("t", b"lost", 0)
    assert client.publish("s", b"old", 1, force=True)
    assert client.publish("s", b"new", 1, force=True)
    assert client.unacked == 4
    pump(client, lambda: client.up and client.unacked == 0)
    bodies = [found[6 + 1 :] for _, found in script.packets() if found[0] >> 4 == 3]
    assert bodies == [b"\0", b"\1", b"\2", b"new"]
    client.close()


def test_packet_ids_wrap_and_pass_over_those_in_use(server: Serve) -> None:
    script = Recorder(well_behaved)
    client = client_of(server(script).port)
    client._packet_id = 65_534
    for _ in range(3):
        client.publish("t", b"", 1)
    pump(client, lambda: client.up and client.unacked == 0)
    ids = [int.from_bytes(found[5:7], "big") for _, found in script.packets() if found[0] >> 4 == 3]
    assert ids == [65_535, 1, 2]
    client.close()


def test_every_packet_is_one_write(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = link.Link._write

    def counted(self: link.Link, data: bytes | bytearray) -> int:
        written.append(data[0] >> 4)
        return write(self, data)

    monkeypatch.setattr(link.Link, "_write", counted)
    script = Recorder(well_behaved)
    client = client_of(server(script).port)
    client.subscribe("f")
    pump(client, lambda: client.up and client.brokers.subscribed)
    client.publish("topic", b"payload" * 10, 1)
    client.publish("topic", b"payload", 0)
    pump(client, lambda: client.unacked == 0)
    client.close()
    assert written == [1, 8, 3, 3, 14]


def test_silence_is_pinged(server: Serve) -> None:
    script = Recorder(well_behaved)
    client = client_of(server(script).port, keepalive_s=1)
    found: list[int] = []

    def pinged() -> bool:
        found.extend(found_packet[0] for _, found_packet in script.packets())
        return found.count(0xC0) >= 2

    pump(client, pinged)
    assert found == [0x10, 0xC0, 0xC0]
    client.close()


def test_a_server_that_reads_nothing_is_left(server: Serve) -> None:
    """QoS 0 is refused once the system's buffers and ours are full; the ping that does not fit ends the connection."""
    downs: list[str] = []

    def deaf(connection: socket.socket, _: int) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        read_packet(connection)
        connection.sendall(CONNACK)
        time.sleep(0.01)
        while not downs and time.monotonic() < deadline:
            time.sleep(0.01)

    deadline = time.monotonic() + WAIT_S
    client = client_of(server(deaf).port, keepalive_s=1)
    client.on_down = downs.append
    pump(client, lambda: client.up)
    sent = True
    for _ in range(20_000):
        sent = client.publish("t", bytes(900))
        if not sent:
            break
    assert not sent
    pump(client, lambda: bool(downs))
    assert downs[0] in ("the broker does not read what we send", "no PINGRESP in time")
    client.close()


def test_a_handler_may_not_step(server: Serve) -> None:
    def publishing(found: bytes) -> bytes:
        return CONNACK + b"\x30\x04\x00\x01tx" if found[0] == 0x10 else b""

    client = client_of(server(Recorder(publishing)).port)
    client.on_message = lambda *_: client.step(0)
    with pytest.raises(RuntimeError, match="inside a handler"):
        pump(client, lambda: False)
    client.close()


@pytest.mark.parametrize("option", [{"keepalive_s": 0}, {"timeout_ms": 0}, {"retry_ms": 0}, {"packet_bytes_max": 100}, {"unacked_max": 0}])
def test_options_that_cannot_work_are_refused(option: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="start at 1"):
        client_of(1883, **option)


def test_a_packet_beyond_its_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="packet_bytes_max is 128"):
        client_of(1883, packet_bytes_max=128).publish("t", bytes(200), 1)


def test_a_session_of_whose_beginning_nothing_was_heard_is_subscribed(server: Serve) -> None:
    """The broker took the greeting and made a session; that it was a new one was never heard."""
    script = Recorder(drops_publishes, lambda _: None, resuming)
    ready = []
    client = client_of(server(script).port)
    client.subscribe("em/in/c/+")
    client.on_ready = lambda: ready.append(1)
    pump(client, lambda: len(ready) == 1)
    client.publish("t", b"1", 1)
    pump(client, lambda: len(ready) == 2)
    assert 8 in kinds(script.packets(), 3)
    client.close()


def closes(_: bytes) -> bytes | None:
    return None


def refuses(found: bytes) -> bytes | None:
    return b"\x20\x02\x00\x05" if found[0] == 0x10 else None


def test_the_next_broker_is_tried_after_each_attempt_that_failed(server: Serve) -> None:
    first, second, third = Recorder(closes), Recorder(refuses), Recorder(drops_publishes, well_behaved)
    ports = [server(script).port for script in (first, second, third)]
    down: list[str] = []
    ready: list[str] = []
    client = client_of(ports[0], others=[("127.0.0.1", port) for port in ports[1:]])
    client.subscribe("em/in/c/+")
    client.on_down = down.append
    client.on_ready = lambda: ready.append("{}:{}".format(*client.brokers.place))
    pump(client, lambda: len(ready) == 1)
    assert [reason.partition(": ")[0] for reason in down] == [f"127.0.0.1:{port}" for port in ports[:2]]
    client.publish("t", b"1", 1)
    pump(client, lambda: len(ready) == 2)
    assert ready == [f"127.0.0.1:{ports[2]}"] * 2, "after a connection that broke the same one comes first: it has the session"
    client.close()


def test_where_all_brokers_refuse_it_rests_the_longest_time(server: Serve) -> None:
    ports = [server(Recorder(refuses)).port for _ in range(2)]
    down: list[str] = []
    client = client_of(ports[0], others=[("127.0.0.1", ports[1])], retry_ms_max=60_000)
    client.on_down = down.append
    pump(client, lambda: len(down) == 2)
    assert client.brokers.rest_ms > 20_000
    client.close()


def test_what_is_known_of_one_broker_is_not_believed_of_another(server: Serve) -> None:
    """Each has sessions of its own, unless they share them: then it says that it has ours."""
    first, second = Recorder(drops_publishes, closes), Recorder(drops_publishes, resuming)
    ports = [server(script).port for script in (first, second)]
    ready = []
    client = client_of(ports[0], others=[("127.0.0.1", ports[1])])
    client.subscribe("em/in/c/+")
    client.on_ready = lambda: ready.append(client.brokers.at)
    pump(client, lambda: len(ready) == 1)
    client.publish("t", b"1", 1)
    pump(client, lambda: len(ready) == 3 and not client.unacked)
    assert ready == [0, 1, 1]
    packets = second.packets()
    assert [8 in kinds(packets, number) for number in (1, 2)] == [True, False]
    client.close()


@pytest.mark.parametrize("others", [[("a", "b")], [("a", 1)] * 16, [("a",)], [7]])
def test_brokers_that_are_none_are_refused(others: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        client_of(1, others=others)
