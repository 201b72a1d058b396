"""`edgematrix provision` and what begins with it: a broker with TLS and identities, hosts and operators that come to it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from broker_process import skip_without
from cli_process import Running
from free_port import free_ports
from in_process import Command, command_in

from edgematrix.identity.access_folder import AccessFolder
from edgematrix.identity.authority import Authority
from edgematrix.transport.endpoint import Endpoint

HOME = """
matrix: home
access:
  hosts: [pi, server]
  operators:
    anna: {deploys: true}
    ben: {verbs: []}
agents:
  hall: {host: pi, triggers: {tick: {on: {timer: {every: 100ms}}, do: [{emit: {port: beat, value: 1}}]}}, outputs: {beat: number}}
"""
Start = Callable[..., Running]


@pytest.fixture
def call(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_in(home, monkeypatch, capsys)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home.yaml").write_text(HOME)
    return tmp_path


def provision(call: Command, home: Path, *more: object) -> str:
    done = call("provision", "home.yaml", "--out", "access", *more)
    assert done.returncode == 0, done.stderr
    for file in home.glob("access/*/*/broker.url"):
        password = Endpoint.parse(f"@{file}").password
        assert password or (file.parent / "key.pem").exists()
        assert (password or "-----BEGIN") not in done.stdout + done.stderr
    return done.stdout


def test_from_nothing_to_a_matrix_that_runs_behind_an_access_list(home: Path, call: Command, start: Start) -> None:
    skip_without("mosquitto")
    said = provision(call, home, "--port", free_ports(4))
    assert "new: pi, server, anna, ben" in said
    assert "edgematrix broker up mosquitto --access access" in said
    broker = start("broker", "up", "mosquitto", "--access", "access", cwd=home)
    assert "mosquitto on mqtts://127.0.0.1" in broker.wait_for("Ctrl-C ends it")
    begin = re.search(r"edgematrix (host .*)", broker.printed)
    assert begin is not None
    host = start(*begin[1].split(), "--state", "pi", cwd=home)
    host.wait_for("waiting for agents")
    done = call("deploy", "home.yaml", "--broker", "@access/operators/anna/broker.url")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = call("watch", "--url", "@access/operators/ben/broker.url", "--for", "1s")
    assert "home/hall" in seen.stdout, seen.stderr
    doctor = call("doctor", "--access", "access", "--json")
    probes = {probe["name"]: (probe["health"], probe["detail"]) for probe in json.loads(doctor.stdout)["probes"]}
    assert probes["identities"] == ("ok", "4 of 4 in home may come in")
    assert probes["certificates"] == ("ok", "none ends within 30 days")
    secret = Endpoint.parse(f"@{home}/access/operators/anna/broker.url").password
    assert secret
    assert secret not in doctor.stdout + seen.stdout + seen.stderr + host.printed + broker.printed
    provision(call, home, "--revoke", "anna")
    broker.wait_for("has changed and is taken over")
    gone = call("host", "list", "--broker", "@access/operators/anna/broker.url")
    assert gone.returncode == 2
    assert "No such file" in gone.stderr


def test_a_run_with_an_address_in_a_file_and_a_certificate_that_ends(home: Path, call: Command, start: Start) -> None:
    skip_without("mosquitto")
    (home / "home.yaml").write_text(HOME.replace("matrix: home", 'matrix: home\nbroker: "@access/hosts/pi/broker.url"'))
    provision(call, home, "--port", free_ports(4))
    folder, now = AccessFolder(home / "access"), datetime.now(UTC)
    authority = Authority.load(folder.authority, folder.authority_key)
    ending = authority.issue_server(["localhost"], now - timedelta(days=1), now + timedelta(days=20))
    (folder.broker / "server.pem").write_bytes(ending.certificate)
    (folder.broker / "server.key").write_bytes(ending.key)
    words = f"the broker's certificate ends on {ending.ends:%Y-%m-%d}"
    start("broker", "up", "mosquitto", "--access", "access", cwd=home).wait_for("Ctrl-C ends it")
    (home / "elsewhere").mkdir()
    start("run", home / "home.yaml", "--name", "pi", cwd=home / "elsewhere").wait_for(words)
    refused = call("watch", "--for", "1s", cwd=home / "elsewhere")
    assert refused.returncode == 1
    assert "give --url @FILE with an operator's" in refused.stderr
    url = f"@{home}/access/operators/ben/broker.url"
    seen = call("watch", "em/state/home/hall", "--url", url, "--for", "1s", "--json").stdout.splitlines()
    assert any(words in line for line in seen), seen
    doctor = call("doctor", "--url", url, "--access", "access")
    assert doctor.stdout.count(words) == 2
    assert "--rotate NAME" in doctor.stdout


def test_the_table_tells_who_has_what(home: Path, call: Command) -> None:
    provision(call, home, "--certificate", "server", "--days", "20")
    provision(call, home, "--rotate", "pi", "--overlap", "3d")
    provision(call, home, "--revoke", "ben")
    lines = call("provision", "home.yaml", "--out", "access", "--list").stdout.splitlines()
    words = [line.split() for line in lines]
    assert words[0] == ["NAME", "ROLE", "USER", "KIND", "MADE", "ENDS", "STATE"]
    assert [(row[2], row[3], " ".join(row[6:])) for row in words[1:]] == [
        ("pi", "secret", "being replaced"),
        ("pi~2", "secret", "valid"),
        ("server", "certificate", "valid"),
        ("anna", "secret", "valid"),
        ("ben", "secret", "revoked"),
    ]
    assert words[2][5] == "never"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--list"], 2, "there are no identities"),
        (["--overlap", "soon"], 2, "expected a duration"),
        (["--rotate", "nobody"], 2, "the matrix names no 'nobody'"),
        (["--server", "a b"], 2, "no name or address"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], code: int, told: str, call: Command) -> None:
    done = call("provision", "home.yaml", "--out", "access", *words)
    assert done.returncode == code
    assert told in done.stderr


def test_a_broker_takes_no_other_port_than_its_addresses_lead_to(home: Path, call: Command) -> None:
    provision(call, home)
    done = call("broker", "up", "mosquitto", "--access", "access", "--port", "2000")
    assert done.returncode == 2
    assert "lead to port 8883" in done.stderr
    assert "--port 2000" in done.stderr


def test_a_broker_beyond_loopback_says_each_time_that_it_is_open(home: Path, call: Command, start: Start) -> None:
    skip_without("mosquitto")
    running = start("broker", "up", "mosquitto", "--listen", "0.0.0.0", "--anonymous", "--insecure", cwd=home)  # noqa: S104 - that is the test
    assert "insecure: whoever reaches 0.0.0.0 may do everything on this bus" in running.wait_for("Ctrl-C ends it")


def test_a_unit_names_the_file_and_holds_no_secret(home: Path, call: Command) -> None:
    provision(call, home)
    call("host", "--name", "pi", "--broker", "mqtt://pi:old@b", "--install", "--unit-dir", home)
    for more in ([], ["--state", "state"]):
        done = call("host", "--name", "pi", "--broker", "@access/hosts/pi/broker.url", "--install", "--unit-dir", home, *more)
        assert done.returncode == 0, done.stderr
        unit = (home / "edgematrix-host-pi.service").read_text()
        password = Endpoint.parse(f"@{home}/access/hosts/pi/broker.url").password
        assert password
        assert password not in unit + done.stdout
        assert not (home / "edgematrix-host-pi.env").exists(), "the one of before is gone"
        if more:
            assert f'Environment="EDGEMATRIX_BROKER=@{home}/access/hosts/pi/broker.url"' in unit
        else:
            assert f"LoadCredential=broker.url:{home}/access/hosts/pi/broker.url\n" in unit
            assert 'Environment="EDGEMATRIX_BROKER=@%d/broker.url"' in unit


@pytest.mark.slow
def test_a_nats_cluster_with_certificates_runs_a_matrix_and_shuts_out_who_is_revoked(home: Path, call: Command, start: Start) -> None:
    skip_without("nats")
    provision(call, home, "--broker", "nats-cluster", "--certificates", "--port", free_ports(4))
    cluster = start("broker", "up", "nats-cluster", "--access", "access", cwd=home)
    begin = re.search(r"edgematrix (host .*)", cluster.wait_for("Ctrl-C ends it"))
    assert begin is not None
    start(*begin[1].split(), "--state", "pi", cwd=home).wait_for("waiting for agents")
    done = call("deploy", "home.yaml", "--broker", "@access/operators/anna/broker.url")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = home / "kept"
    shutil.copytree(home / "access" / "operators" / "anna", kept)
    assert call("host", "list", "--broker", "@kept/broker.url").returncode == 0
    provision(call, home, "--revoke", "anna")
    cluster.wait_for("has changed and is taken over")
    refused = call("host", "list", "--broker", "@kept/broker.url")
    assert refused.returncode == 1
    assert "refuses the client" in refused.stderr
