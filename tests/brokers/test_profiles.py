"""The profiles say what is so: a real broker takes the deployed configuration, and carries what the capabilities say."""

from __future__ import annotations

import re
import subprocess
import time
import zipfile
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from broker_process import BrokerProcess, skip_without
from free_port import free_port
from paho.mqtt.enums import CallbackAPIVersion

from edgematrix.errors import UsageError
from edgematrix.runtime.broker_profile import load_profiles
from edgematrix.runtime.broker_program import choose
from edgematrix.runtime.capabilities import load_capabilities, read_profile

TOP = Path(__file__).parents[2]
PATIENCE_S = 60.0


class Visitor:
    """A client that knows only whether it got in."""

    def __init__(self, port: int, client_id: str, user: str | None = None, password: str | None = None, **options: object) -> None:
        self.reason = ""
        self.lost = False
        self.refused_filters: list[bool] = []
        self.messages: list[bytes] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False, **options)  # type: ignore[arg-type]
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)
        self.wait(lambda: bool(self.reason) or self.lost)

    def _connected(self, _client: object, _data: object, _flags: object, reason: object, _properties: object) -> None:
        self.reason = str(reason)

    def _disconnected(self, *_details: object) -> None:
        self.lost = True

    def _subscribed(self, _client: object, _data: object, _mid: int, reasons: list[mqtt.ReasonCode], _properties: object) -> None:
        self.refused_filters += [reason.is_failure for reason in reasons]

    def _heard(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.messages.append(bytes(message.payload))

    def wait(self, condition: object, patience_s: float = PATIENCE_S) -> bool:
        assert callable(condition)
        give_up_at = time.monotonic() + patience_s
        while not condition() and time.monotonic() < give_up_at:
            self._client.loop(0.01)
        return bool(condition())

    def subscribe(self, topic_filter: str, qos: int = 0) -> bool:
        """Whether it was granted."""
        count = len(self.refused_filters)
        self._client.subscribe(topic_filter, qos)
        assert self.wait(lambda: len(self.refused_filters) > count or self.lost)
        return not self.lost and not self.refused_filters[-1]

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload)

    def close(self) -> None:
        self._client.disconnect()


@pytest.fixture
def deployed(tmp_path: Path) -> BrokerProcess:
    """mosquitto with the file that users deploy; only its paths, its ports and its log are others."""
    skip_without("mosquitto")
    text = (TOP / "mosquitto.conf").read_text()
    machines, people = free_port(), free_port()
    for old, new in (
        ("/etc/mosquitto/", f"{tmp_path}/"),
        ("/var/lib/mosquitto/", f"{tmp_path}/"),
        ("listener 1883", f"listener {machines} 127.0.0.1"),
        ("listener 1884", f"listener {people} 127.0.0.1"),
        ("log_dest syslog", "log_dest stderr\nuser root"),
    ):
        assert old in text
        text = text.replace(old, new)
    for name, user in (("machines", "pi_hall"), ("machines", "pi_cellar"), ("people", "anna")):
        path = tmp_path / f"edgematrix-{name}.passwd"
        subprocess.run(["mosquitto_passwd", "-b", *([] if path.exists() else ["-c"]), str(path), user, "secret"], check=True)
    (tmp_path / "edgematrix.acl").write_text("topic read em/state/#\npattern readwrite em/out/%u/#\n")
    broker = BrokerProcess("mosquitto", tmp_path)
    broker._configuration.write_text(text)
    broker.port = machines
    broker.people = people  # type: ignore[attr-defined]
    return broker


def test_mosquitto_takes_the_deployed_configuration_and_keeps_strangers_out(deployed: BrokerProcess) -> None:
    deployed.start()
    try:
        people = deployed.people  # type: ignore[attr-defined]
        for port, user, password, welcome in (
            (deployed.port, "pi_hall", "secret", True),
            (deployed.port, "pi_hall", "wrong", False),
            (deployed.port, None, None, False),
            (deployed.port, "anna", "secret", False),
            (people, "anna", "secret", True),
            (people, "pi_hall", "secret", False),
        ):
            visitor = Visitor(port, "op:whoever", user, password)
            assert (visitor.reason == "Success") is welcome, (port, user, visitor.reason)
            visitor.close()
    finally:
        deployed.stop()
    log = (deployed._directory / "log").read_text()
    assert "Error" not in log
    assert "Warning" not in log.replace("Warning: Mosquitto should not be run as root/administrator.", "")


