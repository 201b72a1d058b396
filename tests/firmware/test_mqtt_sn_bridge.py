"""`edgematrix bridge mqtt-sn` as a process: nodes on real UDP sockets on one side, mosquitto on the other."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess, skip_without
from firmware_bench import Listener
from free_port import free_ports
from mqttsn12.client.MqttSnClient import MqttSnClient, MqttSnListener, MqttSnMessage
from sn_client import SnClient

from firmware_bridge.mqtt_sn import message as m
from firmware_bridge.mqtt_sn.message import Code, Flags, IdType

MATRIX = """
matrix: home
agents:
  tank: {host: tank, inputs: {valve: boolean}, outputs: {level: number}}
  pump: {host: pump, inputs: {speed: number}, outputs: {flow: number}}
  long: {agents: {way: {agents: {down: {agents: {the: {agents: {garden: {host: garden, inputs: {set: any}, outputs: {t: number}}}}}}}}}}
"""
WAIT_S = 60.0


class Gateway:
    """The command, and what it says."""

    def __init__(self, folder: Path, *words: str) -> None:
        (folder / "home.yaml").write_text(MATRIX)
        command = [
            sys.executable,
            "-m",
            "edgematrix",
            "bridge",
            "mqtt-sn",
            "home.yaml",
            "--listen",
            "127.0.0.1:0",
            "--retry",
            "300ms",
            *words,
        ]
        self._log = folder / "gateway.log"
        with self._log.open("wb") as log:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        found = self.wait_for(r"may come to (\S+):(\d+)")
        self.place = (found[1], int(found[2]))

    def wait_for(self, pattern: str) -> re.Match[str]:
        until = time.monotonic() + WAIT_S
        while True:
            found = re.search(pattern, self.said())
            if found is not None:
                return found
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.01)

    def said(self) -> str:
        return self._log.read_text()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(WAIT_S) == 0, self.said()
        assert "Traceback" not in self.said(), self.said()
        return self.said()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


OPTIONS = ("--topic", "5=home/tank.level", "--topic", "t1=home/tank.level", "--node", "g=home/long/way/down/the/garden")


@pytest.fixture(scope="module")
def gateway(mosquitto: BrokerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests that leave it alone."""
    found = Gateway(tmp_path_factory.mktemp("gateway"), "--broker", mosquitto.url, *OPTIONS)
    yield found
    found.stop()


@pytest.fixture
def own_gateway(mosquitto: BrokerProcess, tmp_path: Path) -> Iterator[Gateway]:
    found = Gateway(tmp_path, "--broker", mosquitto.url)
    yield found
    found.kill()


