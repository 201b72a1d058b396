"""Edges between agents: neighbours, composites, wires, calls; and what stops a storm."""

from edgematrix.runtime.observation import DeadLettered, Outcome, RunEnded

LAMPS = """
matrix: home
agents:
  hall:
    inputs: {wanted: text}
    outputs: {done: {from: inner}}
    agents:
      inner:
        triggers:
          go: {on: {w: {from: parent.wanted}}, do: [{emit: {out: "did ${w.value}"}}]}
  boss:
    triggers:
      ask: {on: {t: {topic: t/ask}}, do: [{send: {to: hall.wanted, payload: "${t.value}"}}]}
      heard: {on: {d: {from: hall.done}}, do: [{publish: {topic: t/heard, payload: "${d.value}"}}]}
"""


def test_work_goes_into_a_composite_and_its_answer_comes_out(play) -> None:
    played = play(LAMPS, [(1, "t/ask", "light")])
    assert played.on("t/heard") == ["did light"]
    assert played.on("em/out/home/hall/done") == ["did light"]


def test_agents_that_trigger_one_another_end_as_a_dead_letter_that_says_so(play) -> None:
    played = play(
        """
        matrix: home
        limits: {hops_max: 8}
        agents:
          ping: {triggers: {t: {need: any, on: {a: {topic: t/go}, b: {from: pong}}, do: [{emit: {out: 1}}]}}}
          pong: {triggers: {t: {on: {a: {from: ping}}, do: [{emit: {out: 1}}]}}}
        """,
        [(1, "t/go", 1)],
    )
    letters = played.of(DeadLettered)
    assert len(letters) == 1
    assert "hops_max is 8" in letters[0].reason
    assert len(played.on("em/out/home/ping/out")) + len(played.on("em/out/home/pong/out")) == 8


def test_a_loop_over_a_foreign_topic_is_stopped_by_the_rate(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          loop: {triggers: {t: {rate_max: 50, on: {a: {topic: t/x}}, do: [{publish: {topic: t/x, payload: "${a.value + 1}"}}]}}}
        """,
        [(1, "t/x", 0)],
        until=1.5,
    )
    assert played.on("t/x") == list(range(1, 51))


def test_one_message_causes_a_bounded_number_of_others(play) -> None:
    played = play(
        """
        matrix: home
        limits: {cascade_max: 100}
        agents:
          loop: {triggers: {t: {rate_max: none, on: {a: {topic: t/x}}, do: [{publish: {topic: t/x, payload: 1}}]}}}
        """,
        [(1, "t/x", 0)],
    )
    assert [letter.reason for letter in played.of(DeadLettered)] == ["one message caused more than cascade_max, 100, others at one instant"]


CALL = """
matrix: home
agents:
  oracle:
    inputs: {in: any}
    triggers: {t: {on: {q: {from: self.in}}, mode: parallel, do: [%s]}}
  asker:
    triggers:
      t:
        on: {a: {topic: t/ask}}
        do: [{call: {agent: oracle, payload: "${a.value}", timeout: 5s}}, {publish: {topic: t/answer, payload: "${result}"}}]
"""


def test_a_call_waits_for_the_answer_of_its_own_run(play) -> None:
    played = play(CALL % '{delay: 2s}, {emit: {out: "${q.value + 1}"}}', [(1, "t/ask", 41)])
    assert [(at, payload) for at, topic, payload in played.told if topic == "t/answer"] == [(3, 42)]


def test_a_call_that_is_not_answered_fails_its_run(play) -> None:
    played = play(CALL % "{delay: 1h}, {emit: {out: 1}}", [(1, "t/ask", 41), (10, "t/ask", 1)])
    failed = [ended for ended in played.of(RunEnded) if ended.path == "home/asker"]
    assert [ended.outcome for ended in failed] == [Outcome.FAILED, Outcome.FAILED]
    assert "not answered in time" in failed[0].reason
    assert played.on("t/answer") == []


def test_a_call_to_an_agent_that_returns_nothing_gives_null_at_once(play) -> None:
    played = play(CALL % '{emit: {out: 1}, when: "q.value < 0"}', [(1, "t/ask", 41)])
    assert [(at, payload) for at, topic, payload in played.told if topic == "t/answer"] == [(1, None)]


def test_a_call_to_an_agent_that_has_no_room_for_it_fails_at_once(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          oracle: {inputs: {in: any}, triggers: {t: {on: {q: {from: self.in}}, do: [{delay: 1h}, {emit: {out: 1}}]}}}
          asker:
            triggers:
              t: {mode: parallel, on: {a: {topic: t/ask}}, do: [{call: {agent: oracle, payload: 1, timeout: 1d}}]}
        """,
        [(1, "t/ask", 41), (2, "t/ask", 41)],
    )
    (ended,) = [ended for ended in played.of(RunEnded) if ended.path == "home/asker"]
    assert (ended.at_us % 60_000_000, ended.outcome) == (2_000_000, Outcome.FAILED)
    assert "a run is going" in ended.reason


def test_a_call_to_an_agent_that_fails_is_told_at_once(play) -> None:
    played = play(CALL % '{emit: {out: "${q.value.missing.deep}"}}', [(1, "t/ask", 41)])
    (ended,) = [found for found in played.of(RunEnded) if found.path == "home/asker"]
    assert ended.outcome is Outcome.FAILED
    assert ended.at_us == next(found.at_us for found in played.of(RunEnded) if found.path == "home/oracle")


def test_all_that_a_run_puts_out_shares_its_id(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          a: {triggers: {t: {on: {x: {topic: t/x}}, do: [{emit: {out: 1, other: 2}}]}}}
          b: {triggers: {t: {on: {x: {from: a}, y: {from: a.other}}, do: [{emit: {out: 3}}]}}}
        """,
        [(1, "t/x", 1)],
    )
    assert played.on("em/out/home/b/out") == [3]
    (fired,) = [found for found in played.observations if getattr(found, "path", "") == "home/b" and hasattr(found, "firing")]
    assert fired.firing.trail.hops == 1
    assert fired.firing.trail.runid


def test_a_queue_of_many_runs_that_end_at_once_is_worked_off(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          q:
            triggers:
              t: {on: {x: {topic: t/x}}, mode: queued, max: 5000, rate_max: none,
                  do: [{delay: 10s, when: "x.value == 0"}, {publish: {topic: t/y, payload: "${x.value}"}}]}
        """,
        [(1, "t/x", number) for number in range(4000)],
    )
    assert played.on("t/y") == list(range(4000))


def test_an_output_has_a_first_value_and_is_retained_if_it_says_so(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          mode:
            outputs: {mode: {type: text, retain: true, initial: home}}
            triggers: {t: {on: {x: {topic: t/x}}, do: [{emit: {mode: "${x.value}"}}]}}
          ear: {triggers: {t: {on: {m: {from: mode.mode}}, do: [{publish: {topic: t/heard, payload: "${m.value}"}}]}}}
        """,
        [(1, "t/x", "away")],
    )
    assert played.on("t/heard") == ["home", "away"]


LIGHT = """
import edgematrix as em


async def light(firing: em.Firing, context: em.Context) -> None:
    await context.send("lamp", "ON")
"""


def test_code_that_names_no_port_reaches_the_only_one_that_it_was_wired_to(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
          code: {python: "rules:light", sends: [lamp], triggers: {t: {on: {a: {topic: t/go}}}}}
        """,
        [(1, "t/go", 1)],
        modules={"rules": LIGHT},
    )
    assert played.on("z/lamp/set") == ["ON"]
