"""`edgematrix audit`, and operators with names on a broker with an access list."""

from __future__ import annotations

import getpass
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import Ear, Running, call, no_traceback

from edgematrix.access.audit import Fact, Outcome
from edgematrix.access.mosquitto import acl_file
from edgematrix.cli.audit_log import AuditLog
from edgematrix.cli.audit_text import verdict_line
from edgematrix.config.authority import principals_of
from edgematrix.config.opening import open_matrix
from edgematrix.identity.password import mosquitto_hash
from edgematrix.runtime.audit_file import AuditFile

AT = "2026-07-27T08:00:00.000000Z"
MATRIX = """
matrix: home
access:
  hosts: [pi]
  operators: {anna: {}, ben: {paths: [home/rule], verbs: [send, watch]}}
agents:
  rule:
    inputs: {in: number}
    outputs: {out: number}
    triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: "${v.value + 1}"}}]}}
  sure:
    inputs: {in: any}
    triggers: {t: {on: {v: {from: self.in}}, mode: parallel}}
    human: {ask: "Open it?", choices: ["yes", "no"], timeout: 1m}
"""


def fact(user: str, verb: str, path: str, outcome: Outcome = Outcome.DONE, of: int = 0, reason: str = "") -> Fact:
    return Fact(AT, user, verb, path, {} if of else {"run": "x"}, outcome, reason, of)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    log = AuditFile(tmp_path / "state", "pi")
    log.append([fact("anna", "pause", "home/hall", Outcome.BEGUN), fact("anna", "pause", "home/hall", of=1)])
    log.append(
        [fact("ben", "remove", "home/attic", Outcome.BEGUN), fact("ben", "remove", "home/attic", Outcome.REFUSED, 3, "no such agent")]
    )
    log.append([fact("anna", "create", "home/hall/lamp", Outcome.BEGUN)])
    log.close()
    return tmp_path / "state"


def test_a_log_is_listed_newest_first_and_filtered(state: Path, tmp_path: Path) -> None:
    done = call("audit", "list", "--state", state, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[2:5] for line in lines if line.startswith("2026")] == [
        ["?", "anna", "create"],
        ["✗", "ben", "remove"],
        ["✓", "anna", "pause"],
    ]
    assert "the host went down" in lines[1]
    assert "no such agent" in lines[3]
    one = call("audit", "list", "--state", state, "--user", "anna", "--path", "home/hall", "--last", 1, "--json", cwd=tmp_path)
    assert [json.loads(line)["path"] for line in one.stdout.splitlines()] == ["home/hall/lamp"]
    assert "1 older ones" in one.stderr


def test_a_verification_tells_what_is_wrong_and_where(state: Path, tmp_path: Path) -> None:
    good = call("audit", "verify", "--state", state, cwd=tmp_path)
    assert (good.returncode, good.stdout.startswith("✓ 5 entries, head 5 ")) == (0, True)
    assert good.stdout.endswith(", of pi\n")  # the log of another host in its place is whole too
    file = state / "audit.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    for changed, told in (
        (b"".join(lines).replace(b"attic", b"cellar"), "audit.jsonl:3: entry 3: it was changed"),
        (b"".join(lines[:1] + lines[2:]), "audit.jsonl:2: entry 3: the entry 2 is missing"),
        (b"".join(lines) + lines[2], "audit.jsonl:6: entry 3: it is out of order"),
        (b"".join(lines)[:-20], "audit.jsonl:5: entry 5: it is no entry"),
        (b"".join(lines[:2]) + b"\n" + b"".join(lines[2:]), "audit.jsonl:3: it is no entry"),
    ):
        file.write_bytes(changed)
        log = AuditLog.of([file], state)
        assert told in verdict_line(log.verify(), log)
    bad = call("audit", "verify", file, "--json", cwd=tmp_path)
    told_json = json.loads(bad.stdout)
    assert (bad.returncode, told_json["ok"], told_json["trouble"]["where"]) == (1, False, f"{file}:3")
    none = call("audit", "verify", "--state", tmp_path / "nothing", cwd=tmp_path)
    assert (none.returncode, "there is no audit log" in none.stderr) == (2, True)
    no_traceback(none)


