"""What cannot be stored of one agent keeps nothing of the others from being stored."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from durable_net import WORLD, DurableNet

from edgematrix.errors import StateError

PARALLEL = {"mode": "parallel"}
MATRIX = {
    "matrix": "home",
    "defaults": {"delivery": "durable"},
    "agents": {
        "feed": {"triggers": {"g": PARALLEL | {"on": {"x": {"topic": "t/go"}}, "do": [{"emit": {"o": "${x.value}"}}]}}},
        "slow": {
            "triggers": {
                "g": PARALLEL
                | {"on": {"x": {"from": "feed.o"}}, "do": [{"delay": "5s"}, {"publish": {"topic": "t/seen", "payload": "${x.value}"}}]}
            }
        },
    },
}


class Odd:
    """Whoever has a state that has no stored form."""

    store_key = "odd"

    def save(self) -> dict[str, bytes | None]:
        raise StateError("it has no stored form")


def test_a_state_without_a_stored_form_is_told_once_and_all_else_is_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    net = DurableNet(tmp_path, MATRIX, {"home/slow": "a"}, modules={})
    odd = Odd()
    try:
        with caplog.at_level(logging.ERROR):
            for at_s in (0.5, 1, 1.5):
                net.after(at_s, lambda: [host.engine.touched.insert(0, odd) for host in net.hosts.values()])
            net.after(1, lambda: net.tell("t/go", 7))
            net.after(3, lambda: net.kill("a"))
            net.after(4, lambda: net.back("a"))
            net.play(10, 60)
            assert [*net.left(), *net.failures] == []
    finally:
        net.close()
    assert list(net.foreign) == ['["t/seen", 7]']
    assert net.disks[WORLD]
    assert [record.getMessage() for record in caplog.records] == [
        "what is new of odd cannot be stored, and is lost at a restart: it has no stored form"
    ] * 2
