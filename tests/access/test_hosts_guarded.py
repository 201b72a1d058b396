"""Real hosts on a broker with the access list of their matrix: nothing that they do is refused."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from guarded_site import BrokerSite, GuardedSite

Make = Callable[..., GuardedSite]

CODE = """
from typing import Any
import edgematrix as em

async def work(value: Any, ctx: em.Context) -> None:
    found = await ctx.call("/home/sum.in", value)
    await ctx.send("/home/lamp.set", found)
    await ctx.publish("t/code/done", found)

def add(value: Any, ctx: em.Context) -> int:
    return int(value) + 1

def talk(value: Any, ctx: em.Context) -> str:
    return f"{ctx.path.rpartition('/')[2]}"

async def write(value: Any, ctx: em.Context) -> str:
    for word in str(value).split():
        await ctx.stream(word)
    return str(value)

async def conduct(value: Any, ctx: em.Context) -> str:
    pieces = []
    await ctx.call("/home/boss/writer.in", value, on_part=lambda part: pieces.append(part.value))
    await ctx.publish("t/pieces", pieces)
    return await ctx.call("/home/boss/writer.in", "over")

def fail(value: Any, ctx: em.Context) -> int:
    raise ValueError("it fails")
"""

HOME = """
matrix: home
access:
  hosts: [a, b, c]
  operators: {anna: {deploys: true}}
agents:
  lamp:
    host: a
    device:
      reads: {state: {topic: zigbee/lamp, value: state}}
      writes: {set: {topic: zigbee/lamp/set}}
  rule:
    host: b
    triggers: {t: {on: {v: {from: lamp.state}}, do: [{publish: {topic: t/lamp, payload: "${v.value}"}}]}}
  button:
    host: c
    triggers: {t: {mode: parallel, on: {v: {topic: t/button}}, do: [{send: {to: lamp.set, payload: "${v.value}"}}]}}
  sum: {host: a, inputs: {in: any}, python: "code:add"}
  asker:
    host: b
    triggers:
      t:
        on: {v: {topic: t/ask}}
        do: [{call: {agent: sum, payload: "${v.value}", timeout: 9s}}, {publish: {topic: t/sum, payload: "${result}"}}]
  coder:
    host: b
    sends: [sum.in, lamp.set]
    publishes: [t/code/+]
    triggers: {t: {on: {v: {topic: t/code}}}}
    python: "code:work"
  work:
    host: a
    triggers: {go: {mode: parallel, on: {in: {topic: t/work}}}}
    flow: {edges: [in -> one, one -> two, two -> person]}
    agents:
      one: {host: b, inputs: {in: any}, python: "code:add"}
      two: {host: c, inputs: {in: any}, python: "code:add"}
      person: {host: b, human: {ask: "Well?", timeout: 1h, notify: t/notify, answers: t/answer}}
  done:
    host: c
    delivery: durable
    triggers: {t: {mode: parallel, on: {v: {from: work}}, do: [{publish: {topic: t/done, payload: "${v.value.answer}", qos: 1}}]}}
  council:
    host: a
    triggers: {t: {on: {v: {topic: t/council}}}}
    chat: {members: [left, right], max_turns: 4, on_error: skip}
    agents:
      left: {host: b, inputs: {in: any}, python: "code:talk"}
      right: {host: c, inputs: {in: any}, python: "code:talk"}
  crew:
    host: c
    triggers: {t: {mode: parallel, on: {v: {topic: t/crew}}}}
    pool: {replicas: 2}
    agents: {m: {host: a, inputs: {in: any}, python: "code:add"}}
  crewed: {host: b, triggers: {t: {mode: parallel, on: {v: {from: crew}}, do: [{publish: {topic: t/crewed, payload: "${v.value}"}}]}}}
  wrap:
    host: a
    inputs: {in: any}
    outputs: {out: {from: inner.out, retain: true}}
    agents:
      inner:
        host: b
        triggers: {t: {mode: parallel, on: {x: {from: parent.in}}, do: [{emit: {out: "${x.value}"}}]}}
  wrapped:
    host: c
    triggers:
      t:
        on: {v: {topic: t/wrap}}
        do: [{call: {agent: wrap, payload: "${v.value}", timeout: 9s}}, {publish: {topic: t/wrapped, payload: "${result}"}}]
  boss:
    host: a
    publishes: [t/pieces]
    triggers: {t: {on: {v: {topic: t/boss}}}}
    python: "code:conduct"
    agents:
      writer: {host: b, inputs: {in: any}, python: "code:write"}
  failing: {host: b, triggers: {t: {mode: parallel, on: {v: {topic: t/fail}}}}, python: "code:fail"}
  tally:
    host: a
    delivery: durable
    inputs: {in: any}
    outputs: {sum: {type: any, retain: true}}
    triggers: {t: {mode: parallel, on: {v: {from: self.in}}, do: [{emit: {sum: "${v.value}"}}]}}
  teller:
    host: b
    delivery: durable
    triggers:
      s: {mode: parallel, on: {v: {topic: t/teller, qos: 1}}, do: [{send: {to: tally.in, payload: "${v.value}"}}]}
      h: {mode: parallel, on: {v: {from: tally.sum}}, do: [{publish: {topic: t/told, payload: "${v.value}", qos: 1}}]}
  mover:
    failover: [b, a]
    triggers: {t: {mode: parallel, on: {v: {topic: t/move}}, do: [{publish: {topic: t/moved, payload: "${v.value}"}}]}}
  rover:
    failover: {hosts: [], failback: auto}
    inputs: {in: any}
    triggers:
      t: {mode: parallel, on: {v: {from: self.in}}, do: [{emit: {out: "${v.value}"}}]}
  rovers:
    host: c
    triggers:
      s: {mode: parallel, on: {v: {topic: t/rove}}, do: [{send: {to: rover.in, payload: "${v.value}"}}]}
      h: {mode: parallel, on: {v: {from: rover.out}}, do: [{publish: {topic: t/roved, payload: "${v.value}"}}]}