class Site:
    """A broker with an access list, a host that runs the matrix, and the addresses of all."""

    def __init__(self, folder: Path) -> None:
        (folder / "home.yaml").write_text(MATRIX)
        principals = principals_of(open_matrix(folder / "home.yaml").spec)
        access = folder / "access"
        access.mkdir()
        (access / "acl").write_text(acl_file(principals))
        (access / "passwords").write_text("".join(f"{who.name}:{mosquitto_hash(who.name)}\n" for who in principals))
        more = f"password_file {access}/passwords\nacl_file {access}/acl\nuser {getpass.getuser()}\n"
        self.broker = BrokerProcess("mosquitto", folder / "broker", more=more, anonymous=False)
        self.broker.start()
        self.folder = folder
        self.state = folder / "state"
        self.host = self.run("host")

    def url(self, who: str) -> str:
        return f"mqtt://{who}:{who}@127.0.0.1:{self.broker.port}"

    def run(self, name: str) -> Running:
        words = ("run", "home.yaml", "--broker", self.url("pi"), "--name", "pi", "--state", self.state, "--log", "text")
        running = Running(*words, cwd=self.folder, name=name)
        running.wait_for("connected")
        return running

    def call(self, who: str, *words: object) -> tuple[int, str]:
        done = call(*words, "--url", self.url(who), cwd=self.folder)
        no_traceback(done)
        return done.returncode, done.stdout + done.stderr

    def logged(self) -> list[tuple[str, str, str, str]]:
        """What was asked for that changes something, or may."""
        orders = [
            order for order in AuditLog.of(None, self.state).orders() if order.began.verb != "watch" and order.began.outcome == "begun"
        ]
        return [(order.began.user, order.began.verb, order.began.path, order.outcome) for order in orders]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    made = Site(tmp_path)
    yield made
    made.host.kill()
    made.broker.kill()


def test_operators_act_under_the_name_that_the_broker_proves(site: Site) -> None:
    spy = Ear(site.broker.port, "em/reply/#", user="ben")
    code, told = site.call("anna", "send", "home/rule", "1")
    assert (code, "home/rule.out 2" in told) == (0, True), told
    (newest,) = site.call("anna", "trace", "--runs", "--json")[1].splitlines()
    assert "anna sent it to the input `in`" in site.call("anna", "trace", json.loads(newest)["run"])[1]
    code, told = site.call("ben", "send", "home/rule", '"two"')
    assert (code, "wrong type" in told) == (1, True), told
    assert site.call("anna", "send", "home/sure", "1", "--wait", "0")[0] == 0
    code, told = site.call("anna", "approve", "home/sure", "yes")
    assert code == 0, told
    spy.say("em/op/anna/remove/home/rule", "{}")  # ben, as anna
    spy.say("em/op/ben/pause/home/rule", "{}")  # a verb that he has not
    spy.say("em/op/ben/send/home/sure", '{"port": "in", "payload": 1}')  # an agent that he may not order about
    spy.say("em/in/home/rule/in", "5")  # past the log
    code, told = site.call("ben", "send", "home/rule", "2")
    assert (code, "home/rule.out 3" in told) == (0, True), told
    assert site.logged() == [
        ("anna", "send", "home/rule", "done"),
        ("ben", "send", "home/rule", "refused"),
        ("anna", "send", "home/sure", "done"),
        ("anna", "approve", "home/sure", "done"),
        ("ben", "send", "home/rule", "done"),
    ]
    answered: list[str] = []
    spy.wait_for(lambda topic, _: answered.append(topic.split("/")[3]) or len(answered) == 2)  # type: ignore[func-returns-value]
    assert (answered, spy.all()) == (["ben", "ben"], [])  # nothing of what anna was answered
    spy.close()


def test_a_killed_host_has_logged_what_it_has_done_and_its_head_is_compared(site: Site) -> None:
    assert site.call("anna", "pause", "home/rule")[0] == 0
    anna = Ear(site.broker.port, "em/reply/+/anna/#", user="anna")
    for number in range(100):
        anna.say("em/op/anna/cancel/home/rule", json.dumps({"run": f"r{number}", "session": f"s{number}"}))
    heard: list[str] = []
    anna.wait_for(lambda topic, _: heard.append(topic) or topic.endswith("/s20"))  # type: ignore[func-returns-value]
    site.host.stop(signal.SIGKILL)
    answered = {topic.rpartition("/s")[2] for topic in (*heard, *(topic for topic, _ in anna.all()))}
    anna.close()
    assert len(answered) > 20
    cancels = [order for order in AuditLog.of(None, site.state).orders() if order.began.verb == "cancel"]
    assert answered <= {order.as_data()["asked"]["run"][1:] for order in cancels if order.outcome in ("done", "refused")}  # type: ignore[index]
    file = site.state / "audit.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    file.write_bytes(file.read_bytes() + b'{"n":3,"at":"20')  # as a power cut leaves it
    site.host = site.run("again")
    site.host.wait_for("was not whole")
    assert site.call("anna", "resume", "home/rule")[0] == 0
    site.host.stop()
    verify = ("audit", "verify", "--state", site.state)
    code, told = site.call("anna", *verify)
    assert (code, "✓ 5 entries" in told) == (0, True), told
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:3]))
    code, told = site.call("anna", *verify)
    assert (code, "the end is cut off: the log ends with the entry 3, and had 5" in told) == (1, True), told
