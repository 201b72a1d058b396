"""Runs under way of durable agents go on after a restart: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from live_support import asked

from edgematrix.config.opening import open_matrix
from edgematrix.protocol.duration import SECOND_US
from edgematrix.runtime.keeper import collect, parts_by_owner
from edgematrix.runtime.observation import DeadLettered, Fired, NotFired, Outcome, RunEnded, StepBegan
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import START_US, Restart, Simulation

MEMBERS = """
import asyncio
import json
from zlib import crc32

PERIOD_S = 10

async def until_next(context, value):
    # To the same moment, however often it is begun anew; and to one of its own.
    own_s = crc32(json.dumps(value).encode()) % 997 / 1000
    await asyncio.sleep(PERIOD_S - (context.now().timestamp() - own_s) % PERIOD_S)

async def waits(value: object, context) -> object:
    await until_next(context, value)
    return value

async def speaks(value: object, context) -> object:
    await context.emit("extra", 1)
    await context.publish("t/said", value)
    await context.emit("extra", 2)
    await until_next(context, value)
    await context.publish("t/said", [value])
    return value

async def calls(value: object, context) -> object:
    first = await context.call("/home/work/slow.in", value)
    await context.publish("t/said", first)
    second = await context.call("/home/work/slow.in", [first])
    return [first, second]

async def both(value: object, context) -> object:
    return await asyncio.gather(context.call("/home/work/slow.in", value), context.call("/home/work/slow.in", [value]))

async def impatient(value: object, context) -> object:
    try:
        await asyncio.wait_for(context.call("/home/work/slow.in", value), 1)
    except TimeoutError:
        await context.publish("t/said", "too slow")
    return await context.call("/home/work/slow.in", value)

async def later(value: object, context) -> object:
    await asyncio.sleep(2)
    return await context.call("/home/work/oracle.in", value)

async def beside(value: object, context) -> object:
    context.asked = asyncio.create_task(context.call("/home/work/oracle.in", value))
    await asyncio.sleep(2)
    return value

async def fails(value: object, context) -> object:
    await until_next(context, value)
    raise ValueError("no")

def plain(value: object, context) -> object:
    return {"was": value}

def reply(value: dict, context) -> str:
    return f"{value['you']} {value['turn']}"
