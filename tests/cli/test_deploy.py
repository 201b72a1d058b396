"""Hosts as processes on a real broker, and what is deployed to them."""

from __future__ import annotations

import json
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_process import WAIT_S, Running, call, no_traceback
from deploy_site import Site

from edgematrix.cli.audit_log import AuditLog
from edgematrix.hosting.capability import Birth, encode_birth


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def says(topic: str, payload: object, heard: str = "t/in") -> dict[str, Any]:
    return {"triggers": {"t": {"on": {"v": {"topic": heard}}, "do": [{"publish": {"topic": topic, "payload": payload}}]}}}


def deployed(folder: Path) -> list[tuple[str, object, str]]:
    """The revisions in a host's audit log, and what became of each."""
    log = AuditLog.of(None, folder)
    assert log.verify().trouble is None
    return [(order.began.verb, order.began.asked["revision"], order.outcome) for order in log.orders()]  # type: ignore[index]


PAIR = {
    "triggers": {
        "t": {"need": "all", "on": {"x": {"topic": "t/x"}, "y": {"topic": "t/y"}}, "do": [{"emit": {"out": "${x.value + y.value}"}}]}
    }
}
HEARS = {"triggers": {"t": {"on": {"v": {"from": "pair.out"}}, "do": [{"publish": {"topic": "t/sum", "payload": "${v.value}"}}]}}}


def test_a_matrix_is_deployed_changed_and_removed_and_only_what_differs_is_touched(site: Site) -> None:
    site.started("a", "b", "c")
    plan = site.deploy({"pair": {**PAIR, "host": "a"}, "ear": {**HEARS, "host": "b"}, "any": says("t/any", 1)}, "--plan")
    assert "home, revision 1 (not deployed yet)" in plan
    assert "+ home/pair  a" in plan
    assert site.ear.of("em/spec/home") == []
    told = site.deploy({"pair": {**PAIR, "host": "a"}, "ear": {**HEARS, "host": "b"}, "any": says("t/any", 1)})
    for name in "abc":
        assert f"✓ {name}: revision 1, agents 1" in told
    site.ear.say("t/x", 2)
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/any", 1)

    # One definition changes, one moves, one comes: the half of a pair that `a` holds is still there.
    agents = {"pair": {**PAIR, "host": "a"}, "ear": {**HEARS, "host": "c"}, "any": says("t/any", 2), "late": says("t/late", 3)}
    plan = site.deploy(agents, "--plan")
    for line in ("+ home/late", "~ home/any", "> home/ear   b -> c, changed", "1 stay as they are", "revision 2 (now 1)"):
        assert line in plan, plan
    assert site.ear.birth("a")["revision"] == 1
    site.deploy(agents)
    site.ear.say("t/y", 3)
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/sum", 5)
    site.ear.wait_for("t/any", 1, 2)
    site.ear.wait_for("t/late", 3)
    assert site.ear.of("t/sum") == [5]

    again = site.deploy(agents)
    assert "nothing changes, it is at revision 2" in again
    assert site.ear.birth("a")["revision"] == 2

    told = site.deploy(agents, "--remove")
    assert "- home/pair" in told
    site.ear.wait(lambda: all(site.ear.birth(name)["agents"] == 0 for name in "abc"), "agents are left")
    site.ear.wait_for("em/state/home/pair", None)
    site.ear.wait_for("em/spec/home/pair", None)


def test_who_connects_in_the_middle_and_who_starts_without_the_broker_have_all(site: Site) -> None:
    site.started("a")
    site.deploy({"one": says("t/one", 1), "two": says("t/two", 2)})
    site.hosts["a"].kill()
    site.ear.wait(lambda: site.ear.birth("a")["status"] == "offline", "the will does not come")
    site.started("b")
    told = site.deploy({"one": says("t/one", 1), "two": {**says("t/two", 2), "host": "b"}})
    assert "stays on a, which is offline" in told
    assert "a: offline; it follows revision 2 when it is back" in told
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/two", 2)
    assert site.ear.of("t/one") == []

    site.broker.kill()
    alone = site.host("a")
    alone.wait_for("running revision 1 of home: agents 2")
    site.broker.restart()
    alone.wait_for("revision 2 of home")
    site.ear.wait(lambda: site.ear.birth("a").get("revision") == 2, "a does not follow")


