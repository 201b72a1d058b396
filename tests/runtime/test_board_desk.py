"""What a host makes of a board that judges for it, told message by message in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from edgematrix.config.build import build
from edgematrix.config.document import parse_document
from edgematrix.config.placement import put_in_place
from edgematrix.config.places import EVERYTHING_HERE, Places
from edgematrix.config.planning import plan
from edgematrix.config.reading import parse_matrix
from edgematrix.config.surroundings import Surroundings
from edgematrix.protocol.message import Message
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.ids import id_maker
from edgematrix.runtime.observation import Dropped, Fired, Noted, NotFired
from edgematrix.runtime.order import Create, Edit, Remove
from edgematrix.runtime.workshop import Workshop
from edgematrix.testing.clock import VirtualClock

HOUSE = """
matrix: home
agents:
  board: {host: b, inputs: {set: text}, outputs: {t: number, u: any}}
  rule:
    outputs: {told: any}
    triggers:
      hot:
        on: {t: {from: board.t, above: 27}}
        do: [{send: {to: board.set, payload: "on"}}, {publish: {topic: t/hot, payload: "${t.value}"}}]
      long: {on: {t: {from: board.t, below: 5, for: 10s}}, do: [{publish: {topic: t/long, payload: "${t.value}"}}]}
      big: {on: {u: {from: board.u}}, if: "u.value > 5", cooldown: 10s, do: [{publish: {topic: t/big, payload: "${u.value}"}}]}