"""
SLOW = """{inputs: {in: any}, triggers: {t: {mode: parallel, on: {x: {from: self.in}}, do: [{delay: 4s}, {emit: {out: "${x.value}"}}]}}}"""
SHOW = """
  show:
    triggers:
      out: {mode: parallel, on: {r: {from: work}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}
"""


def work(kind: str, agents: str = "", more: str = "") -> str:
    inside = f"\n    agents:\n{agents}" if agents else ""
    return f"""
matrix: home
defaults: {{delivery: durable}}
agents:
  work:
    triggers: {{go: {{mode: parallel, on: {{in: {{topic: t/go}}}}}}}}
    {kind}
    {more}{inside}
{SHOW}"""


def code(function: str) -> str:
    return work(f"python: 'members:{function}'", f"      slow: {SLOW}")


KINDS = {
    "a rule that waits": f"""
matrix: home
defaults: {{delivery: durable}}
agents:
  work:
    triggers:
      go:
        mode: queued
        on: {{v: {{topic: t/go}}}}
        do:
          - delay: 3s
          - publish: {{topic: t/said, payload: "${{v.value}}"}}
          - call: {{agent: slow, payload: "${{v.value}}", timeout: 20s}}
          - emit: {{out: "${{result}}"}}
    retry: {{attempts: 2}}
    deadline: 30s
  slow: {SLOW}
{SHOW}""",
    "code": work("python: 'members:waits'"),
    "code that speaks": work("python: 'members:speaks'"),
    "code that calls": code("calls"),
    "code that calls twice at once": code("both"),
    "code that fails, and is tried again": work("python: 'members:fails'", more="retry: {attempts: 3, wait_initial: 2s, wait_jitter: 0s}"),
    "a flow": work(
        "flow: {edges: [in -> a, in -> b, 'a, b -> c', c -> d, {from: d, to: a, when: size(value) < 3, loop: true}],"
        " max_steps: 40, deadline: 50s}\n"
        "    outputs: {out: {from: d}}",
        f"      a: {{python: 'members:waits'}}\n      b: {SLOW}\n      c: {{python: 'members:plain'}}\n      d: {SLOW}",
    ),
    "a chat": work(
        "chat: {members: [a, b], max_turns: 4}",
        "      a: {python: 'members:reply'}\n"
        '      b: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{delay: 4s}, {emit: {out: "b ${x.value.turn}"}}]}}}',
    ),
    "a switch": work("switch: {cases: [{when: value > 1, to: a}], default: b}", f"      a: {SLOW}\n      b: {{python: 'members:waits'}}"),
    "a pool": work("pool: {replicas: 2, busy_max: 1}", f"      w: {SLOW}"),
    "a person": work("human: {ask: 'Well?', timeout: 20s, default: 'no', answers: t/answer, notify: t/notify}"),
    "flows in a pool in a chat": work(
        "chat: {members: [p], max_turns: 2}",
        "      p:\n        pool: {replicas: 2}\n        agents:\n          f:\n            flow: {edges: [in -> a -> b]}\n"
        f"            agents: {{a: {SLOW}, b: {{python: 'members:waits'}}}}",
    ),
    "own work that nobody called": """
matrix: home
agents:
  work: {python: 'members:waits', delivery: durable}
  go: {triggers: {t: {mode: parallel, on: {x: {topic: t/go}}, do: [{send: {to: work.in, payload: "${x.value}"}}]}}}
"""
    + SHOW,
}
SAID = [(1, "t/go", 1), (2, "t/go", 2), (2.5, "t/go", 3), (21, "t/answer", {"answer": "yes"})]


TOPICS = ("em/out/", "em/dead/", "t/")


def plain(value: Any) -> Any:
    """A payload without the ids of runs."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if key not in ("run", "letter")}
    return [plain(part) for part in value] if isinstance(value, list) else value


def said_by(played: Any) -> list[str]:
    """All that agents have put out, with its moment."""
    return sorted(json.dumps([at, topic, plain(value)]) for at, topic, value in played.told if topic.startswith(TOPICS))


def moments_of(played: Any) -> list[int]:
    """When anything was observed, from the start."""
    return sorted({observed.at_us - START_US for observed in played.observations})


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_moment_changes_nothing(play, kind: str) -> None:
    whole = play(KINDS[kind], SAID, 60, modules={"members": MEMBERS})
    moments = moments_of(whole)
    assert len(moments) > 2
    assert said_by(whole)

    for moment in moments:
        for at_us in (moment + 1, moment + 700_000):
            if at_us < 60 * SECOND_US:
                cut = play(KINDS[kind], SAID, 60, modules={"members": MEMBERS}, restarts=[Restart(at_us)])
                assert said_by(cut) == said_by(whole), at_us
                runs = {(run.path, run.group, run.run, run.runid) for run in cut.of(Fired)}
                assert {(run.path, run.group, run.run, run.runid) for run in cut.of(RunEnded)} <= runs


@pytest.mark.parametrize("kind", KINDS)
def test_kills_after_kills_change_nothing(play, kind: str) -> None:
    whole = play(KINDS[kind], SAID, 60, modules={"members": MEMBERS})
    kills = [Restart(half * SECOND_US // 2 + 100_000) for half in range(3, 80, 3)]

    cut = play(KINDS[kind], SAID, 60, modules={"members": MEMBERS}, restarts=kills)

    assert said_by(cut) == said_by(whole)


def test_what_was_due_while_the_host_was_down_comes_at_its_start(play) -> None:
    matrix = work("flow: {edges: [in -> a], deadline: 20s}", "      a: {python: 'members:waits'}")
    played = play(matrix, [(1, "t/go", 1)], 60, modules={"members": MEMBERS}, restarts=[Restart(5 * SECOND_US, 30 * SECOND_US)])
    (ended,) = [run for run in played.of(RunEnded) if run.path == "home/work"]
    assert (ended.at_us - START_US, ended.outcome) == (35 * SECOND_US, Outcome.FAILED)
    assert "its deadline of 20s has passed" in ended.reason


def test_a_question_is_asked_once_and_answered_in_its_run(play) -> None:
    played = play(
        KINDS["a person"], [(1, "t/go", 1), (9, "t/answer", "yes")], 30, restarts=[Restart(3 * SECOND_US), Restart(6 * SECOND_US)]
    )
    (asked_at,) = [at for at, topic, value in played.told if topic == "t/notify" and "question" in value]
    (answer,) = played.on("t/out")
    assert (asked_at, answer["answer"], answer["by"]) == (1, "yes", "t/answer")


def test_a_call_that_was_given_up_is_not_waited_for_again(play) -> None:
    played = play(code("impatient"), [(1, "t/go", 7)], 60, modules={"members": MEMBERS}, restarts=[Restart(4 * SECOND_US)])
    assert [(at, value) for at, topic, value in played.told if topic in ("t/said", "t/out")] == [(2, "too slow"), (6, 7)]


@pytest.mark.parametrize(
    ("function", "kills", "ended_s"), [("later", [], 6), ("later", [5], 6), ("later", [3.5, 5], 6), ("beside", [], 3), ("beside", [2], 4)]
)
def test_what_code_has_called_ends_with_its_run(play, function: str, kills: list[float], ended_s: int) -> None:
    """Also where it has not come to the call again after a restart, or does not wait for it."""
    matrix = work(f"python: 'members:{function}'", "      oracle: {human: {ask: 'Well?', timeout: 1h}}", "deadline: 5s")
    restarts = [Restart(round(kill * SECOND_US)) for kill in kills]
    played = play(matrix, [(1, "t/go", 7)], 60, modules={"members": MEMBERS}, restarts=restarts)
    ((at_us, outcome),) = [(run.at_us, run.outcome) for run in played.of(RunEnded) if run.path == "home/work/oracle"]
    assert ((at_us - START_US) / SECOND_US, outcome) == (ended_s, Outcome.CANCELLED)
    assert len(played.on("em/out/home/work/oracle/ask")) == 1


def test_work_of_a_best_effort_member_is_lost_and_tried_again(play) -> None:
    matrix = work(
        "flow: {edges: [in -> a]}",
        "      a: {python: 'members:waits', delivery: best_effort}",
        "retry: {attempts: 2, wait_initial: 1s, wait_jitter: 0s}",
    )
    played = play(matrix, [(1, "t/go", 7)], 60, modules={"members": MEMBERS}, restarts=[Restart(5 * SECOND_US)])
    assert played.on("t/out") == [7]
    assert [step.at_us - START_US for step in played.of(StepBegan)] == [SECOND_US, 6 * SECOND_US]


def test_work_that_waits_in_a_group_goes_on_in_its_call(play) -> None:
    matrix = work(
        "flow: {edges: [in -> a]}",
        '      a: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}, s: {topic: t/s}}, do: [{emit: {out: "${x.value}"}}]}}}',
    )
    played = play(matrix, [(1, "t/go", 7), (9, "t/s", 1)], 20, restarts=[Restart(5 * SECOND_US)])
    assert [(at, value) for at, topic, value in played.told if topic == "t/out"] == [(9, 7)]


def test_work_that_comes_when_its_caller_has_hung_up_does_not_begin_after_a_restart_either(play) -> None:
    """The flow calls `a` at the moment at which `bell` fails it: the call is given up before what it gives is heard."""
    matrix = work(
        "flow: {edges: [in -> first, first -> a, in -> bell]}\n    outputs: {out: {from: a}}",
        "      first: {human: {ask: 'Well?', timeout: 1s, default: 'no'}}\n"
        "      a: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}, s: {topic: t/s}}, do: [{emit: {out: 1}}]}}}\n"
        "      bell: {human: {ask: 'Well?', timeout: 9s}, deadline: 1s}",
    )
    for restarts in ([], [Restart(5 * SECOND_US)], [Restart(5 * SECOND_US), Restart(7 * SECOND_US)]):
        played = play(matrix, [(1, "t/go", 7), (9, "t/s", 1)], 20, restarts=restarts)
        assert [step.member for step in played.of(StepBegan)] == ["home/work/first", "home/work/bell", "home/work/a"]
        assert played.on("em/out/home/work/a/out") == []


def test_inputs_that_wait_for_others_of_their_run_are_kept(play) -> None:
    matrix = """
matrix: home
agents:
  sum: {python: 'members:plain', delivery: durable, inputs: {a: any, b: any}}
  go:
    durable: true
    triggers:
      t: {on: {x: {topic: t/go}}, do: [{send: {to: sum.a, payload: 1}}, {delay: 9s}, {send: {to: sum.b, payload: 2}}]}
  show: {triggers: {out: {on: {r: {from: sum}}, do: [{publish: {topic: t/out, payload: "${r.value}"}}]}}}
"""
    restarts = [Restart(3 * SECOND_US), Restart(5 * SECOND_US)]
    played = play(matrix, [(1, "t/go", 1)], 20, modules={"members": MEMBERS}, restarts=restarts)
    assert played.on("t/out") == [{"was": {"a": 1, "b": 2}}]


ODD = """
import asyncio
async def odd(value: object, context) -> object:
    if context.now().timestamp() % 100 < 5:
        await context.publish("t/said", 1)
        await context.emit("extra", 1)
    else:
        THEN
    await asyncio.sleep(10)
    return 1
"""


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("await context.publish('t/other', 1)", "the code did publish on t/other where it did publish on t/said before"),
        ("await context.publish('t/said', 1)", "the code came to its end, but before the restart it went on with emit on extra"),
        ("pass", "the code came to its end, but before the restart it went on with publish on t/said"),
    ],
)
def test_code_that_does_something_else_the_second_time_fails(play, then: str, reason: str) -> None:
    played = play(
        work("python: 'members:odd'"),
        [(1, "t/go", 1)],
        60,
        modules={"members": ODD.replace("THEN", then)},
        restarts=[Restart(7 * SECOND_US)],
    )
    (letter,) = played.of(DeadLettered)
    assert reason in letter.reason
    assert played.on("t/said") == [1]
    assert played.on("t/other") == []


def test_what_cannot_be_kept_fails_its_run_and_says_so(play) -> None:
    matrix = work(
        "flow: {edges: [in -> a -> b -> c]}",
        "      a: {python: 'members:much'}\n      b: {python: 'members:much'}\n      c: {python: 'members:waits'}",
    ).replace("matrix: home", "matrix: home\nlimits: {journal_bytes_max: 5000}")
    much = MEMBERS + "\ndef much(value: object, context) -> object:\n    return 'x' * 3000\n"
    played = play(matrix, [(1, "t/go", 1)], 60, modules={"members": much}, restarts=[Restart(5 * SECOND_US)])
    assert ["journal_bytes_max is 5000" in letter.reason for letter in played.of(DeadLettered)] == [True], played.of(DeadLettered)
    assert played.on("t/out") == []


def test_an_agent_that_is_removed_leaves_nothing_to_go_on_with(play) -> None:
    matrix = KINDS["a flow"]
    said = [(1, "t/go", 1), (5, *asked("remove", "home/show")), (6, *asked("remove", "home/work"))]
    played = play(matrix, said, 60, modules={"members": MEMBERS}, restarts=[Restart(8 * SECOND_US)])
    assert [run.at_us for run in played.of(RunEnded) if run.at_us > START_US + 7 * SECOND_US] == []
    assert played.of(DeadLettered) == []


def test_runs_of_groups_that_are_not_durable_are_abandoned_as_ever(play) -> None:
    matrix = KINDS["a rule that waits"].replace("delivery: durable", "delivery: best_effort")
    played = play(matrix, [(1, "t/go", 1)], 60, restarts=[Restart(2 * SECOND_US)])
    assert played.on("t/out") == []
    assert any("abandoned" in found.trace.describe() for found in played.of(NotFired))


# What was stored, and what becomes of it


class Kept:
    """What a host had stored when it was killed, to be taken up by one with another definition, or damaged."""

    def __init__(self, folder: Path, matrix: str, kill_s: float) -> None:
        self._folder = folder
        (folder / "members.py").write_text(MEMBERS)
        simulation = self._simulation(matrix)
        list(simulation.play([Recorded(SECOND_US, "t/go", 1)], round(kill_s * SECOND_US)))
        self.store = {key: data for key, data in collect(simulation._assembly.engine.touched).items() if data is not None}
        self.damaged: list[str] = []
        self.observations: list[Any] = []

    def _simulation(self, matrix: str, **more: Any) -> Simulation:
        file = self._folder / "matrix.yaml"
        file.write_text(matrix)
        opened = open_matrix(file)
        return Simulation(opened.spec, loader=opened.loader, **more)

    def start(self, matrix: str) -> Mapping[str, bytes | None]:
        """Start anew; what is written right after."""
        simulation = self._simulation(matrix, start_us=START_US + 5 * SECOND_US, observer=self.observations.append)
        assembly = simulation._assembly
        assembly.start(parts_by_owner(self.store), START_US + 5 * SECOND_US, lambda key, _: self.damaged.append(key))
        changed = collect(assembly.engine.touched)
        if simulation._loop is not None:
            simulation._loop.turn()
        simulation._close_loop()
        return changed

    @property
    def letters(self) -> list[str]:
        return [f"{found.path}: {found.reason}" for found in self.observations if isinstance(found, DeadLettered)]


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("matrix: home\nagents:\n  other: {}\n", "home/work: it was under way when the host went down, and there is no home/work any more"),
        (
            work("python: 'members:waits'"),
            "home/work: it was under way in an agent of another kind (course, now code)",
        ),
        (
            work("flow: {edges: [in -> b]}", "      b: {python: 'members:waits'}"),
            "home/work: its definition was changed meanwhile, and what was done of this run does not fit it any more",
        ),
        (
            work("flow: {edges: [in -> a]}", "      a: {python: 'members:waits'}").replace("durable", "best_effort"),
            "home/work: it was under way when the host went down, and home/work is not durable any more",
        ),
    ],
)
def test_what_cannot_go_on_becomes_a_dead_letter_with_the_reason(tmp_path: Path, then: str, reason: str) -> None:
    kept = Kept(tmp_path, work("flow: {edges: [in -> a]}", "      a: {python: 'members:waits'}"), 3)
    changed = kept.start(then)
    assert reason in kept.letters
    gone = {key for key, data in changed.items() if data is None}
    assert {key for key in kept.store if "run\x1ehome/work#" in key} <= gone