def test_a_deployer_that_is_killed_before_the_manifest_has_changed_nothing(site: Site) -> None:
    site.started("a")
    site.deploy({"one": says("t/one", 1), "two": says("t/two", 2)})
    # What a deployer has done until then: another definition stands on the bus, and the old manifest.
    (definition,) = site.ear.of("em/spec/home/one")
    definition["triggers"]["t"]["do"][0]["publish"]["payload"] = "half"
    site.ear.say("em/spec/home/one", definition, retain=True)
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/one", 1)
    site.hosts["a"].stop(signal.SIGTERM)
    site.started("a", "b")
    site.ear.wait(lambda: site.ear.birth("a").get("revision") == 1, "a has lost its deployment")
    told = site.deploy({"one": says("t/one", 1), "two": {**says("t/two", 3), "host": "b"}})
    assert "✓ b: revision 2, agents 1" in told
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/two", 2, 3)
    site.ear.wait_for("t/one", 1, 1)


def test_what_a_host_cannot_carry_out_is_refused_whole_with_the_reason(site: Site) -> None:
    code = site.folder / "code"
    code.mkdir()
    (code / "rules.py").write_text("def good(value: int, ctx: object) -> int:\n    return value\n")
    (site.folder / "rules.py").write_text(
        "def good(value: int, ctx: object) -> int:\n    return value\n\ndef other(value: int, ctx: object) -> int:\n    return value\n"
    )
    site.host("a", "--code", code)
    site.ear.wait(lambda: site.ear.birth("a").get("modules") == ["rules"], "a does not tell its modules")
    good = {"code": {"python": "rules:good"}, "one": says("t/one", 1)}
    site.deploy(good)
    told = site.deploy({"code": {"python": "rules:other"}, "one": says("t/one", 2)}, code=1)
    assert "✗ a: refuses revision 2" in told
    assert "there is no function 'rules:other'" in told
    assert "it goes on with revision 1" in told
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/one", 1)
    told = site.deploy({"code": {"python": "missing:good"}, "one": says("t/one", 2)}, code=1)
    assert "no host has the module missing" in told
    assert "✓ a: revision 3, agents 2" in site.deploy(good)
    logged = [("deploy", 1, "done"), ("deploy", 2, "refused"), ("deploy", 3, "done")]
    site.ear.wait(lambda: deployed(site.folder / "a") == logged, "it is not logged")


def test_the_matrix_as_a_whole_is_changed_by_starting_anew_with_states_kept(site: Site) -> None:
    site.started("a")
    site.deploy({"pair": PAIR, "ear": HEARS})
    site.ear.say("t/x", 2)
    site.ear.say("t/y", 2)
    site.ear.wait_for("t/sum", 4)
    site.ear.say("t/x", 5)
    told = site.deploy({"pair": PAIR, "ear": HEARS}, timezone="Europe/Berlin")
    assert "the matrix as a whole" in told
    site.ear.say("t/y", 3)
    site.ear.wait_for("t/sum", 4, 8)
    site.ear.wait(lambda: deployed(site.folder / "a") == [("deploy", 1, "done"), ("deploy", 2, "done")], "it is not logged")


def test_hosts_are_listed(site: Site) -> None:
    site.host("light", "--label", "small", "--device", "lamp", "--matrix", "home")
    site.started("b")
    site.ear.say("em/host/old", encode_birth(Birth("old", is_online=True, protocol=7, version="9.0", follows=True)), retain=True)
    site.ear.say("em/host/odd", b'{"v":1,"status":"here"}', retain=True)
    site.ear.wait(lambda: site.ear.birth("light").get("status") == "online", "light is not online")
    site.deploy({"one": {**says("t/one", 1), "needs": {"devices": ["lamp"]}}})
    site.hosts["b"].kill()
    site.ear.wait(lambda: site.ear.birth("b")["status"] == "offline", "the will does not come")
    done = call("host", "list", "--broker", site.broker.url, cwd=site.folder)
    no_traceback(done)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["HOST", "STATE", "MATRIX", "REVISION", "AGENTS", "LOAD", "VERSION", "LABELS"]
    assert lines[1].split() == ["b", "offline"]
    assert lines[2].split()[:5] == ["light", "online", "home", "1", "1"]
    assert lines[2].split()[-1] == "small"
    assert "old speaks the protocol version 7, and this edgematrix 1" in done.stdout
    assert "odd: the birth of odd has the status 'here'" in done.stderr
    found = call("host", "list", "--json", "--broker", site.broker.url, cwd=site.folder).stdout.splitlines()
    about = {json.loads(line)["name"]: json.loads(line) for line in found}
    assert about["light"]["devices"] == ["lamp"]
    assert about["light"]["memory_mb"] > 0
    assert (
        site.deploy({"one": says("t/one", 1)}, "--plan").count("old takes no part: it speaks the protocol version 7 (edgematrix 9.0)") == 1
    )


