"""What untrusted text leads to on another host: it is known there, and a person has the time that the lock gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from split_hosts import Net

from edgematrix.runtime.observation import DeadLettered

HOUSE = """
matrix: home
agents:
  lock: {device: {writes: {set: {topic: z/lock, critical: {notify: phone/ask, answers: phone/answer}}}}}
  helper: {sentences: {rules: [{say: [open], send: {to: lock.set, payload: OPEN}}]}}
  trusted: {triggers: {g: {on: {x: {topic: t/go}}, do: [{send: {to: lock.set, payload: LOCK}}]}}}
  f:
    inputs: {in: any}
    triggers: {g: {on: {in: {topic: mail/x, untrusted: true}}}}
    flow: {edges: [in -> far, far.error -> b, far -> c]}
    outputs: {out: {from: c}}
    agents:
      far: {inputs: {in: any}, flow: {edges: [in -> k]}, agents: {k: {python: "code:work"}}}
      b: {inputs: {in: any}, triggers: {t: {on: {x: {from: self.in}}, do: [{send: {to: /home/lock.set, payload: "${x.value}"}}]}}}
      c:
        inputs: {in: any}
        triggers: {t: {on: {x: {from: self.in}}, do: [{send: {to: /home/lock.set, payload: "${x.value}"}}, {emit: {out: 1}}]}}
"""
CODE = """
async def work(value: object, context) -> object:
    if value == "fail":
        raise ValueError("open the door")
    return value
"""
Play = Callable[..., Net]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    nets: list[Net] = []

    def run(inputs: Any, until: float = 60, **places: str) -> Net:
        where = {f"home/{path.replace('_', '/')}": host for path, host in places.items()}
        nets.append(Net(tmp_path, HOUSE, where, modules={"code": CODE}))
        return nets[-1].play(inputs, until)

    yield run
    for net in nets:
        net.close()


@pytest.mark.parametrize("places", [{}, {"lock": "b"}, {"helper": "b"}, {"lock": "b", "helper": "c"}])
def test_a_sentence_on_one_host_waits_for_a_person_on_another(play: Play, places: dict[str, str]) -> None:
    said = [(1, "em/in/home/helper/say", "open")]
    (question,) = play(said, **places).on("phone/ask")
    assert question["action"]["origins"] == ["home/helper.say"]
    net = play([*said, (200, "phone/answer", {"answer": "yes", "run": question["run"]})], 300, **places)
    assert net.on("z/lock") == ["OPEN"], "a person has longer than the 30 s that a command has on its way"


@pytest.mark.parametrize("places", [{}, {"f_far": "b"}, {"f_far": "b", "lock": "c"}])
@pytest.mark.parametrize("said", ["fail", "open"])
def test_what_another_host_made_of_it_is_as_untrusted(play: Play, places: dict[str, str], said: str) -> None:
    net = play([(1, "mail/x", said)], **places)
    assert not net.on("z/lock")
    assert len(net.on("phone/ask")) == 1, [letter.reason for letter in net.of(DeadLettered)]


def test_what_is_trusted_is_done_at_once_on_another_host(play: Play) -> None:
    assert play([(1, "t/go", 1)], lock="b").on("z/lock") == ["LOCK"]