def test_a_machine_cannot_take_another_ones_session(deployed: BrokerProcess) -> None:
    deployed.start()
    try:
        victim = Visitor(deployed.port, "op:chosen", "pi_hall", "secret")
        thief = Visitor(deployed.port, "op:pi_hall", "pi_cellar", "secret")
        assert thief.reason == "Success"
        for port, user in ((deployed.port, "pi_cellar"), (deployed.people, "anna")):  # type: ignore[attr-defined]
            assert Visitor(port, "pi_hall", user, "secret").reason != "Success"
        assert not victim.wait(lambda: victim.lost, patience_s=0.2)
        again = Visitor(deployed.port, "op:other", "pi_hall", "secret")
        assert again.reason == "Success"
        assert victim.wait(lambda: victim.lost), "one user has one connection"
        thief.close()
        again.close()
    finally:
        deployed.stop()


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_capabilities_are_what_the_broker_really_does(kind: str, request: pytest.FixtureRequest) -> None:
    skip_without(kind)
    broker: BrokerProcess = request.getfixturevalue(kind)
    can = load_capabilities(kind)
    five = Visitor(broker.port, "five", protocol=mqtt.MQTTv5)
    assert (five.reason == "Success") is can.mqtt5
    five.close()
    for character in " .*>":
        visitor = Visitor(broker.port, f"a{character}b")
        assert (visitor.reason == "Success") is (character not in can.client_id_characters_refused), character
        visitor.close()
    visitor = Visitor(broker.port, "spaces")
    visitor.subscribe("t/#")
    visitor.publish("t/hall lamp", b"1")
    assert visitor.wait(lambda: bool(visitor.messages) or visitor.lost)
    assert visitor.lost is (" " in can.topic_characters_refused)
    visitor.close()
    visitor = Visitor(broker.port, "copies")
    visitor.subscribe("c/+")
    visitor.subscribe("c/1")
    visitor.publish("c/1", b"1")
    assert visitor.wait(lambda: bool(visitor.messages))
    visitor.wait(lambda: len(visitor.messages) > 1, patience_s=0.2)
    assert (len(visitor.messages) > 1) is can.copies
    visitor.close()
    visitor = Visitor(broker.port, "shared")
    visitor.subscribe("$share/group/s/1")
    visitor.publish("s/1", b"1")
    assert visitor.wait(lambda: bool(visitor.messages), patience_s=0.3) is can.shared_subscriptions
    visitor.close()


def test_the_bound_of_nats_on_filters_is_what_the_capabilities_say(nats: BrokerProcess) -> None:
    can = load_capabilities("nats")
    assert "max_ack_pending: 50\n" in read_profile("nats-embedded.conf")
    visitor = Visitor(nats.port, "many")
    granted = 0
    visitor._client.subscribe([(f"m/{number}", 1) for number in range(can.qos1_filters_max + 5)])
    assert visitor.wait(lambda: bool(visitor.refused_filters), patience_s=20)
    granted = visitor.refused_filters.count(False)
    assert granted == can.qos1_filters_max
    visitor.close()


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="mosquitto, nats"):
        load_capabilities("rabbit")


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_every_place_in_a_profile_is_filled_in(kind: str, tmp_path: Path) -> None:
    skip_without(kind)
    program, _ = choose(kind)
    text = program.configure(program.profile, tmp_path, {"port": "12345"}).read_text()
    assert "12345" in text
    assert str(tmp_path) in text
    assert re.findall(r"^[^#\n]*@\w+@", text, re.MULTILINE) == []


@pytest.mark.slow
def test_the_wheel_holds_the_profiles(tmp_path: Path) -> None:
    subprocess.run(["uv", "build", "--wheel", "--out-dir", str(tmp_path), str(TOP)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    configurations = {file for profile in load_profiles().values() for file in profile.configurations}
    for name in ["__init__.py", "capabilities.toml", "profiles.toml", "mosquitto-embedded.conf", "nats-embedded.conf", *configurations]:
        assert f"brokers/{name}" in names
