"""Runs under way of an agent that says `durable: true` itself go on after a restart; those of others are abandoned."""

from edgematrix.runtime.observation import NotFired, RunEnded
from edgematrix.testing.simulator import Restart

SECOND_US = 1_000_000
MATRIX = """
matrix: home
agents:
  rule:
    %s
    triggers:
      t:
        on: {v: {topic: t/v}}
        mode: %s
        do:
          - delay: 10s
          - publish: {topic: t/one, payload: "${v.value}"}
          - delay: 10s
          - publish: {topic: t/two, payload: "${v.value}"}
"""


def told(played, topic: str) -> list[tuple[float, object]]:
    return [(at, payload) for at, seen, payload in played.told if seen == topic]


def test_a_delay_goes_on_where_it_was(play) -> None:
    played = play(MATRIX % ("durable: true", "single"), [(1, "t/v", 7)], restarts=[Restart(5 * SECOND_US), Restart(15 * SECOND_US)])
    assert told(played, "t/one") == [(11, 7)]
    assert told(played, "t/two") == [(21, 7)]


def test_a_delay_that_is_over_meanwhile_goes_on_at_the_restart(play) -> None:
    played = play(MATRIX % ("durable: true", "single"), [(1, "t/v", 7)], restarts=[Restart(5 * SECOND_US, 20 * SECOND_US)])
    assert told(played, "t/one") == [(25, 7)]
    assert told(played, "t/two") == [(35, 7)]


def test_what_is_over_does_not_come_again(play) -> None:
    played = play(MATRIX % ("durable: true", "single"), [(1, "t/v", 7)], restarts=[Restart(30 * SECOND_US)], until=100)
    assert told(played, "t/two") == [(21, 7)]


def test_a_run_that_goes_on_still_counts_for_the_mode(play) -> None:
    inputs = [(1, "t/v", 1), (2, "t/v", 2), (8, "t/v", 3)]
    played = play(MATRIX % ("durable: true", "queued"), inputs, restarts=[Restart(5 * SECOND_US)], until=100)
    assert told(played, "t/two") == [(21, 1), (41, 2), (61, 3)]
    played = play(MATRIX % ("durable: true", "restart"), inputs, restarts=[Restart(5 * SECOND_US)], until=100)
    assert told(played, "t/two") == [(28, 3)]


def test_other_runs_are_abandoned_with_a_trace(play) -> None:
    played = play(MATRIX % ("defaults: {durable: true}", "single"), [(1, "t/v", 7)], restarts=[Restart(5 * SECOND_US)])
    assert told(played, "t/one") == []
    assert any("abandoned" in found.trace.describe() for found in played.of(NotFired))


def test_a_call_whose_work_was_lost_with_the_host_fails(play) -> None:
    played = play(
        """
        matrix: home
        agents:
          oracle: {inputs: {in: any}, triggers: {t: {on: {q: {from: self.in}}, do: [{delay: 3s}, {emit: {out: 1}}]}}}
          asker:
            durable: true
            triggers: {t: {on: {a: {topic: t/a}}, do: [{call: {agent: oracle, payload: 1, timeout: 10s}}, {publish: {topic: t/b}}]}}
        """,
        [(1, "t/a", 1)],
        restarts=[Restart(2 * SECOND_US)],
    )
    assert told(played, "t/b") == []
    (ended,) = [found for found in played.of(RunEnded) if found.outcome == "failed"]
    assert "the call failed: the host went down while it was under way" in ended.reason