@pytest.mark.parametrize("part", ["head", "state", "0"])
@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x01"])
def test_what_is_damaged_is_told_and_dead_lettered(tmp_path: Path, part: str, damage: bytes) -> None:
    matrix = work("flow: {edges: [in -> a -> b]}", "      a: {python: 'members:plain'}\n      b: {python: 'members:waits'}")
    kept = Kept(tmp_path, matrix, 3)
    (key,) = [key for key in kept.store if "run\x1ehome/work#" in key and key.endswith(f"\x1e{part}")]
    kept.store[key] = damage
    kept.start(matrix)
    assert [key for key in kept.damaged if key.startswith("work home/work")]
    assert [letter for letter in kept.letters if letter.startswith("home/work:")]


def test_a_run_that_is_over_before_the_next_write_costs_no_write(tmp_path: Path) -> None:
    matrix = work("flow: {edges: [in -> a -> b]}", "      a: {python: 'members:plain'}\n      b: {python: 'members:plain'}")
    kept = Kept(tmp_path, matrix, 3)
    assert [key for key in kept.store if key.startswith("work\x1f")] == []


def test_the_journal_of_a_run_is_written_in_parts(tmp_path: Path) -> None:
    (tmp_path / "members.py").write_text(MEMBERS)
    file = tmp_path / "matrix.yaml"
    file.write_text(KINDS["a flow"])
    opened = open_matrix(file)
    simulation = Simulation(opened.spec, loader=opened.loader)
    engine = simulation._assembly.engine
    written: list[str] = []
    said = [Recorded(SECOND_US, "t/go", 1), *[Recorded(at * SECOND_US, "t/tick", at) for at in range(2, 30, 2)]]
    engine.observers.append(lambda _: written.extend(collect(engine.touched)) if not engine._queue else None)
    list(simulation.play(said, 60 * SECOND_US))
    parts = [key.rpartition("\x1e")[2] for key in written if "run\x1ehome/work#" in key]
    assert parts.count("head") <= 2  # once to write it, once to delete it