@pytest.fixture
def bus(mosquitto: BrokerProcess) -> Iterator[Listener]:
    found = Listener(mosquitto.port)
    yield found
    for path in ("home/tank", "home/pump", "home/long/way/down/the/garden"):
        found.publish(f"em/state/{path}", b"", retain=True)
    found.close()


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Callable[..., SnClient]]:
    name = "own_gateway" if "own_gateway" in request.fixturenames else "gateway"
    place = request.getfixturevalue(name).place
    made: list[SnClient] = []

    def make(name: str = "home.tank", **options: float) -> SnClient:
        made.append(SnClient(place, name, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def is_status(status: str) -> Callable[[bytes], bool]:
    return lambda payload: f'"status":"{status}"'.encode() in payload.replace(b" ", b"")


def test_a_node_is_a_device_of_the_matrix(bus: Listener, client: Callable[..., SnClient]) -> None:
    tank = client()
    assert tank.connect().code == Code.ACCEPTED
    state = json.loads(bus.wait_for("em/state/home/tank", is_status("ready")))
    assert (state["v"], state["host"]) == (1, "home:tank")
    assert tank.publish("em/out/home/tank/level", b"21.5").code == Code.ACCEPTED
    assert bus.wait_for("em/out/home/tank/level") == b"21.5"
    assert tank.subscribe("em/in/home/tank/+").code == Code.ACCEPTED
    tank.settled("home/tank")
    bus.publish("em/in/home/tank/valve", b"true")
    tank.wait_for(lambda: tank.heard == [("em/in/home/tank/valve", b"true")])
    assert tank.subscribe("em/in/#").code == Code.NOT_SUPPORTED
    tank.sleep(0)
    bus.wait_for("em/state/home/tank", is_status("offline"))


def test_another_implementation_publishes_and_hears(gateway: Gateway, bus: Listener) -> None:
    heard: list[bytes] = []

    class Ear(MqttSnListener):
        def message_arrived(self, message: MqttSnMessage) -> None:
            heard.append(bytes(message.get_payload()))

    node = MqttSnClient()
    node.set_client_id("home.pump")
    node.set_clean_session(True)
    node.set_keep_alive(60)
    node.set_timeout(10)
    node.set_will_topic("em/state/home/pump")
    node.set_will_message("gone")
    node.set_will_qos(1)
    node.set_will_retain(True)
    node.open(*gateway.place)
    node.send_connect()
    node.send_publish("em/out/home/pump/flow", b"1.5", 1)
    assert bus.wait_for("em/out/home/pump/flow") == b"1.5"
    node.send_publish("em/out/home/pump/flow", b"2.5", 0)
    assert bus.wait_for("em/out/home/pump/flow") == b"2.5"
    node.send_subscribe("em/in/home/pump/speed", 1, Ear())
    until = time.monotonic() + WAIT_S
    while not heard and time.monotonic() < until:
        bus.publish("em/in/home/pump/speed", b"7")  # the broker may not have the subscription yet
        for _ in range(20):
            node.polling()
            time.sleep(0.01)
    assert set(heard) == {b"7"}
    node.send_disconnect(0)
    node.close()


def test_short_and_known_topics_and_messages_without_a_connection(bus: Listener, client: Callable[..., SnClient]) -> None:
    sensor = client("nobody")
    sensor.send(m.Publish(Flags(qos=-1, id_type=IdType.PREDEFINED), 5, 0, b"1"))
    assert bus.wait_for("em/out/home/tank/level") == b"1"
    sensor.send(m.Publish(Flags(qos=-1, id_type=IdType.SHORT), int.from_bytes(b"t1", "big"), 0, b"2"))
    assert bus.wait_for("em/out/home/tank/level") == b"2"
    garden = client("g")
    assert garden.connect().code == Code.ACCEPTED, "a short client id stands for a long path"
    assert garden.publish("em/out/home/long/way/down/the/garden/t", b"3").code == Code.ACCEPTED
    assert bus.wait_for("em/out/home/long/way/down/the/garden/t") == b"3"


def test_a_sleeping_node_is_woken_to_its_commands(bus: Listener, client: Callable[..., SnClient]) -> None:
    tank = client()
    tank.connect(clean=False)
    tank.subscribe("em/in/home/tank/valve")
    tank.settled("home/tank")
    tank.sleep(600)
    for number in range(10):
        bus.publish("em/in/home/tank/valve", str(number).encode())
    late = {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.in.valve", "expirytime": "2020-01-01T00:00:00Z", "data": True}
    bus.publish("em/in/home/tank/valve", json.dumps(late))
    tank.wake()
    assert [payload for _, payload in tank.heard] == [str(number).encode() for number in range(10)], "in order, and none that has expired"
    bus.publish("em/in/home/tank/valve", b"more")
    tank.wake()
    assert tank.heard[-1][1] == b"more"
    tank.connect(clean=True)
    tank.sleep(0)


def test_a_node_that_is_lost_is_told_of_by_its_will(bus: Listener, client: Callable[..., SnClient]) -> None:
    tank, pump = client(), client("home.pump")
    tank.connect(keepalive_s=1, will=("em/state/home/tank", b'{"status": "lost"}'))
    pump.connect(keepalive_s=1)
    bus.wait_for("em/state/home/pump", is_status("ready"))
    bus.wait_for("em/state/home/tank", is_status("lost"))
    assert pump.ask(m.PingReq(), lambda p: isinstance(p, m.Disconnect | m.PingResp))


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_nothing_is_lost_or_comes_twice_on_a_link_that_loses_a_fifth_of_all_exchanges(
    bus: Listener, client: Callable[..., SnClient], seed: int
) -> None:
    print(f"seed {seed}")
    tank = client(loss=0.1, seed=seed, retry_s=0.1)
    tank.connect()
    tank.subscribe("em/in/home/tank/valve")
    tank.settled("home/tank")
    count = 20
    for number in range(count):
        assert tank.publish("em/out/home/tank/level", str(number).encode()).code == Code.ACCEPTED
        if number % 2:
            bus.send("em/in/home/tank/valve", str(number))
    seen: list[bytes] = []
    while not seen or seen[-1] != str(count - 1).encode():
        seen.append(bus.wait_for("em/out/home/tank/level"))
    assert seen == [str(number).encode() for number in range(count)]
    tank.wait_for(lambda: len(tank.heard) >= count // 2)
    assert [payload for _, payload in tank.heard] == [str(number).encode() for number in range(1, count, 2)]


def test_noise_is_counted_and_stops_nobody(own_gateway: Gateway, bus: Listener, client: Callable[..., SnClient]) -> None:
    noise = client("noise")
    for datagram in (b"", b"\x00", b"\x02\xff", b"\x05\x04\x00\x01", b"\xff" * 2_000, b"\x01\x00\x04\x99"):
        noise.raw(datagram)
    assert noise.connect().code == Code.NOT_SUPPORTED
    tank = client()
    assert tank.connect().code == Code.ACCEPTED
    bus.wait_for("em/state/home/tank", is_status("ready"))
    said = own_gateway.stop()
    assert "6 malformed" in said
    assert "1 unknown nodes" in said
    bus.wait_for("em/state/home/tank", is_status("offline"))


def test_a_gateway_that_is_killed_is_followed_by_the_will(own_gateway: Gateway, bus: Listener, client: Callable[..., SnClient]) -> None:
    tank = client()
    tank.connect()
    bus.wait_for("em/state/home/tank", is_status("ready"))
    own_gateway.kill()
    bus.wait_for("em/state/home/tank", is_status("offline"))


def test_a_broker_that_comes_back_finds_the_node_again(own_broker: Callable[..., BrokerProcess], tmp_path: Path) -> None:
    broker = own_broker("mosquitto")
    broker.start()
    gateway = Gateway(tmp_path, "--broker", broker.url)
    tank = SnClient(gateway.place, "home.tank")
    try:
        tank.connect()
        tank.subscribe("em/in/home/tank/valve")
        tank.settled("home/tank")
        broker.restart()
        assert tank.publish("em/out/home/tank/level", b"1").code == Code.ACCEPTED, "it waits until the broker is back"
        bus = Listener(broker.port)
        bus.wait_for("em/state/home/tank", is_status("ready"))
        bus.publish("em/in/home/tank/valve", b"true")
        tank.wait_for(lambda: tank.heard == [("em/in/home/tank/valve", b"true")])
        bus.close()
        gateway.stop()
    finally:
        tank.close()
        gateway.kill()


def test_nodes_come_in_as_themselves_under_the_access_list(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="the extra `access` is not installed")
    skip_without("mosquitto")
    from edgematrix.cli import main

    (tmp_path / "home.yaml").write_text(MATRIX)
    port = free_ports(4)
    access = str(tmp_path / "access")
    made = ["provision", str(tmp_path / "home.yaml"), "--out", access, "--server", "localhost", "--port", str(port)]
    assert main.main(made) == 0
    command = [sys.executable, "-m", "edgematrix", "broker", "up", "mosquitto", "--access", access, "--state", str(tmp_path / "state")]
    with (tmp_path / "broker.log").open("wb") as log:
        broker = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    until = time.monotonic() + WAIT_S
    while "is up" not in (tmp_path / "broker.log").read_text():
        assert broker.poll() is None, (tmp_path / "broker.log").read_text()
        assert time.monotonic() < until
        time.sleep(0.02)
    gateway = Gateway(tmp_path, "--access", access)
    tank, pump = SnClient(gateway.place, "home.tank"), SnClient(gateway.place, "home.pump")
    try:
        assert tank.connect().code == Code.ACCEPTED
        assert pump.connect().code == Code.ACCEPTED
        assert tank.publish("em/out/home/tank/level", b"1").code == Code.ACCEPTED
        assert pump.ask(m.Register(0, 9, b"em/out/home/tank/level"), lambda p: isinstance(p, m.RegAck)) == m.RegAck(
            0, 9, Code.NOT_SUPPORTED
        )
        tank.sleep(0)
        said = gateway.stop()
        assert "is lost" not in said
        assert "refuses" not in said
    finally:
        for node in (tank, pump):
            node.close()
        gateway.kill()
        broker.send_signal(signal.SIGINT)
        broker.wait(WAIT_S)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--listen", "nowhere"], "is no address to listen on"),
        (["--listen", "192.0.2.1:1884"], "nobody can listen there"),
        (["--topic", "0=home/tank.level"], "neither a number"),
        (["--topic", "1=home/tank.depth"], "has no port 'depth'"),
        (["--topic", "1=home/tank.level", "--topic", "1=home/pump.flow"], "is given twice"),
        (["--node", "n1"], "is not ID=PATH"),
        (["--node", "n1=home/cellar"], "the matrix has no agent home/cellar"),
        (["--broker", "mqtt://tank:secret@127.0.0.1"], "each node has an identity of its own"),
        (["--access", "nothing"], "has no identity there"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    from edgematrix.cli import main

    file = tmp_path / "home.yaml"
    file.write_text(MATRIX)
    broker = [] if {"--broker", "--access"} & set(words) else ["--broker", "mqtt://127.0.0.1:1"]
    assert main.main(["bridge", "mqtt-sn", str(file), *words, *broker]) == 2
    assert what in capsys.readouterr().err