"""


SITES: dict[str, Callable[[Path, dict[str, Any]], GuardedSite]] = {
    "acl_file": GuardedSite,
    "dynamic_security": lambda folder, matrix: BrokerSite(folder, matrix, "dynamic_security"),
    "nats": lambda folder, matrix: BrokerSite(folder, matrix, "nats"),
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a site with hosts that wait for agents. At the end nothing may have been refused but what the test looked at."""
    made: list[GuardedSite] = []

    def site(matrix: dict[str, Any], names: str = "ab", form: str = "acl_file") -> GuardedSite:
        for folder in (tmp_path, tmp_path / "code"):
            folder.mkdir(exist_ok=True)
            (folder / "code.py").write_text(CODE)
        found = SITES[form](tmp_path, matrix)
        made.append(found)
        start(found, names)
        return found

    yield site
    for found in made:
        denials = found.denials()
        for name, host in found.hosts.items():
            print(name, host.printed)
        found.close()
        assert denials == []


def start(site: GuardedSite, names: str) -> None:
    for name in names:
        site.host(name, "--matrix", "home", "--code", site.folder / "code")
    for name in names:
        site.ear.wait(lambda name=name: site.ear.birth(name).get("status") == "online", f"{name} is not online")  # type: ignore[misc]


def holder(site: GuardedSite, path: str) -> str:
    found = site.ear.of(f"em/state/{path}")
    return found[-1]["host"] if found and found[-1] else ""


def says(topic: str, payload: object, heard: str = "t/in", **more: object) -> dict[str, Any]:
    return {
        "triggers": {"t": {"mode": "parallel", "on": {"v": {"topic": heard}}, "do": [{"publish": {"topic": topic, "payload": payload}}]}}
    } | more


def home(agents: dict[str, Any], hosts: object = ("a", "b")) -> dict[str, Any]:
    hosts = hosts if isinstance(hosts, dict) else list(hosts)  # type: ignore[call-overload]
    return {"matrix": "home", "access": {"hosts": hosts, "operators": {"anna": {"deploys": True}}}, "agents": agents}