"""
STATE, OUT, IN = "em/state/home/board", "em/out/home/board", "em/in/home/board/_rules"
START_S = 1_800_000_000
MONTH_S = 30 * 86_400


class Site:
    """A host, and what it hears. Time is in seconds since the start."""

    def __init__(self, text: str = HOUSE, places: Places = EVERYTHING_HERE) -> None:
        self.spec = parse_matrix(parse_document(text, "home.yaml")).spec
        clock = VirtualClock(START_S * 1_000_000)
        self.around = Surroundings(clock, id_maker(), lambda limits, told: Workshop(clock, limits, told), places=places)
        self.assembly = build(self.spec, self.around)
        self.engine = self.assembly.engine
        self.seen: list[Any] = []
        self.engine.tracers.append(self.seen.append)
        self.assembly.start({}, START_S * 1_000_000, lambda _key, _error: None)

    def hear(self, at_s: float, topic: str, value: Any, *, retained: bool = False) -> list[tuple[str, Any]]:
        """What is put out when this comes."""
        now_us = self.to(at_s)
        self.engine.receive(Message(topic, value, retained), now_us)
        return self.said()

    def to(self, at_s: float) -> int:
        until_us = round((START_S + at_s) * 1_000_000)
        while (due_us := self.engine.deadline_us) is not None and due_us <= until_us:
            self.engine.advance(due_us)
        return until_us

    def said(self) -> list[tuple[str, Any]]:
        found = [(outbound.topic, outbound.value) for outbound in self.engine.outbox]
        self.engine.outbox.clear()
        return found

    def change(self, at_s: float, path: str, asked: Edit) -> list[tuple[str, Any]]:
        found = plan(self.spec, AgentPath(path), asked, self.around, self.assembly, manifest={})
        assert found.target is not None
        self.spec = found.target
        put_in_place(found, self.assembly, 2, self.to(at_s))
        return self.said()

    def begin(self) -> list[Any]:
        """A board that judges: its table."""
        ((topic, table),) = self.hear(0, STATE, birth())
        assert topic == IN
        assert self.hear(0, STATE, birth(table[1])) == []
        found: list[Any] = table
        return found

    def of(self, kind: type) -> list[Any]:
        return [found for found in self.seen if isinstance(found, kind)]


def birth(table: str = "", *, bytes_max: int = 4_096, **more: Any) -> dict[str, Any]:
    return {"v": 1, "status": "ready", "host": "b", "session": "s", "rules": {"table": table, "bytes_max": bytes_max, **more}}


def rule_of(table: list[Any], place: int) -> str:
    name: str = table[3][place][0]
    return name


def report(rule: str, readings: list[Any], number: int = 1, *, age_ms: int = 0, at: Any = None, done: Any = (), lost: int = 0) -> list[Any]:
    return [1, "boot", number, rule, age_ms, at, list(done), readings, lost]


def test_a_board_that_knows_rules_gets_them_and_others_do_not() -> None:
    site = Site()
    assert site.hear(0, STATE, {"v": 1, "status": "ready", "host": "b", "session": "s"}) == []
    ((topic, table),) = site.hear(1, STATE, birth())
    assert (topic, table[0], table[2]) == (IN, 1, [["t", []], ["u", []]])
    assert [len(rule[2]) for rule in table[3]] == [1, 1, 1]
    assert site.hear(2, STATE, birth(table[1])) == [], "it has them"


def test_before_the_board_has_them_the_host_judges_itself() -> None:
    site = Site()
    assert [topic for topic, _ in site.hear(0, f"{OUT}/t", 28)] == ["em/in/home/board/set", "t/hot"]


def test_while_the_board_judges_readings_fire_nothing_and_reports_do() -> None:
    site = Site()
    table = site.begin()
    assert site.hear(1, f"{OUT}/t", 30) == []
    assert site.of(NotFired)[-1].trace.describe() == "`long` did not fire: its board judges it"
    assert site.hear(2, f"{OUT}/_rules", report(rule_of(table, 0), [[28, 0]], done=[0])) == [("t/hot", 28)]
    fired = site.of(Fired)[-1]
    assert (fired.group, fired.firing.fired_at_us) == ("hot", (START_S + 2) * 1_000_000)
    assert fired.firing.sources["t"].topic == f"{OUT}/t"


def test_what_the_board_could_not_do_the_host_does() -> None:
    site = Site()
    table = site.begin()
    found = site.hear(2, f"{OUT}/_rules", report(rule_of(table, 0), [[28, 0]]))
    assert [topic for topic, _ in found] == ["em/in/home/board/set", "t/hot"]


def test_a_report_that_comes_twice_counts_once_and_one_of_another_boot_counts() -> None:
    site = Site()
    told = report(rule_of(site.begin(), 0), [[28, 0]], done=[0])
    assert site.hear(1, f"{OUT}/_rules", told) == [("t/hot", 28)]
    assert site.hear(2, f"{OUT}/_rules", told) == []
    assert site.hear(3, f"{OUT}/_rules", [1, "anew", *told[2:]]) == [("t/hot", 28)]


@pytest.mark.parametrize(
    ("age_ms", "at", "fired_s"),
    [
        (4_000, None, 96.0),
        (4_000, [START_S + 50, 250], 50.25),
        (4_000, [100, 0], 96.0),
        (4_000, [START_S + MONTH_S, 0], 96.0),
        (0, [START_S + 100 - MONTH_S, 0], 100.0),
    ],
)
def test_the_moment_is_that_of_the_boards_clock_unless_it_is_plainly_wrong(age_ms: int, at: Any, fired_s: float) -> None:
    site = Site()
    site.hear(100, f"{OUT}/_rules", report(rule_of(site.begin(), 0), [[28, 1_000]], age_ms=age_ms, at=at))
    firing = site.of(Fired)[-1].firing
    assert firing.fired_at_us == round((START_S + fired_s) * 1_000_000)
    assert firing.sources["t"].time_us == firing.fired_at_us - 1_000_000


def test_late_and_lost_firings_are_told() -> None:
    site = Site()
    rule = rule_of(site.begin(), 1)
    assert site.hear(100, f"{OUT}/_rules", report(rule, [[3, 10_000]], 5, age_ms=60_000, lost=2)) == [("t/long", 3)]
    assert site.of(Noted)[-1].what == "`long` fired 60 s ago on the board home/board"
    assert site.of(Dropped)[-1].reason == "the board had no room for 2 firings that it could not tell"
    site.hear(101, f"{OUT}/_rules", report(rule, [[3, 10_000]], 6, lost=2))
    assert len(site.of(Dropped)) == 1, "these are known"


def test_a_condition_and_what_comes_after_it_are_the_hosts() -> None:
    site = Site()
    rule = rule_of(site.begin(), 2)
    assert site.hear(1, f"{OUT}/_rules", report(rule, [[4, 0]], 1)) == []
    assert site.hear(2, f"{OUT}/_rules", report(rule, [[6, 0]], 2)) == [("t/big", 6)]
    assert site.hear(5, f"{OUT}/_rules", report(rule, [[7, 0]], 3)) == [], "cooldown"
    assert site.hear(12, f"{OUT}/_rules", report(rule, [[8, 0]], 4)) == [("t/big", 8)]


@pytest.mark.parametrize(
    "value",
    [
        "text", [], {"v": 1}, [2, "boot", 1, "r", 0, None, [], [], 0], [1, "boot", -1, "r", 0, None, [], [], 0],
        [1, "boot", 1, "r", 0, [1], [], [], 0], [1, "boot", 1, "r", 0, None, ["x"], [], 0], [1, "boot", 1, "r", 0, None, [], [[1]], 0],
        [1, "boot", True, "r", 0, None, [], [], 0], [1, "boot", 1, "r", 1 << 60, None, [], [], 0],
        [1, "b" * 65, 1, "r", 0, None, [], [], 0],
    ],
)  # fmt: skip
def test_a_malformed_report_is_a_dead_letter(value: Any) -> None:
    site = Site()
    site.begin()
    ((topic, letter),) = site.hear(1, f"{OUT}/_rules", value)
    assert topic == "em/dead/home"
    assert "of a board" in letter["reason"]


def test_a_report_of_a_rule_that_is_gone_is_told() -> None:
    site = Site()
    site.begin()
    assert site.hear(1, f"{OUT}/_rules", report("nobody", [[1, 0]])) == []
    assert site.of(Dropped)[-1].reason == "the board tells of a rule 'nobody' that is none of this matrix any more"


def test_a_table_that_the_board_refuses_is_told_once_and_the_host_judges() -> None:
    site = Site()
    ((_, table),) = site.hear(0, STATE, birth())
    refused = {"table": table[1], "reason": "over 32 samples in a window of t"}
    ((topic, letter),) = site.hear(1, STATE, birth(refused=refused))
    assert topic == "em/dead/home"
    assert letter["reason"] == f"the board home/board refuses the rules {table[1]}: over 32 samples in a window of t"
    assert site.hear(2, STATE, birth(refused=refused)) == [], "it is not asked again, and told once"
    assert ("t/hot", 28) in site.hear(3, f"{OUT}/t", 28)


def test_a_table_that_the_board_cannot_take_is_told_once() -> None:
    site = Site()
    ((topic, letter),) = site.hear(0, STATE, birth(bytes_max=100))
    assert topic == "em/dead/home"
    assert "it takes 100" in letter["reason"]
    assert site.hear(1, STATE, birth(bytes_max=100)) == []
    assert ("t/hot", 28) in site.hear(2, f"{OUT}/t", 28)


def test_a_board_that_is_offline_goes_on_judging() -> None:
    site = Site()
    site.begin()
    site.hear(1, STATE, {"v": 1, "status": "offline", "host": "b", "session": "s"})
    assert site.hear(2, f"{OUT}/t", 30) == []


def test_what_the_host_had_begun_to_wait_for_is_the_boards() -> None:
    site = Site()
    assert site.hear(0, f"{OUT}/t", 3) == []
    ((_, table),) = site.hear(5, STATE, birth())
    site.hear(5, STATE, birth(table[1]))
    site.to(20)
    assert site.said() == [], "the board waits for the ten seconds now"
    assert site.hear(70, STATE, birth("older")) != [], "it gets its table anew"
    assert site.hear(71, f"{OUT}/t", 3) == []
    site.to(90)
    assert site.said() == [("t/long", 3)], "the host judges until it has"


def test_what_a_paused_agent_would_do_its_board_does_not_do() -> None:
    site = Site()
    table = site.begin()
    site.engine.pauses.parts.add(AgentPath("home/rule"))
    site.assembly.desks[AgentPath("home/board")].heed_pauses(site.to(1))
    ((topic, paused),) = site.said()
    assert (topic, [rule[-1] for rule in paused[3]]) == (IN, [[], [], []])
    assert [rule[:-1] for rule in paused[3]] == [rule[:-1] for rule in table[3]]
    site.hear(2, STATE, birth(paused[1]))
    assert site.hear(3, f"{OUT}/_rules", report(rule_of(table, 0), [[28, 0]])) == [], "nor does the host"
    site.engine.pauses.parts.clear()
    site.assembly.desks[AgentPath("home/board")].heed_pauses(site.to(4))
    assert site.said() == [(IN, table)]


def test_a_board_that_is_removed_judges_nothing_more_and_its_rules_are_taken_back() -> None:
    site = Site()
    site.begin()
    site.change(1, "home/rule", Remove())
    ((topic, nothing), taken_back) = site.change(2, "home/board", Remove())
    assert (topic, nothing[2:]) == (IN, [[], []])
    assert taken_back == (IN, b"")


def test_of_a_removed_board_that_knows_no_rules_nothing_is_taken_back() -> None:
    site = Site()
    site.hear(0, STATE, {"v": 1, "status": "ready", "host": "b", "session": "s"})
    site.change(1, "home/rule", Remove())
    assert site.change(2, "home/board", Remove()) == []


PLAIN = {"v": 1, "status": "ready", "host": "b", "session": "s"}
LACKS = (
    "the board home/board judges nothing itself, its program has no Judge: judged here, and by nobody while it is cut off, "
    "are `hot` of home/rule, `long` of home/rule, `big` of home/rule"
)


def test_a_board_that_could_judge_and_does_not_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    for at_s in (0, 1):
        assert site.hear(at_s, STATE, {**PLAIN, "rules": None}) == []
    assert [found.what for found in site.of(Noted)] == [LACKS]
    assert caplog.messages == [LACKS]
    assert ("t/hot", 28) in site.hear(2, f"{OUT}/t", 28), "and the host judges"


def test_a_board_whose_new_program_has_no_judge_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    site.begin()
    assert caplog.messages == []
    site.hear(1, STATE, PLAIN)
    assert caplog.messages == [LACKS]


def test_of_a_device_that_knows_no_rules_it_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    site.hear(0, STATE, PLAIN)
    assert [found.what for found in site.of(Noted)] == [LACKS]
    assert caplog.messages == []


def test_a_board_that_goes_back_to_other_rules_gets_ours_once_a_minute() -> None:
    site = Site()
    ((_, table),) = site.hear(0, STATE, birth())
    for second in range(1, 59):
        assert site.hear(second, STATE, birth(f"other{second}")) == []
    assert site.hear(61, STATE, birth("other")) == [(IN, table)]


def test_a_new_reader_makes_a_quiet_port_speak_and_its_end_makes_it_quiet() -> None:
    site = Site()
    table = site.begin()
    reader = {
        "triggers": {"g": {"on": {"t": {"from": "board.t"}, "x": {"topic": "x"}}, "do": [{"publish": {"topic": "t/new", "payload": 1}}]}}
    }
    found = dict(site.change(1, "home/reader", Create({**reader})))
    assert (found[IN][2], found[IN][3]) == ([["u", []]], table[3])
    site.hear(2, STATE, birth(found[IN][1]))
    assert site.hear(3, f"{OUT}/t", 30) == [], "the rules are judged there as before"
    again = dict(site.change(4, "home/reader", Remove()))
    assert again[IN] == table


def test_rules_that_are_taken_out_are_taken_from_the_board() -> None:
    site = Site()
    site.begin()
    found = dict(site.change(1, "home/rule", Remove()))
    assert found[IN][2:] == [[], []]


SPREAD = """
matrix: home
agents:
  green:
    outputs: {o: any}
    triggers: {x: {on: {x: {topic: x}}, do: [{emit: {o: 1}}]}}
    agents: {board: {host: b, outputs: {t: number}}}
  rule: {triggers: {hot: {on: {t: {from: /home/green/board.t, above: 27}}, do: [{publish: {topic: t/hot, payload: "${t.value}"}}]}}}
"""


def test_one_host_hands_the_rules_out_and_the_one_that_has_the_group_takes_the_firings() -> None:
    hosts = {AgentPath("home/green"): "one", AgentPath("home/rule"): "two"}
    one, two = Site(SPREAD, Places("one", hosts)), Site(SPREAD, Places("two", hosts))
    state, out = "em/state/home/green/board", "em/out/home/green/board"
    ((topic, table),) = one.hear(0, state, birth())
    assert topic == "em/in/home/green/board/_rules"
    assert two.hear(0, state, birth()) == []
    told = report(rule_of(table, 0), [[28, 0]])
    for site in (one, two):
        assert site.hear(1, state, birth(table[1])) == []
    assert two.hear(2, f"{out}/t", 30) == []
    assert (one.hear(3, f"{out}/_rules", told), two.hear(3, f"{out}/_rules", told)) == ([], [("t/hot", 28)])
    assert one.of(Dropped) == []
