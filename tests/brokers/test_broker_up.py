"""`edgematrix broker`: what is started, watched, refused and shown."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_process import skip_without
from broker_profile import ProfileProcess
from free_port import free_ports
from process_life import lives

from edgematrix.cli.main import main
from edgematrix.errors import UsageError
from edgematrix.runtime.broker_profile import load_profile, load_profiles
from edgematrix.runtime.capabilities import read_profile

PATIENCE_S = 60.0


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., ProfileProcess]]:
    """Starts a profile; it is ended however the test ends."""
    made: list[ProfileProcess] = []

    def start(profile: str = "mosquitto", *options: str, folder: str = "brokers", port: int | None = None) -> ProfileProcess:
        skip_without("mosquitto")
        made.append(ProfileProcess(profile, tmp_path / folder, *options, port=port))
        made[-1].start(up=1 if load_profile(profile).one_bus else 2)
        return made[-1]

    yield start
    for running in made:
        running.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_well_and_leaves_no_process(up: Callable[..., ProfileProcess], number: signal.Signals) -> None:
    running = up("mosquitto-bridge")
    pids = list(running.pids.values())
    assert len(pids) == 2
    assert running.stop(number) == 0
    assert not any(lives(pid) for pid in pids)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent was killed")
def test_a_command_that_is_killed_leaves_no_process(up: Callable[..., ProfileProcess]) -> None:
    running = up()
    pid = running.pids["broker"]
    os.kill(running.pid, signal.SIGKILL)
    give_up_at = time.monotonic() + PATIENCE_S
    while lives(pid):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def test_addresses_stay_from_one_start_to_the_next(up: Callable[..., ProfileProcess]) -> None:
    first = up("mosquitto-bridge")
    assert len(set(first.urls.values())) == 2
    first.stop()
    assert up("mosquitto-bridge", port=0).urls == first.urls


def test_free_ports_are_found_where_none_is_named(up: Callable[..., ProfileProcess]) -> None:
    urls = [set(up("mosquitto-bridge", folder=folder, port=0).urls.values()) for folder in ("one", "two")]
    assert len(set.union(*urls)) == 4


def test_the_ports_that_are_asked_for_follow_each_other(up: Callable[..., ProfileProcess]) -> None:
    port = free_ports(2)
    running = up("mosquitto-bridge", "--port", str(port))
    assert running.urls == {"centre": f"mqtt://127.0.0.1:{port}", "edge": f"mqtt://127.0.0.1:{port + 1}"}


def test_one_folder_has_one_command(up: Callable[..., ProfileProcess], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    up()
    assert main(["broker", "up", "mosquitto", "--state", str(tmp_path / "brokers")]) == 1
    assert "run in this folder already" in capfd.readouterr().err


def test_a_broker_that_dies_is_started_again_and_a_damaged_database_is_set_aside(up: Callable[..., ProfileProcess], tmp_path: Path) -> None:
    running = up()
    database = tmp_path / "brokers" / "broker" / "mosquitto.db"
    for words in (b"spoilt", b"spoilt again"):
        database.write_bytes(words)
        before = running.pids["broker"]
        running.kill("broker")
        running.until_restarted("broker", before)
        assert database.with_name("mosquitto.db.damaged").read_bytes() == words
    assert len([line for line in running.lines if line.startswith("set aside: broker cannot read its database")]) == 2
    assert running.stop() == 0
    assert database.read_bytes() != words, "it keeps a new one"


def test_a_healthy_database_is_not_set_aside(up: Callable[..., ProfileProcess], tmp_path: Path) -> None:
    running = up()
    running.restart("broker")
    running.stop()
    assert not list((tmp_path / "brokers" / "broker").glob("*.damaged"))
    assert not any(line.startswith("set aside") for line in running.lines)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["up", "mosquito"], 2, "did you mean 'mosquitto'?"),
        (["up", "emqx"], 2, "written down only"),
        (["up", "mosquitto", "--port", "0"], 2, "port 0"),
        (["up", "nats-cluster", "--port", "65534"], 2, "no room for 3"),
        (["up", "mosquitto", "--listen", "here"], 2, "no IP address"),
        (["up", "mosquitto", "--listen", "0.0.0.0"], 2, "--users"),  # noqa: S104 - it is refused
        (["up", "mosquitto", "--listen", "0.0.0.0", "--anonymous"], 2, "--insecure"),  # noqa: S104 - it is refused
        (["up", "mosquitto", "--listen", "0.0.0.0", "--insecure"], 2, "--access"),  # noqa: S104 - it is refused
        (["up", "mosquitto", "--listen", "192.0.2.1", "--anonymous", "--insecure"], 1, "an address of this machine"),
        (["up", "mosquitto", "--access", "nowhere"], 2, "edgematrix provision"),
        (["up", "mosquitto", "--access", "nowhere", "--anonymous"], 2, "--access says"),
        (["up", "mosquitto-bridge", "--access", "nowhere"], 2, "each with its own folder"),
        (["up", "mosquitto", "--users", "nowhere"], 2, "no such file"),
        (["up", "mosquitto", "--only", "edge"], 2, "it has broker"),
        (["up", "nats-cluster", "--only", "n1"], 2, "started together"),
        (["up", "mosquitto-bridge", "--only", "edge"], 2, "needs its centre"),
        (["up", "mosquitto-bridge", "--centre", "mqtt://h"], 2, "started alone"),
        (["up", "mosquitto-bridge", "--only", "edge", "--centre", "h"], 2, "scheme"),
        (["up", "mosquitto-bridge", "--only", "edge", "--centre", "mqtt://a,b"], 2, "one address"),
        (["up", "mosquitto-bridge", "--only", "edge", "--centre", "mqtt://a%0ab:c@h"], 2, "control character"),
        (["show", "rabbit"], 2, "no broker profile"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    skip_without("mosquitto")
    monkeypatch.chdir(tmp_path)
    assert main(["broker", *arguments]) == code
    assert words in capfd.readouterr().err


def test_a_port_that_is_taken_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    skip_without("mosquitto")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["broker", "up", "mosquitto", "--state", str(tmp_path), "--port", str(port)]) == 1
    assert f"port {port}, for broker, is taken" in capfd.readouterr().err


def test_ports_that_cannot_be_read_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    skip_without("mosquitto")
    for text in ("{", "[]", '{"broker": "1883"}', '{"broker": 0}'):
        (tmp_path / "ports.json").write_text(text)
        assert main(["broker", "up", "mosquitto", "--state", str(tmp_path)]) == 1
        assert "ports.json" in capfd.readouterr().err


def test_every_profile_is_listed_and_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "list"]) == 0
    listed = capfd.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == list(load_profiles())
    for profile in load_profiles().values():
        assert main(["broker", "show", profile.name]) == 0
        shown = capfd.readouterr().out
        for file, belongs in profile.configurations.items():
            assert read_profile(file).strip() in shown
            assert belongs in shown


def test_the_bounds_that_were_measured_stand_in_the_profiles() -> None:
    edge, cluster = read_profile("mosquitto-edge.conf"), read_profile("nats-cluster.conf")
    for line in ("max_queued_messages 0", "cleansession false"):
        assert re.search(f"^{line}$", edge, re.MULTILINE)
    for line in ("stream_replicas: 3", 'ack_wait: "3s"', "max_ack_pending: 50"):
        assert re.search(f"^  {line}$", cluster, re.MULTILINE)


def test_an_unknown_profile_says_which_there_are() -> None:
    with pytest.raises(UsageError, match="mosquitto-bridge"):
        load_profile("zzz")


def test_the_help_of_each_has_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "show", "up"):
        assert main(["broker", command, "--help"]) == 0
        assert f"edgematrix broker {command}" in capfd.readouterr().out