def work(site: GuardedSite) -> None:
    """Let hosts do all that they do for one another."""
    ear = site.ear
    ear.say("zigbee/lamp", {"state": "ON"})
    ear.wait_for("t/lamp", "ON")
    ear.say("t/button", "OFF")
    ear.wait(lambda: any(topic == "zigbee/lamp/set" for topic, _, _ in ear.heard), "the lamp hears nothing")
    ear.say("t/ask", 4)
    ear.wait_for("t/sum", 5)
    ear.say("t/code", 6)
    ear.wait_for("t/code/done", 7)
    ear.say("t/council", "hello")
    ear.wait(lambda: len(ear.of("em/in/home/council/right/in")) == 2, "they do not talk")
    ear.say("t/crew", 8)
    ear.wait_for("t/crewed", 9)
    ear.say("t/wrap", 3)
    ear.wait_for("t/wrapped", 3)
    ear.say("t/boss", "one two three")
    ear.wait_for("t/pieces", ["one", "two", "three"])
    for number in range(5):
        ear.say("t/teller", number)
    ear.wait_for("t/told", *range(5))
    ear.say("t/move", 1)
    ear.wait_for("t/moved", 1)
    ear.say("t/rove", 1)
    ear.wait_for("t/roved", 1)
    ear.say("t/work", 1)
    ear.wait(lambda: bool(ear.of("t/notify")), "nobody is asked")
    ear.say("t/answer", {"run": ear.of("t/notify")[0]["run"], "answer": "yes"})
    ear.wait_for("t/done", "yes")
    ear.say("t/fail", 1)
    ear.wait(lambda: bool(ear.of("em/dead/home/failing")), "it does not die")


@pytest.mark.slow
@pytest.mark.parametrize("form", SITES)
def test_all_that_hosts_do_for_one_another_is_granted_and_a_failover_changes_no_list(make: Make, form: str) -> None:
    site = make(matrix_of(HOME), "abc", form)
    ear = site.ear
    site.deploy_as("anna")
    work(site)
    assert site.denials() == []
    assert holder(site, "home/mover") == "b"
    for number in range(5, 9):
        ear.say("t/teller", number)
    site.hosts["b"].kill()
    ear.wait(lambda: holder(site, "home/mover") == "a", "it does not move")
    ear.say("t/move", 2)
    ear.wait_for("t/moved", 1, 2)
    assert site.denials() == []
    start(site, "b")
    ear.wait(lambda: set(ear.of("t/told")) == set(range(9)), "something is lost")  # a bare input that was not committed comes twice
    away = holder(site, "home/rover")
    site.hosts[away].kill()
    ear.wait(lambda: holder(site, "home/rover") not in ("", away), "it does not move")
    start(site, away)
    ear.wait(lambda: holder(site, "home/rover") == away, "it does not come back by itself")
    assert site.denials() == []


def test_hosts_work_and_are_changed_under_an_access_list(make: Make) -> None:
    old = home({"one": says("t/one", "${v.value}", host="a"), "two": says("t/two", 2, host="b"), "sum": {**ADDS, "host": "a"}})
    new = home({"one": says("t/uno", "${v.value}", host="b"), "three": says("t/three", 3, host="a"), "sum": {**ADDS, "host": "b"}})
    site = make(old)
    site.deploy_as("anna")
    site.ear.say("t/in", 1)
    site.ear.wait_for("t/one", 1)
    site.ear.wait_for("t/two", 2)
    # First what both need, then the deployment, then what the new one needs: nobody is refused, and nothing is left behind.
    site.grant(old, new)
    site.deploy_as("anna", new)
    site.ear.say("t/in", 4)
    site.ear.wait_for("t/uno", 4)
    site.ear.wait_for("t/three", 3)
    site.ear.wait_for("em/state/home/two", None)
    site.grant(new)
    site.ear.say("t/in", 5)
    site.ear.wait_for("t/uno", 4, 5)


ADDS: dict[str, Any] = {"inputs": {"in": "any"}, "python": "code:add"}


@pytest.mark.slow
def test_a_list_that_is_renewed_too_early_leaves_states_behind_and_hosts_say_so(make: Make) -> None:
    old = home({"one": says("t/one", 1, host="a"), "two": says("t/two", 2, host="b")})
    new = home({"two": says("t/two", 2, host="b")})
    site = make(old)
    site.deploy_as("anna")
    site.grant(new)
    site.deploy_as("anna", new)
    site.hosts["a"].wait_for("the broker refuses what a publishes on em/state/home/one: the broker refused it: Not authorized")
    assert any("em/state/home/one" in denial for denial in site.denials())
    # The same, done right.
    site.grant(old, new)
    site.deploy_as("anna", old)
    site.deploy_as("anna", new)
    site.ear.wait_for("em/state/home/one", None)