def test_what_a_member_has_put_out_on_one_of_two_ports_is_written_before_it_is_done(tmp_path: Path) -> None:
    rule = "{delay: 5s}, {emit: {extra: 1}}, {delay: 5s}, {emit: {out: 2}}"
    member = f"{{inputs: {{in: any}}, outputs: {{out: any, extra: any}}, triggers: {{t: {{on: {{x: {{from: self.in}}}}, do: [{rule}]}}}}}}"
    after = "{inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}}}, python: 'members:plain'}"
    matrix = work("flow: {edges: [in -> a, a.extra -> b, a -> b]}", f"      a: {member}\n      b: {after}")
    (tmp_path / "members.py").write_text(MEMBERS)
    (tmp_path / "matrix.yaml").write_text(matrix)
    opened = open_matrix(tmp_path / "matrix.yaml")
    simulation = Simulation(opened.spec, loader=opened.loader)
    engine = simulation._assembly.engine
    written: list[tuple[int, str]] = []
    engine.observers.append(
        lambda observed: written.extend((observed.at_us - START_US, key) for key in collect(engine.touched)) if not engine._queue else None
    )
    list(simulation.play([Recorded(at * SECOND_US, "t/go", at) for at in (1, 2, 8)], 10 * SECOND_US))
    states = [at_us // SECOND_US for at_us, key in written if key.endswith("run\x1ehome/work#go#1\x1estate")]
    assert any(5 < at_s <= 8 for at_s in states), states


TAINTED = """
matrix: home
defaults: {delivery: durable}
agents:
  lock: {device: {writes: {state: {topic: t/lock, critical: true}}}}
  careless:
    inputs: {who: text}
    outputs: {out: {from: wait}}
    flow: {edges: [who -> ask, ask -> opener, who -> wait, "wait, ask -> other"]}
    agents:
      ask: {human: {ask: "Open for ${value}?", answers: t/answer}}
      wait: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{delay: 3s}, {emit: {out: "${x.value}"}}]}}}
      opener:
        inputs: {in: any}
        triggers: {t: {on: {x: {from: self.in}}, do: [{send: {to: /home/lock.state, payload: "${x.value.answer}"}}]}}
      other:
        inputs: {in: any}
        triggers: {t: {on: {x: {from: self.in}}, do: [{send: {to: /home/lock.state, payload: "${x.value.wait}"}}]}}
"""


@pytest.mark.parametrize("kills", [(), (6,), (2, 6), (2, 6, 12)])
def test_the_taint_of_what_was_given_before_a_restart_is_known_after_it(play, kills: tuple[int, ...]) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/home", "type": "em.in.who", "data": "eve", "taint": "web"}
    said = [(1, "em/in/home/careless/who", event), (10, "t/answer", {"answer": "yes"})]
    played = play(TAINTED, said, 60, restarts=[Restart(kill * SECOND_US) for kill in kills])
    assert played.on("t/lock") == ["yes"]
    assert [about["action"]["payload"] for about in played.on("em/out/home/lock/ask")] == ["eve"]
