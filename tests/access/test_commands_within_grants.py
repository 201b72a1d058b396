"""What operators' commands ask of brokers that refuse a subscription beyond what is granted, and of those that let less through."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "cli"))

from cli_process import Running, call, no_traceback
from guarded_broker import GuardedBroker, password_of

from edgematrix.config.authority import principals_of
from edgematrix.config.opening import open_matrix

MATRIX = """
matrix: home
access:
  hosts: [pi]
  operators: {anna: {}, ben: {paths: [home/rule]}}
agents:
  rule:
    inputs: {in: number}
    outputs: {out: number}
    triggers: {t: {on: {v: {from: self.in}}, do: [{emit: {out: "${v.value + 1}"}}]}}
  other:
    outputs: {out: number}
    triggers: {t: {on: {v: {from: rule.out}}, do: [{emit: {out: "${v.value + 1}"}}]}}
"""


class Site:
    """A broker with an access list, and a host on it."""

    def __init__(self, form: str, folder: Path) -> None:
        (folder / "home.yaml").write_text(MATRIX)
        self.folder = folder
        self.broker = GuardedBroker(form, folder / form, "home", principals_of(open_matrix(folder / "home.yaml").spec))
        words = ("run", "home.yaml", "--broker", self.url("pi"), "--name", "pi", "--log", "text")
        self.host = Running(*words, cwd=folder, name="host")
        self.host.wait_for("connected")

    def url(self, who: str) -> str:
        return f"mqtt://{who}:{password_of(who)}@127.0.0.1:{self.broker.process.port}"

    def call(self, who: str, *words: object) -> tuple[int, str]:
        done = call(*words, "--url", self.url(who), cwd=self.folder)
        no_traceback(done)
        return done.returncode, done.stdout + done.stderr

    def close(self) -> None:
        self.host.kill()
        self.broker.stop()


@pytest.fixture(params=["dynamic_security", pytest.param("nats", marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(request.param, tmp_path)
    yield made
    made.close()


def test_commands_ask_for_what_is_granted_and_a_refusal_is_told(site: Site) -> None:
    watching = Running("watch", "--json", "--url", site.url("anna"), cwd=site.folder, name="watching")
    watching.wait_for('"em/state/home/other"')
    code, told = site.call("anna", "send", "home/rule", "1", "--wait", "3s")
    assert (code, "home/rule.out 2" in told, "home/other.out 3" in told) == (0, True, True), told
    watching.wait_for('"em/out/home/other/out"')
    watching.stop()
    assert "refuses" not in watching.printed
    code, told = site.call("ben", "send", "home/rule", "1")
    assert (code, "home/rule.out 2" in told, "refuses" in told) == (0, True, False), told
    code, told = site.call("ben", "watch", "em/out/home/other/#", "--for", "300ms")
    assert "the broker refuses the subscription 'em/out/home/other/#'" in told


@pytest.mark.slow
def test_what_asks_hosts_needs_no_more_than_is_granted(site: Site) -> None:
    assert site.call("anna", "send", "home/rule", "1", "--wait", "1s")[0] == 0
    code, told = site.call("anna", "trace", "--runs", "--json")
    assert (code, [json.loads(line)["path"] for line in told.splitlines()]) == (0, ["home/rule"]), told
    code, told = site.call("anna", "dead", "list")
    assert (code, "no dead letters" in told) == (0, True), told
    code, told = site.call("anna", "pause", "home/nothing")
    assert (code, "home/nothing" in told) == (1, True), told