def test_what_a_host_may_not_do_is_noticed_here(make: Make) -> None:
    """The bench is awake, and so is the host."""
    site = make(home({"one": says("t/one", 1, host="a")}), "a")
    site.deploy_as("anna")
    site.grant(home({}))
    site.hosts["a"].stop()
    start(site, "a")
    site.hosts["a"].wait_for("the broker refuses what a publishes on em/state/home/one: the broker refused it: Not authorized")
    denials = site.denials()
    assert "a may not publish on em/state/home/one" in denials
    assert "a may not read t/in" in denials
    assert "a may not read em/in/home/one/+" in denials


@pytest.mark.slow
@pytest.mark.parametrize("deploys", [False, True])
def test_a_broker_that_has_forgotten_is_reminded_by_those_who_may(make: Make, deploys: bool) -> None:
    site = make(home({"one": says("t/one", 1, host="a"), "two": says("t/two", 2, host="b")}, {"a": {}, "b": {"deploys": deploys}}))
    site.deploy_as("anna")
    site.broker.stop()
    for kept in (site.folder / "broker").glob("mosquitto.db*"):
        kept.unlink()
    site.broker.start()
    site.hosts["a"].wait_for("a cannot remind the broker of revision 1")
    if deploys:
        site.ear.wait(lambda: len(site.ear.of("em/spec/home")) > 1, "nobody reminds it")
        site.ear.say("t/in", 1)
        site.ear.wait_for("t/one", 1)
        assert "cannot remind" not in site.hosts["b"].printed
    else:
        site.hosts["b"].wait_for("b cannot remind the broker of revision 1")
        assert len(site.ear.of("em/spec/home")) == 1
    assert site.hosts["a"].printed.count("cannot remind") == 1
    assert {denial.rpartition(" ")[2].rpartition("/")[0] for denial in site.denials() if denial.startswith("a ")} <= {
        "em/spec/home",
        "em/spec",
    }


@pytest.mark.slow
def test_a_name_belongs_to_a_user_so_another_process_takes_it_over_and_both_are_told(make: Make) -> None:
    site = make(home({"one": says("t/one", 1, host="a", delivery="durable")}), "a")
    site.deploy_as("anna")
    first, other = site.hosts["a"], site.host("a", "--matrix", "home", "--state", site.folder / "other")
    try:
        other.wait_for("another process is the host a too")
    finally:
        first.kill()


@pytest.mark.slow
def test_a_broker_keeps_what_comes_for_a_host_whose_client_id_is_its_user(make: Make) -> None:
    slow = {"delivery": "durable", "triggers": {"t": {"mode": "parallel", "on": {"v": {"topic": "t/kept", "qos": 1}}, "do": []}}}
    slow["triggers"]["t"]["do"] = [{"publish": {"topic": "t/done", "payload": "${v.value}", "qos": 1}}]  # type: ignore[index]
    site = make(home({"one": {**slow, "host": "a"}}), "a")
    site.deploy_as("anna")
    site.hosts["a"].kill()
    site.ear.wait(lambda: site.ear.birth("a")["status"] == "offline", "the will does not come")
    for number in range(20):
        site.ear.say("t/kept", number)
    start(site, "a")
    site.ear.wait_for("t/done", *range(20))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["dynamic_security", "nats"])
def test_a_host_that_names_no_matrix_is_told_to_where_the_broker_judges_subscriptions(make: Make, form: str) -> None:
    site = make(home({"one": says("t/one", 1, host="a")}), "", form)
    host = site.host("a")
    host.wait_for("the broker refuses a the subscription 'em/spec/+'")
    host.wait_for("Name what it is to run with --matrix")
    assert len(site.denials()) >= 1


@pytest.mark.slow
def test_filters_that_overlap_are_refused_by_nats_and_it_is_said_how_they_were_asked_for(make: Make) -> None:
    both = {
        "triggers": {
            "t": {"on": {"x": {"topic": "lamp/+"}, "y": {"topic": "+/set"}}, "do": [{"publish": {"topic": "t/one", "payload": 1}}]}
        }
    }
    site = make(home({"one": {**both, "host": "a"}}), "a", "nats")
    site.deploy_as("anna")
    site.hosts["a"].wait_for("the broker refuses a the subscription 'lamp/+'")
    site.hosts["a"].wait_for("asked for as '+/+', for it overlaps with others")
    denials = site.denials()
    assert any("+/+" in denial for denial in denials)
    assert not any("em/" in denial for denial in denials)


