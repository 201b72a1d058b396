"""What goes wrong between a client and a broker, with real ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
from behaviour import QUICK
from listening import Client, Ears, clients, run
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.publish import multiple
from real_broker import BrokerPlace

from edgematrix.errors import AccessRefusedError, QueueFullError, TopicError
from edgematrix.protocol.message import Publication
from edgematrix.transport.connection import Change, State, Version
from edgematrix.transport.endpoint import Endpoint
from edgematrix.transport.frame import puback, publish, topic_field
from edgematrix.transport.memory import MemoryTransport
from edgematrix.transport.memory_bus import MemoryBus
from edgematrix.transport.paho import PahoTransport
from edgematrix.transport.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker_process import BrokerProcess

KINDS = pytest.mark.parametrize("kind", ["mosquitto", "nats"])


def make(url: str, **settings: Any) -> PahoTransport:
    return PahoTransport(Endpoint.parse(url), Settings(client_id="one", **({"backoff": QUICK} | settings)))


@KINDS
def test_a_broker_that_is_killed_and_comes_back_is_found_again(own_broker: Callable[..., BrokerProcess], kind: str) -> None:
    async def test() -> None:
        broker = own_broker(kind)
        broker.start()
        place = BrokerPlace(broker)
        async with clients(place, "one", backoff=QUICK) as (one,):
            one.transport.subscribe({"a/#": 1})
            await place.settled(one)
            broker.kill()
            await one.ears.until(lambda ears: len(ears.outages) == 1)
            for number in range(100):
                one.transport.publish(Publication("a/1", b"%d" % number, 1))
            await asyncio.sleep(0.5)
            broker.start()
            await one.heard(*(b"%d" % number for number in range(100)))
            assert len(one.ears.outages) == 1
            assert one.ears.drops == []

    run(test())


def test_a_session_that_outlived_a_restart_is_not_asked_again(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto", more="user root\npersistence true\npersistence_location {directory}/")
        broker.start()
        place = BrokerPlace(broker)
        durable = {"session_expiry_s": 60, "backoff": QUICK}
        async with clients(place, "other", backoff=QUICK) as (other,), clients(place, "one", **durable) as (one,):
            one.transport.subscribe({"a": 1})
            await place.settled(one)
            broker.stop()
            broker.start()
            await one.online(times=2)
            await other.online(times=2)
            assert one.ears.connections == [False, True]
            other.transport.publish(Publication("a", b"1", 1))
            await one.heard(b"1")

    run(test())


def test_a_broker_that_is_not_there_yet_is_reported_once_and_waited_for(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        changes: list[State] = []
        transport = PahoTransport(
            Endpoint.parse(broker.url), Settings(client_id="one", backoff=QUICK), observer=lambda change: changes.append(change.after)
        )
        one = Client(transport, Ears())
        await one.ears.until(lambda ears: len(ears.outages) == 1)
        assert one.ears.outages == ["nobody listens there"]
        await asyncio.sleep(0.3)
        assert len(one.ears.outages) == 1
        broker.start()
        await one.online()
        await one.close()
        assert changes == [State.OPENING, State.WAITING, State.ONLINE, State.CLOSING, State.CLOSED]

    run(test())


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x01\x02", b"\x20\xff\xff\xff\xff\xff", b"\x20\x02\x00", b""], ids=repr
)
def test_something_that_is_no_broker_is_named_and_does_not_stop_the_client(own_broker: Callable[..., BrokerProcess], answer: bytes) -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(answer)
            writer.close()

        broker = own_broker("mosquitto")
        server = await asyncio.start_server(serve, "127.0.0.1", broker.port)
        one = Client(make(broker.url), Ears())
        await one.ears.until(lambda ears: len(ears.outages) == 1)
        await asyncio.sleep(0.2)
        assert one.transport.counts()["connections"] == 0
        if answer.startswith(b"HTTP"):
            assert "no MQTT broker" in one.ears.outages[0]
            assert "HTTP/1.1 400" in one.ears.outages[0]
        server.close()
        await server.wait_closed()
        broker.start()
        await one.online()
        await one.close()
        assert len(one.ears.outages) == 1

    run(test())


def test_something_that_never_answers_is_given_up_after_a_while() -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        one = Client(make(f"mqtt://127.0.0.1:{port}", connect_timeout_s=0.1), Ears())
        await one.ears.until(lambda ears: len(ears.outages) == 1)
        assert one.ears.outages == ["no answer to CONNECT within 0.1 s"]
        await one.close()
        server.close()
        await server.wait_closed()

    run(test())


def test_closing_while_waiting_or_connecting_ends_at_once() -> None:
    async def test() -> None:
        one = Client(make("mqtt://127.0.0.1:1"), Ears())
        await one.ears.until(lambda ears: len(ears.outages) == 1)
        await one.close()
        async with asyncio.timeout(20):  # not the minutes for which a system tries to connect
            two = Client(make("mqtt://10.255.255.1:1883"), Ears())
            await asyncio.sleep(0.05)
            await two.close()

    run(test())


def write_password(path: Path) -> None:
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(path), "anna", "right"], check=True)


def test_wrong_credentials_end_the_run_and_never_show_the_password(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto", anonymous=False, more="password_file {directory}/passwd\nuser root")
        write_password(broker._directory / "passwd")
        broker.start()
        for user in ("anna:wrong", "bob:right"):
            url = f"mqtt://{user}@127.0.0.1:{broker.port}"
            one = Client(make(url), Ears())
            with pytest.raises(AccessRefusedError, match="user name") as caught:
                await one.running
            assert "wrong" not in str(caught.value)
            assert "wrong" not in repr(one.transport.__dict__)
        with pytest.raises(AccessRefusedError):
            await Client(make(broker.url), Ears()).running
        one = Client(make(f"mqtt://anna:right@127.0.0.1:{broker.port}"), Ears())
        await one.online()
        await one.close()

    run(test())


def test_wrong_credentials_end_the_run_on_mqtt_3_1_1(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("nats", more='authorization {{ users: [{{user: "anna", password: "right"}}] }}')
        broker.start()
        with pytest.raises(AccessRefusedError):
            await Client(make(f"mqtt://anna:wrong@127.0.0.1:{broker.port}"), Ears()).running
        one = Client(make(f"mqtt://anna:right@127.0.0.1:{broker.port}"), Ears())
        await one.online()
        assert one.transport.version is Version.MQTT_311  # type: ignore[attr-defined]
        await one.close()

    run(test())


def test_what_an_access_list_denies_is_reported(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto", more="acl_file {directory}/acl\nuser root")
        (broker._directory / "acl").write_text("topic readwrite mine/#\ntopic deny secret/#\n")
        broker.start()
        async with clients(BrokerPlace(broker), "one") as (one,):
            one.transport.subscribe({"mine/#": 1, "secret/#": 0})
            one.transport.publish(Publication("secret/1", b"x", 1, number=1))
            one.transport.publish(Publication("mine/1", b"y", 1, number=2))
            await one.heard(b"y")
            await one.ears.until(lambda ears: bool(ears.drops))
            assert one.ears.drops == [("secret/1", "the broker refused it: Not authorized")]
            assert one.transport.counts()["rejected"] == 1
            await one.ears.until(lambda ears: len(ears.confirmations) == 2)
            assert sorted(one.ears.confirmations) == [1, 2]

    run(test())


def test_a_refused_filter_is_named(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("nats")
        broker.start()
        place = BrokerPlace(broker)
        async with clients(place, "one") as (one,):
            one.transport.subscribe({"z/hall lamp": 1, "fine": 1})
            await place.settled(one)
            assert [name for name, _ in one.ears.refusals] == ["z/hall lamp"]
            one.transport.publish(Publication("fine", b"1", 1))
            await one.heard(b"1")

    run(test())


def test_characters_that_a_broker_does_not_carry_are_refused_before_they_break_the_connection() -> None:
    async def test() -> None:
        transport = make("mqtt://127.0.0.1:1", characters_refused=" ")
        with pytest.raises(TopicError, match="does not carry"):
            transport.publish(Publication("z/hall lamp", b""))
        await transport.close()

    run(test())


def test_a_message_on_which_the_broker_hangs_up_is_given_up_and_the_others_arrive(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("nats")
        broker.start()
        place = BrokerPlace(broker)
        async with clients(place, "one", backoff=QUICK) as (one,):
            one.transport.subscribe({"fine": 1})
            await place.settled(one)
            for number in range(3):
                one.transport.publish(Publication("fine", b"before %d" % number, 1))
            await place.settled(one)
            one.transport.publish(Publication("z/hall lamp", b"x", 1, number=1))
            for number in range(3):
                one.transport.publish(Publication("fine", b"after %d" % number, 1))
            await one.ears.until(lambda ears: b"after 2" in ears.payloads)
            assert one.ears.drops == [("z/hall lamp", "the connection broke each time that it was sent")]
            assert one.ears.confirmations == [1]
            assert list(dict.fromkeys(one.ears.payloads)) == [b"before 0", b"before 1", b"before 2", b"after 0", b"after 1", b"after 2"]

    run(test())


@KINDS
def test_an_oversize_message_is_not_taken_and_the_next_ones_are(own_broker: Callable[..., BrokerProcess], kind: str) -> None:
    async def test() -> None:
        broker = own_broker(kind)
        broker.start()
        place = BrokerPlace(broker)
        small = {"packet_bytes_max": 10_000, "session_expiry_s": 60, "backoff": QUICK}
        async with clients(place, "other") as (other,), clients(place, "one", **small) as (one,):
            one.transport.subscribe({"a": 1})
            await place.settled(one)
            other.transport.publish(Publication("a", bytes(6_000_000), 1))
            other.transport.publish(Publication("a", b"next", 1))
            other.transport.publish(Publication("a", bytes(6_000_000), 0))
            other.transport.publish(Publication("a", b"last", 1))
            await one.heard(b"next", b"last")
            if kind == "nats":
                await one.ears.until(lambda ears: len(ears.drops) == 2)
            place.cut(one)
            await one.online(times=2)
            await place.settled(one)
            assert one.ears.payloads == [b"next", b"last"], "the large one does not come again"
            if kind == "nats":
                assert one.transport.counts()["unreadable"] == 2
                assert {topic for topic, _ in one.ears.drops} == {"a"}

    run(test())


def test_an_oversize_message_is_confirmed_lest_it_come_for_ever() -> None:
    async def test() -> None:
        confirmed = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connect = await reader.read(1000)
            if connect[8] == 5:
                writer.write(b"\x20\x02\x00\x01")
            else:
                large = bytearray()
                publish(large, 2, topic_field("a"), b"\x12\x34", bytes(100_000))
                writer.write(b"\x20\x02\x00\x00" + large)
                confirmed.set_result(await reader.readexactly(4))
                await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        one = Client(make(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}", packet_bytes_max=10_000), Ears())
        assert await asyncio.wait_for(confirmed, 30) == puback(0x1234)
        assert one.ears.drops == [("a", "a packet of 100005 bytes, at most 10000 are read")]
        await one.close()
        server.close()
        await server.wait_closed()

    run(test())


def test_an_outage_after_a_connection_that_held_begins_with_short_waits(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        place = BrokerPlace(broker)
        now_s = 0.0
        transport = PahoTransport(Endpoint.parse(broker.url), Settings(client_id="one", backoff=QUICK), now_s=lambda: now_s)
        one = Client(transport, Ears())
        for times, held_s, failures in ((1, 1, 1), (2, 1, 2), (3, 10, 1)):
            await one.online(times)
            now_s += held_s
            place.cut(one)
            assert transport._connection.failures == failures
        await one.close()

    run(test())


def test_a_link_on_which_nothing_answers_is_found_dead(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        async with clients(BrokerPlace(broker), "one", keepalive_s=1, backoff=QUICK, connect_timeout_s=0.2) as (one,):
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                await one.ears.until(lambda ears: len(ears.outages) == 1, patience_s=30)
                assert "no answer to a ping for 1 s" in one.ears.outages[0]
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            await one.online(times=2)

    run(test())


def test_an_idle_link_stays_up(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        async with clients(BrokerPlace(broker), "one", keepalive_s=1) as (one,):
            await asyncio.sleep(3)
            assert one.ears.outages == []

    run(test())


def test_a_broker_that_stops_reading_makes_messages_wait_within_the_bounds(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        place = BrokerPlace(broker)
        bounded = {"outbox_messages_max": 100, "outbox_bytes_max": 4_000_000}
        async with clients(place, "one", **bounded) as (one,):
            one.transport.subscribe({"b": 1})
            await place.settled(one)
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                for _ in range(1_000):
                    one.transport.publish(Publication("a", bytes(50_000)))
                assert one.transport.counts()["queue_dropped"] > 500
                refused = 0
                for number in range(300):
                    try:
                        one.transport.publish(Publication("b", b"%d" % number, 1))
                    except QueueFullError:
                        refused += 1
                assert refused == 200
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            await one.heard(*(b"%d" % number for number in range(100)))

    run(test())


def test_two_clients_with_one_id_take_turns_slowly(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        place = BrokerPlace(broker)
        async with clients(place, "one", "one") as (first, second):
            await first.ears.until(lambda ears: len(ears.outages) > 0)
            await asyncio.sleep(1)
            assert len(first.ears.connections) + len(second.ears.connections) < 40

    run(test())


def test_messages_that_an_older_session_asked_for_with_qos_2_are_heard(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        older = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="one", protocol=mqtt.MQTTv5)
        properties = mqtt.Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 60
        older.connect("127.0.0.1", broker.port, clean_start=False, properties=properties)
        subscribed = asyncio.Event()
        older.on_connect = lambda *_: older.subscribe("q", 2)
        older.on_subscribe = lambda *_: subscribed.set()
        for _ in range(100):
            older.loop(0.05)
            if subscribed.is_set():
                break
        older.disconnect()
        multiple([("q", b"%d" % number, 2, False) for number in range(3)], port=broker.port)
        async with clients(BrokerPlace(broker), "one", session_expiry_s=60) as (one,):
            await one.ears.until(lambda ears: len(ears.messages) == 3)
            assert one.ears.connections == [True]
            assert one.ears.messages == [("q", b"%d" % number, 2, False) for number in range(3)]

    run(test())


@pytest.mark.parametrize("bus", ["memory", "mosquitto"])
def test_an_observer_that_fails_does_not_harm_the_connection(bus: str, own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        def observe(_change: Change) -> None:
            raise ValueError("the observer's own mistake")

        settings = Settings(client_id="one")
        transport: PahoTransport | MemoryTransport
        if bus == "memory":
            transport = MemoryTransport(MemoryBus(), settings, observer=observe)
        else:
            broker = own_broker(bus)
            broker.start()
            transport = PahoTransport(Endpoint.parse(broker.url), settings, observer=observe)
        one = Client(transport, Ears())
        await one.online()
        await one.close()
        assert transport.counts()["owner_errors"] == 5

    run(test())


def connack(reason: int) -> bytes:
    return bytes((0x20, 3, 0, reason, 0))


def disconnect(reason: int) -> bytes:
    return bytes((0xE0, 1, reason))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (connack(0x89), "the broker turns us away: Server busy"),
        (connack(0) + disconnect(0x8E), "the broker ended the session: Session taken over; another client has the id 'one'"),
        (connack(0) + disconnect(0x8B), "the broker ended the session: Server shutting down"),
    ],
    ids=["busy", "taken over", "shutting down"],
)
def test_what_an_mqtt_5_broker_says_at_parting_is_passed_on_and_it_is_tried_again(answer: bytes, said: str) -> None:
    async def test() -> None:
        greeted = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal greeted
            greeted += 1
            await reader.read(1000)
            writer.write(answer)
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        one = Client(make(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"), Ears())
        await one.ears.until(lambda ears: bool(ears.outages))
        assert one.ears.outages[0] == said
        async with asyncio.timeout(30):
            while greeted < 3:  # noqa: ASYNC110 - attempts of one outage are told to nobody
                await asyncio.sleep(0.01)
        await one.close()
        server.close()
        await server.wait_closed()

    run(test())


@pytest.mark.parametrize("answer", [connack(0x87), connack(0x85), connack(0) + disconnect(0x87)], ids=["connect", "client id", "later"])
def test_a_refusal_that_would_come_again_is_the_end(answer: bytes) -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            writer.write(answer)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        with pytest.raises(AccessRefusedError, match="refuses the client 'one'"):
            await Client(make(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"), Ears()).running
        server.close()
        await server.wait_closed()

    run(test())


def test_a_reply_leaves_without_waiting_for_others(mosquitto: BrokerProcess) -> None:
    async def test() -> None:
        async with clients(BrokerPlace(mosquitto), "nodelay") as (one,):
            assert isinstance(one.transport, PahoTransport)
            carrier = one.transport._carrier
            assert carrier is not None
            assert carrier._transport is not None
            raw = carrier._transport.get_extra_info("socket")
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    run(test())


def test_a_run_that_is_cancelled_leaves_nothing_behind(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        before = asyncio.all_tasks()
        one = Client(make(broker.url), Ears())
        await one.online()
        one.running.cancel()
        with suppress(asyncio.CancelledError):
            await one.running
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == before
        assert one.transport.state is State.CLOSED  # type: ignore[attr-defined]

    run(test())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a server and a client that it vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (place / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-x509", *key, "-days", "2", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    for name in ("server", "client"):
        openssl("req", "-new", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return place


def test_tls_with_certificates_on_both_sides(own_broker: Callable[..., BrokerProcess], certificates: Path) -> None:
    async def test() -> None:
        more = "cafile {c}/ca.pem\ncertfile {c}/server.pem\nkeyfile {c}/server.key\nrequire_certificate true\nuser root"
        broker = own_broker("mosquitto", more=more.replace("{c}", str(certificates)))
        broker.start()
        place = f"mqtts://127.0.0.1:{broker.port}"
        good = f"{place}?ca={certificates}/ca.pem&cert={certificates}/client.pem&key={certificates}/client.key"
        one = Client(make(good), Ears())
        one.transport.subscribe({"a": 1})
        await one.online()
        one.transport.publish(Publication("a", bytes(300_000), 1))
        await one.heard(bytes(300_000))
        await one.close()
        stranger = Client(make(place), Ears())
        await stranger.ears.until(lambda ears: len(ears.outages) == 1)
        assert "certificate" in stranger.ears.outages[0].lower()
        await stranger.close()

    run(test())


def test_closing_is_bounded_even_if_the_broker_does_nothing_any_more(own_broker: Callable[..., BrokerProcess]) -> None:
    async def test() -> None:
        broker = own_broker("mosquitto")
        broker.start()
        async with clients(BrokerPlace(broker), "one", close_timeout_s=0.3) as (one,):
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                one.transport.publish(Publication("a", b"1", 1))
                async with asyncio.timeout(20):  # not for as long as the broker is stopped
                    await one.close()
                assert [topic for topic, _ in one.ears.drops] == ["a"]
                assert one.transport.counts()["unsent"] == 1
            finally:
                os.kill(broker.pid, signal.SIGCONT)

    run(test())