def test_a_manifest_of_another_protocol_is_not_followed_and_told(site: Site) -> None:
    site.started("a")
    site.deploy({"one": says("t/one", 1)})
    (manifest,) = site.ear.of("em/spec/home")
    site.ear.say("em/spec/home", {**manifest, "revision": 2, "protocol": 2}, retain=True)
    site.ear.wait(lambda: site.ear.birth("a").get("refused", {}).get("revision") == 2, "a does not tell")
    assert "for hosts of the protocol version 2, and this one speaks 1" in site.ear.birth("a")["refused"]["reason"]
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/one", 1)
    assert "✓ a: revision 3" in site.deploy({"one": says("t/one", 2)})


def test_nothing_is_deployed_where_nobody_can_take_it(site: Site) -> None:
    told = site.deploy({"one": says("t/one", 1)}, code=1)
    assert "no host is online" in told
    site.started("a")
    told = site.deploy({"one": {**says("t/one", 1), "host": "b"}, "two": {**says("t/two", 1), "needs": {"labels": ["gpu"]}}}, code=1)
    assert "home/one: it is to run on b, and no such host has been seen; online are a" in told
    assert "home/two: no host has the label gpu: a" in told
    assert site.ear.of("em/spec/home") == []
    done = call("deploy", site.file({"one": says("t/one", 1)}), cwd=site.folder)
    assert done.returncode == 2
    assert "no host reaches it" in done.stderr


def test_code_that_no_other_process_can_load_is_refused(site: Site) -> None:
    site.started("a")
    file = site.folder / "program.py"
    file.write_text(
        "import edgematrix as em\n\nhome = em.Matrix('home')\n\n\ndef make():\n"
        "    @home.agent(when=em.every_message('t/in', int))\n"
        "    def inner(v: int, ctx: em.Context) -> int:\n        return v\n\n\nmake()\n"
    )
    done = call("deploy", file, "--broker", site.broker.url, cwd=site.folder)
    no_traceback(done)
    assert done.returncode == 1
    assert "no host can load it" in done.stderr, done.stderr