ORDERED = """
matrix: home
access:
  hosts: [a, b]
  operators: {anna: {deploys: true}}
agents:
  tank: {host: board, inputs: {pump: any}, outputs: {level: any, pumped: any}}
  pump:
    host: a
    triggers:
      low: {mode: parallel, on: {v: {from: tank.level}}, do: [{send: {to: tank.pump, payload: "${v.value}"}}]}
      done: {mode: parallel, on: {v: {from: tank.pumped}}, do: [{publish: {topic: t/pumped, payload: "${v.value}"}}]}
  report:
    host: a
    inputs: {in: any}
    triggers: {go: {mode: parallel, on: {in: {topic: t/report}}}}
    flow: {edges: [in -> one, one -> person]}
    agents:
      one: {host: b, inputs: {in: any}, python: "code:add"}
      person: {host: b, human: {ask: "Well?", timeout: 1h}}
  reported:
    host: b
    triggers: {t: {mode: parallel, on: {v: {from: report}}, do: [{publish: {topic: t/reported, payload: "${v.value.answer}"}}]}}
  failing: {host: b, inputs: {in: any}, python: "code:fail"}
  mover:
    failover: [b, a]
    triggers: {t: {mode: parallel, on: {v: {topic: t/move}}, do: [{publish: {topic: t/moved, payload: "${v.value}"}}]}}
"""


@contextmanager
def board(site: GuardedSite) -> Iterator[None]:
    """A board as it ships, in a thread: it connects as its own user, with its own will."""
    sys.path.append(str(Path(__file__).parents[2] / "firmware_bridge"))
    from upy.agent import Agent  # type: ignore[import-not-found]

    address = urlsplit(site.address("home.tank"))
    identity = {"client_id": "board-1", "user": address.username, "password": address.password}  # NATS takes no dots in a client id
    agent = Agent("home/tank", address.hostname, address.port, log=print, **identity)
    agent.on("pump", lambda command: agent.emit("pumped", command.value, qos=1))
    agent.every(50, lambda: agent.emit("level", 7, qos=1))
    running = threading.Thread(target=agent.run, daemon=True)
    running.start()
    try:
        yield
    finally:
        agent.stop()
        running.join(10)


@pytest.mark.slow
@pytest.mark.parametrize("form", SITES)
def test_boards_and_operators_work_with_hosts_and_nobody_is_refused(make: Make, form: str) -> None:
    site = make(matrix_of(ORDERED), "ab", form)
    ear = site.ear
    site.deploy_as("anna")
    with board(site):
        ear.wait(lambda: bool(ear.of("t/pumped")), "the board does not work")
        ear.say("t/report", 1)
        ear.wait(lambda: "person" in site.command("anna", "approve"), "nobody is asked")
        site.command("anna", "approve", "home/report/person", "yes")
        ear.wait_for("t/reported", "yes")
        assert "home/report" in site.command("anna", "trace", "home/report")
        site.command("anna", "pause", "home/mover")
        site.command("anna", "resume", "home/mover")
        site.command("anna", "send", "home/failing.in", "1")
        ear.wait(lambda: bool(ear.of("em/dead/home/failing")), "it does not die")
        assert "home/failing" in site.command("anna", "dead", "list")
        site.command("anna", "dead", "retry", "--all", "home/failing", "--yes")
        ear.wait(lambda: len(ear.of("em/dead/home/failing")) > 1, "it is not tried again")
        ear.say("t/report", 2)
        ear.wait(lambda: "person" in site.command("anna", "approve"), "nobody is asked")
        site.command("anna", "cancel", run_of(site), "home/report")
        ear.wait(lambda: "person" not in site.command("anna", "approve"), "it is not cancelled")
        site.hosts["b"].kill()
        ear.wait(lambda: holder(site, "home/mover") == "a", "it does not move")
        start(site, "b")
        site.command("anna", "failback", "home/mover")
        ear.wait(lambda: holder(site, "home/mover") == "b", "it does not come back")
    ear.wait(lambda: ear.of("em/state/home/tank")[-1]["status"] == "offline", "the board does not say farewell")


def run_of(site: GuardedSite) -> str:
    """The run of the report that is under way."""
    told = [json.loads(line) for line in site.command("anna", "trace", "--runs", "home/report", "--json").splitlines()]
    return next(run["run"] for run in told if run["state"] == "under way")


def matrix_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(re.sub(r"\bon: {", '"on": {', text))
