"""The adversary of tests/chaos, in real time and on each kind of bus: what it says reaches no device beyond its limits."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from adversary import HAND, HOUSE, LIMITS, attempts, violations
from bus_fixtures import Bus, OnBus

ATTEMPTS = 60


def test_an_adversary_on_a_real_broker_moves_nothing_beyond_its_limits(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        random = Random(7)
        script: list[Any] = []
        for number, attempt in enumerate(attempts(random, ATTEMPTS)):
            script += [attempt] if number % 9 else [attempt, "unlock the door"]
        fields = [{"unlock": True, "level": random.choice((20, 200, 1e9, -1))} for _ in range(10)]
        said = json.dumps(script).replace(str(10**30), "1e30")  # a matrix file has no whole number beyond 64 bits
        matrix = HOUSE.replace("script: []", f"script: {said}", 1).replace("script: []", f"script: {json.dumps(fields)}", 1)
        matrix = matrix.replace("SPEAKER", '["bold", "end"]')
        (bus.folder / "hand.py").write_text(HAND)
        async with bus.ear(*LIMITS, "phone/ask", "em/out/home/mind/#", "em/out/home/typed/#") as ear, bus.host(matrix) as (host, _):
            for number in range(10):
                ear.say("t/go", number)
                ear.say("t/typed", number)
            ear.say("t/council", 1)
            await ear.until(lambda: bool(ear.on("phone/ask")) and len(ear.on("em/out/home/typed/out")) == 10)
            question = ear.on("phone/ask")[0]
            assert host.engine.waiting, "its state tells that commands wait"
            assert not violations([(0.0, topic, payload) for topic, payload, _ in ear.heard]), "all of it is within a few seconds"
            ear.say("phone/answer", {"answer": "yes", "run": question["run"]})
            await ear.until(lambda: bool(ear.on("z/lock")))
            approved = [("z/lock", question["action"]["payload"])]
            assert not violations([(0.0, topic, payload) for topic, payload, _ in ear.heard], approved)

    on_bus(test)


DOOR = """
matrix: home
agents:
  door: {delivery: durable, device: {writes: {lock: {topic: z/door, critical: {notify: phone/ask, answers: phone/answer}}}}}
  mail: {triggers: {m: {mode: parallel, on: {x: {topic: mail/in, untrusted: true}}, do: [{send: {to: door.lock, payload: "${x.value}"}}]}}}
"""


def test_a_question_of_a_durable_device_waits_for_its_answer_through_a_restart(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear("z/door", "phone/ask", "em/state/home/door") as ear:
            async with bus.host(DOOR, store=True):
                ear.say("mail/in", "UNLOCK")
                await ear.until(lambda: any(state.get("waiting") == 1 for state in ear.on("em/state/home/door")))
            async with bus.host(DOOR, store=True) as (host, _):
                assert host.engine.waiting == {"home/door": 1}
                assert not ear.on("z/door")
                ear.say("phone/answer", {"answer": "yes", "run": ear.on("phone/ask")[0]["run"]})
                await ear.until(lambda: ear.on("z/door") == ["UNLOCK"] and "waiting" not in ear.on("em/state/home/door")[-1])

    on_bus(test)
