"""Orders of operators on a running host: who may be answered, what is logged, and what happens where nothing can be."""

import asyncio
import errno
import json
import os
from pathlib import Path
from typing import Any, Self

import pytest
from bus_fixtures import Bus, Ear
from live_support import asked, order

from edgematrix.access.audit import Entry, Head, Verdict, read_entry, verify
from edgematrix.runtime.audit_file import AuditFile, audit_files
from edgematrix.runtime.audit_gate import ORDERS_PER_SECOND_MAX

MATRIX = """
matrix: home
agents:
  rule:
    inputs: {in: number, word: {type: string}}
    triggers: {t: {on: {v: {from: self.in}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}
  sure:
    inputs: {in: any}
    triggers: {t: {on: {v: {from: self.in}}, mode: parallel}}
    human: {ask: "Open it?", choices: ["yes", "no"], timeout: 1m}
"""


def entries(folder: Path) -> list[Entry]:
    found = [read_entry(line) for file in audit_files(folder) for line in file.read_bytes().splitlines()]
    return [entry for entry in found if isinstance(entry, Entry)]


def outcomes(folder: Path) -> list[tuple[str, str, str, str]]:
    return [(entry.user, entry.verb, entry.path, entry.outcome) for entry in entries(folder)]


def verdict_of(folder: Path, head: Head | None = None) -> Verdict:
    return verify([line for file in audit_files(folder) for line in file.read_bytes().splitlines()], head)


async def answered(ear: Ear, user: str, count: int = 1, session: str = "s1") -> dict[str, Any]:
    topic = f"em/reply/pi/{user}/{session}"
    await ear.until(lambda: len(ear.on(topic)) >= count)
    found: dict[str, Any] = ear.on(topic)[-1]["data"]
    return found


class Logged:
    """A host that logs, and what it logs."""

    def __init__(self, bus: Bus) -> None:
        self.folder = bus.folder / "state"
        self.host, self.observations = bus.make(MATRIX)
        self.log = AuditFile(self.folder, "pi")
        self.host.log_orders(self.log)

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.host.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.host.stop()
        async with asyncio.timeout(60):
            await self._running


async def ready(ear: Ear) -> None:
    await ear.until(lambda: bool(ear.on("em/state/home/sure")))


def test_each_order_is_logged_under_who_gave_it_and_the_head_is_on_the_bus(on_bus) -> None:
    async def scene(bus: Bus) -> None:
        async with bus.ear() as ear, Logged(bus) as logged:
            await ready(ear)
            ear.say(*asked("pause", "home/rule", user="anna"))
            assert (await answered(ear, "anna"))["done"] is True
            ear.say(*asked("pause", "home/rule", user="ben"))
            assert "paused already" in (await answered(ear, "ben"))["refused"]
            ear.say(*asked("resume", "home/rule", user="ben"))
            await answered(ear, "ben", 2)
            ear.say("em/op/cleo/watch/home", order({"session": "s1", "newest": 5, "follow": False}))
            await answered(ear, "cleo")
            ear.say("em/op/cleo/dance/home", order({"session": "s1"}))
            ear.say(*asked("dead", "home", user="cleo", do="list"))
            await answered(ear, "cleo", 2)
            assert outcomes(logged.folder) == [
                ("anna", "pause", "home/rule", "begun"),
                ("anna", "pause", "home/rule", "done"),
                ("ben", "pause", "home/rule", "begun"),
                ("ben", "pause", "home/rule", "refused"),
                ("ben", "resume", "home/rule", "begun"),
                ("ben", "resume", "home/rule", "done"),
                ("cleo", "watch", "home", "done"),
                ("cleo", "dead", "home", "done"),
            ]
            refused = entries(logged.folder)[3]
            assert (refused.of, refused.reason) == (3, "home/rule: it is paused already")
        told = ear.on("em/host/pi/audit")[-1]
        assert verdict_of(logged.folder, Head(told["n"], told["hash"])).trouble is None
        assert told["n"] == 8

    on_bus(scene)


def test_nobody_has_an_answer_sent_to_somebody_else(on_bus) -> None:
    async def scene(bus: Bus) -> None:
        async with bus.ear() as ear, Logged(bus):
            await ready(ear)
            for session in ("anna", "../anna/s1", "anna/s1", "+", ""):
                ear.say("em/op/ben/pause/home/rule", order({"session": session}))
            ear.say("em/op//pause/home/rule", order({"session": "s1"}))
            ear.say("em/ctl/home/rule/pause", order({"session": "anna"}, source="/home"))
            await ear.until(lambda: len(ear.on("em/dead/home")) == 5)
            answers = {topic for topic, _, _ in ear.heard if topic.startswith("em/reply/")}
            assert answers == {"em/reply/pi/ben/anna", "em/reply/pi/:home/anna"}

    on_bus(scene)


