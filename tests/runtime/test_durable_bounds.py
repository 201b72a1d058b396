"""What a receiver would never take is told by its sender, and is in nobody's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from durable_net import WORLD, DurableNet

from edgematrix.runtime.observation import Fired

MATRIX: dict[str, Any] = {
    "matrix": "home",
    "limits": {"depth_max": 8},
    "defaults": {"delivery": "durable"},
    "agents": {
        "feed": {"triggers": {"g": {"mode": "parallel", "on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}},
        "wrap": {
            "triggers": {
                "g": {
                    "mode": "parallel",
                    "on": {"x": {"from": "feed.o"}},
                    "do": [{"send": {"to": "sink.in", "payload": {"a": {"b": {"c": "${x.value}"}}}}}],
                }
            }
        },
        "sink": {
            "inputs": {"in": "any"},
            "triggers": {"g": {"mode": "parallel", "on": {"x": {"from": "self.in"}}, "do": [{"emit": {"seen": "${x.value}"}}]}},
        },
    },
}


def test_what_is_nested_too_deeply_is_told_once_and_what_follows_arrives(tmp_path: Path) -> None:
    net = DurableNet(tmp_path, MATRIX, {"home/wrap": "a"}, modules={})
    taken: list[Any] = []

    def hear(name: str, observation: Any) -> None:
        if name == WORLD and type(observation) is Fired and observation.path == "home/sink":
            taken.append(observation.firing.sources["x"].value["a"]["b"]["c"])

    net.observed.append(hear)
    try:
        for at_s, value in ((1, "one"), (2, [[[[["deep"]]]]]), (3, "two")):
            net.after(at_s, lambda value=value: net.tell("t/go", value))
        net.play(10, 120)
        left = [*net.left(), *net.failures]
    finally:
        net.close()
    assert (taken, left) == (["one", "two"], [])
    ((_, host, letter),) = net.letters
    assert (host, letter.path, letter.topic) == ("a", "home/wrap", "em/in/home/sink/in")
    assert "depth_max, 8" in letter.reason
