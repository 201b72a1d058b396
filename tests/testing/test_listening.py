"""Whoever listens to a simulation hears what agents tell one another, with the run that it belongs to."""

from __future__ import annotations

from pathlib import Path

from edgematrix.config.opening import open_matrix
from edgematrix.protocol.message import Message
from edgematrix.testing.recording import Recorded
from edgematrix.testing.simulator import Restart, Simulation

MATRIX = """
matrix: home
agents:
  lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
  rule: {triggers: {t: {on: {x: {topic: t/x}}, do: [{send: {to: lamp.set, payload: "${x.value}"}}]}}}
"""


def test_who_listens_hears_the_runs_before_and_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "home.yaml").write_text(MATRIX)
    simulation = Simulation(open_matrix(tmp_path / "home.yaml").spec)
    heard: list[Message] = []
    simulation.listen("em/in/home/lamp/+", heard.append)

    seen = list(simulation.play([Recorded(1_000_000, "t/x", 1), Recorded(9_000_000, "t/x", 2)], 10_000_000, [Restart(5_000_000)]))

    assert [(message.topic, message.value, message.source) for message in heard] == [
        ("em/in/home/lamp/set", 1, "home/rule"),
        ("em/in/home/lamp/set", 2, "home/rule"),
    ]
    assert len({message.trail.runid for message in heard}) == 2
    assert [one.payload for one in seen] == [1, 2]