def test_a_unit_is_written_and_the_password_is_for_its_owner_alone(tmp_path: Path) -> None:
    units = tmp_path / "units"
    units.mkdir()
    done = call(
        "host", "--name", "pi", "--broker", "mqtts://pi:s3cr%et@broker", "--label", "light", "--install", "--unit-dir", units, cwd=tmp_path
    )
    no_traceback(done)
    assert done.returncode == 0, done.stderr
    unit, secret = units / "edgematrix-host-pi.service", units / "edgematrix-host-pi.env"
    text = unit.read_text()
    assert "s3cr" not in text
    assert "s3cr" not in done.stdout
    assert secret.read_text() == 'EDGEMATRIX_BROKER="mqtts://pi:s3cr%et@broker"\n'
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=always", f"EnvironmentFile={secret}"):
        assert line in text.splitlines()
    assert "host --name pi --root em --state /var/lib/edgematrix/pi --label light" in text
    assert "systemctl enable --now edgematrix-host-pi.service" in done.stdout
    refused = call("host", "--name", "pi", "--broker", "mqtt://b", "--install", "--unit-dir", tmp_path / "none" / "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr
    assert "sudo" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("host", "--name", "A b"), "--name"),
        (("host", "--name", "a"), "the broker is missing"),
        (("host", "--name", "a", "--broker", "http://x"), "mqtt://"),
        (("host", "--name", "a", "--broker", "mqtt://x", "--label", "B!"), "--label"),
        (("host", "--name", "a", "--broker", "mqtt://x", "--code", "nowhere"), "there is no such folder"),
    ],
)
def test_wrong_usage_is_told(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = call(*arguments, cwd=tmp_path)
    no_traceback(done)
    assert done.returncode == 2
    assert told in done.stderr


def test_an_agent_with_failover_goes_on_elsewhere_when_its_host_is_killed(site: Site) -> None:
    site.started("a", "b")
    told = site.deploy({"one": {**says("t/one", "${v.value}"), "failover": ["a", "b"]}, "two": says("t/two", 2)})
    assert "home/one moves to b when a is gone" in told
    site.ear.wait(
        lambda: site.ear.of("em/state/home/one")[-1:] != [] and site.ear.of("em/state/home/one")[-1]["host"] == "a", "it is not there"
    )
    site.ear.say("t/in", 1)
    site.ear.wait_for("t/one", 1)
    killed_s = time.monotonic()
    site.hosts["a"].kill()
    site.ear.wait(lambda: site.ear.of("em/state/home/one")[-1]["host"] == "b", "it does not move")
    assert time.monotonic() - killed_s < 30  # the aim is 5 s, where others leave it the machine
    site.ear.say("t/in", 2)
    site.ear.wait_for("t/one", 1, 2)


def test_a_host_that_is_stopped_says_so_whatever_it_does(site: Site) -> None:
    site.started("a", "b")
    site.deploy({"one": {**says("t/one", 1), "host": "a"}})
    for name in ("a", "b"):
        site.hosts[name].stop(signal.SIGTERM)
        assert site.hosts[name].process.returncode == 0
        site.ear.wait(lambda name=name: site.ear.birth(name)["status"] == "offline", "it does not say farewell")  # type: ignore[misc]


def test_what_was_retained_of_an_agent_goes_with_it(site: Site) -> None:
    site.started("a")
    kept = {"outputs": {"mode": {"type": "text", "retain": True, "initial": "home"}}}
    site.deploy({"one": {**says("t/one", 1), **kept}, "two": says("t/two", 1)})
    site.ear.wait(lambda: site.ear.of("em/out/home/one/mode") != [], "there is no first value")
    site.deploy({"two": says("t/two", 1)})
    for topic in ("em/out/home/one/mode", "em/state/home/one", "em/spec/home/one"):
        site.ear.wait(lambda topic=topic: site.ear.of(topic)[-1] is None, f"{topic} is still there")  # type: ignore[misc]


def test_a_changed_deployment_is_changed_by_deploying_alone(site: Site) -> None:
    site.started("a", "b")
    site.deploy({"hall": {"agents": {"one": says("t/one", 1), "two": {**says("t/two", 2), "host": "b"}}, "host": "a"}})
    done = call("remove", "home/hall/one", "--url", site.broker.url, cwd=site.folder)
    assert done.returncode == 1
    assert "edgematrix deploy" in done.stderr
    assert call("pause", "home/hall", "--url", site.broker.url, cwd=site.folder).returncode == 0
    site.ear.wait(
        lambda: [site.ear.of(f"em/state/home/hall/{name}")[-1]["status"] for name in ("one", "two")] == ["paused"] * 2, "not paused"
    )
    site.hosts["b"].stop(signal.SIGTERM)
    site.started("b")
    site.ear.wait(lambda: len(site.ear.of("em/state/home/hall/two")) > 2, "it does not come back")
    assert site.ear.of("em/state/home/hall/two")[-1]["status"] == "paused"


def test_two_hosts_of_one_name_are_told_of_each_other(site: Site) -> None:
    site.started("a")
    first, other = site.hosts["a"], site.host("a", "--label", "other")
    try:
        other.wait_for("another process is the host a too")
    finally:
        first.kill()


def test_two_who_deploy_at_once_end_with_one_deployment_and_one_is_told(site: Site) -> None:
    site.started("a")
    files = [site.file({"one": says("t/one", number)}, f"{number}.yaml") for number in (1, 2)]
    runs = [Running("deploy", file, "--broker", site.broker.url, cwd=site.folder, name=file.stem) for file in files]
    codes = [run.process.wait(WAIT_S * 2) for run in runs]
    site.ear.say("t/in", 0)
    site.ear.wait(lambda: bool(site.ear.of("t/one")), "nobody works")
    (value,) = site.ear.of("t/one")
    assert codes[value - 1] == 0, [run.printed for run in runs]
    if codes != [0, 0]:  # they may have come one after the other
        assert "somebody else" in runs[2 - value].printed


def test_a_waiting_host_tells_what_a_revision_lacks_and_takes_it_up_when_that_comes(site: Site) -> None:
    site.started("a")
    site.deploy({"one": says("t/one", 1)})
    (right,) = [payload for topic, payload, _ in site.ear.heard if topic == "em/spec/home/one"]
    site.hosts["a"].kill()
    site.ear.wait(lambda: site.ear.birth("a")["status"] == "offline", "the will does not come")
    site.ear.say("em/spec/home/one", b'{"of": "another deployment"}', retain=True)
    site.host("a", "--state", site.folder / "empty")
    site.ear.wait(lambda: "such definition yet of home/one" in str(site.ear.birth("a").get("refused")), "not told")
    site.ear.say("em/spec/home/one", right, retain=True)
    site.ear.wait(lambda: site.ear.birth("a").get("revision") == 1, "not taken up")
    assert "refused" not in site.ear.birth("a")
    site.ear.say("t/in", 0)
    site.ear.wait_for("t/one", 1)