def test_work_that_an_operator_sends_is_taken_or_refused_with_the_reason(on_bus) -> None:
    async def scene(bus: Bus) -> None:
        async with bus.ear() as ear, Logged(bus) as logged:
            await ready(ear)
            ear.say(*asked("send", "home/rule", user="anna", port="in", payload=7))
            done = await answered(ear, "anna")
            assert (done["done"], done["port"]) == (True, "in")
            await ear.until(lambda: ear.on("t/out") == [7])
            assert any("anna sent it to the input `in`" in str(seen) and done["run"] in str(seen) for seen in logged.observations)
            wrong: list[tuple[dict[str, Any], str, str]] = [
                ({"port": "in", "payload": "seven"}, "home/rule", "wrong type"),
                ({"port": "out", "payload": 7}, "home/rule", "no input port 'out'"),
                ({"port": "in", "payload": 7}, "home/rul", "no agent home/rul"),
            ]
            for count, (data, path, reason) in enumerate(wrong, 2):
                ear.say(*asked("send", path, user="anna", **data))
                refused = await answered(ear, "anna", count)
                assert reason in refused["refused"]
            assert refused["remedy"] == "did you mean home/rule?"
            ear.say("em/op/anna/send/home/rule", order({"port": "in"}))  # no payload
            ear.say("em/ctl/home/rule/send", order({"port": "in", "payload": 8}))  # agents have `in`
            await ear.until(lambda: len(ear.on("em/dead/home")) == 2)
            assert ear.on("t/out") == [7]
        assert [entry.outcome for entry in entries(logged.folder) if entry.outcome != "begun"] == ["done"] + ["refused"] * 4

    on_bus(scene)


def test_an_approval_is_for_one_question_and_counts_once(on_bus) -> None:
    async def scene(bus: Bus) -> None:
        async with bus.ear() as ear, Logged(bus) as logged:
            await ready(ear)
            ear.say("em/op/anna/send/home/sure", order({"session": "s1", "port": "in", "payload": 1}, runid="first"))
            first = (await answered(ear, "anna"))["run"]
            ear.say(*asked("approve", "home/sure", user="ben", run=first, answer="yes"))
            assert (await answered(ear, "ben"))["run"] == first
            ear.say("em/op/anna/send/home/sure", order({"session": "s1", "port": "in", "payload": 2}, runid="second"))
            second = (await answered(ear, "anna", 2))["run"]
            ear.say(*asked("approve", "home/sure", user="ben", run=first, answer="yes"))  # heard again, by a thief or a broker
            assert "no question waits in run" in (await answered(ear, "ben", 2))["refused"]
            stale = order({"session": "s1", "answer": "yes"}, time="2026-01-01T00:00:00Z")
            ear.say("em/op/ben/approve/home/sure", stale)  # it names no run, and was given before this question was asked
            assert "was given before" in (await answered(ear, "ben", 3))["refused"]
            ear.say(*asked("approve", "home/sure", user="ben", run=second, answer="no"))
            assert (await answered(ear, "ben", 4))["run"] == second
            assert [(entry.user, entry.outcome) for entry in entries(logged.folder) if entry.verb == "approve" and entry.of] == [
                ("ben", "done"),
                ("ben", "refused"),
                ("ben", "refused"),
                ("ben", "done"),
            ]

    on_bus(scene)


def test_what_cannot_be_logged_is_not_done(on_bus, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(bus: Bus) -> None:
        async with bus.ear() as ear, Logged(bus) as logged:
            await ready(ear)
            ear.say(*asked("pause", "home/sure", user="anna"))
            await answered(ear, "anna")

            def full(descriptor: int) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            with monkeypatch.context() as patched:
                patched.setattr("edgematrix.runtime.audit_file.os.fsync", full)
                ear.say(*asked("send", "home/rule", user="anna", port="in", payload=7))
                assert "cannot be written to the audit log: No space left" in (await answered(ear, "anna", 2))["refused"]
                ear.say("em/op/anna/watch/home", order({"session": "s1", "newest": 5, "follow": False}))
                assert "cannot be written to the audit log" in (await answered(ear, "anna", 3))["refused"]
            assert ear.on("t/out") == []
            ear.say(*asked("send", "home/rule", user="anna", port="in", payload=8))
            assert (await answered(ear, "anna", 4))["done"] is True
            assert (verdict_of(logged.folder).trouble, len(entries(logged.folder))) == (None, 4)
        assert any(text.startswith("orders are refused") for text in bus.said)
        assert "the audit log can be written again" in bus.said

    on_bus(scene)


def test_a_flood_of_orders_is_refused_and_counted_in_one_entry(on_bus) -> None:
    async def scene(bus: Bus) -> None:
        async with bus.ear() as ear, Logged(bus) as logged:
            await ready(ear)
            count = ORDERS_PER_SECOND_MAX + 300
            for _ in range(count):
                ear.say(*asked("cancel", "home/rule", user="mallory", run="x"))
            await answered(ear, "mallory", count)
        told = [entry for entry in entries(logged.folder) if entry.verb == "beyond"]
        beyond = sum(entry.asked["orders"] for entry in told)  # type: ignore[index]
        single = len([entry for entry in entries(logged.folder) if entry.of])
        assert beyond + single == count
        assert beyond >= 300 - ORDERS_PER_SECOND_MAX
        assert len(told) <= 3
        assert json.dumps(told[0].asked).count("mallory") == 1
        assert verdict_of(logged.folder).trouble is None

    on_bus(scene)


def test_a_simulation_takes_work_of_operators_too(play) -> None:
    played = play(MATRIX, [(1, *asked("send", "home/rule", port="in", payload=7)), (2, *asked("send", "home/rul", port="in", payload=7))])
    assert [(when, value) for when, topic, value in played.told if topic == "t/out"] == [(1.0, 7)]
    done, refused = played.on("em/reply/simulation/me/s1")
    assert (done["done"], refused["remedy"]) == (True, "did you mean home/rule?")
