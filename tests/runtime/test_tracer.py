"""Traces of a running host: kept for whoever asks later, on the bus while somebody watches. On memory and on a real broker."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from bus_fixtures import Bus, Ear, OnBus, open_bus

HOUSE = """
matrix: home
limits: {traces_per_second_max: 40, watches_max: 2}
agents:
  hall:
    agents:
      rule:
        triggers:
          dark:
            on: {motion: {topic: t/motion, value: on, equals: true}, lux: {topic: t/lux, value: lx, below: 30, role: condition}}
            do: [{publish: {topic: t/lamp, payload: "ON"}}]
          both: {on: {a: {topic: t/a}, b: {topic: t/b}}, within: 12s, do: [{emit: {out: 1}}]}
  cellar: {triggers: {wet: {on: {w: {topic: t/wet}}, do: [{publish: {topic: t/pump, payload: "${w.value}"}}]}}}
  rooms:
    triggers:
      warm:
        on: {t: {topic: "r/{room}/t", above: 25}, w: {topic: "r/{room}/w"}}
        by: room
        do: [{publish: {topic: t/fan, payload: "${key}"}}]
"""


def event(data: object, kind: str = "em.op.watch") -> dict[str, object]:
    return {"specversion": "1.0", "id": "1", "source": "/operator", "type": kind, "data": data}


def watch(ear: Ear, path: str, **asked: object) -> None:
    ear.say(f"em/op/me/watch/{path}", event({"session": "s1", **asked}))


def told(ear: Ear, path: str) -> list[dict[str, Any]]:
    return [value["data"] for value in ear.on(f"em/trace/{path}")]


def kinds(ear: Ear, path: str) -> list[str]:
    return [data["kind"] for data in told(ear, path)]


async def answer(ear: Ear) -> list[dict[str, Any]]:
    """The whole answer: all its parts."""
    await ear.until(lambda: any(value["data"]["last"] for value in ear.on("em/reply/pi/me/s1")))
    return [found for value in ear.on("em/reply/pi/me/s1") for found in value["data"]["observations"]]


async def handled(ear: Ear) -> None:
    """Everything said so far has been handled: the cellar's answer says so."""
    count = len(ear.on("t/pump"))
    ear.say("t/wet", count)
    await ear.until(lambda: len(ear.on("t/pump")) > count)


def test_nothing_is_traced_on_the_bus_while_nobody_watches(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            for lux in (41, 20):
                ear.say("t/lux", {"lx": lux})
                ear.say("t/motion", {"on": True})
                ear.say("t/motion", {"on": False})
            await ear.until(lambda: ear.on("t/lamp") == ["ON"])
            await handled(ear)
            assert [topic for topic, _, _ in ear.heard if topic.startswith("em/trace")] == []

    on_bus(test)


def test_what_happened_before_anybody_asked_is_told(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            ear.say("t/lux", {"lx": 41})
            ear.say("t/motion", {"on": True})
            ear.say("t/motion", {"on": False})
            ear.say("t/lux", {"lx": 20})
            ear.say("t/motion", {"on": True})
            await ear.until(lambda: ear.on("t/lamp") == ["ON"])
            watch(ear, "home/hall", newest=100, follow=False)
            found = await answer(ear)
            assert {item["path"] for item in found} == {"home/hall/rule"}
            texts = [item["text"] for item in found if item["kind"] != "match"]
            assert "`dark` did not fire: the condition `lux` is not met" in texts
            fired = next(item for item in found if item["kind"] == "fired")
            assert fired["text"] == "`dark` fired: motion=true lux=20"
            assert fired["sources"] == {"motion": {"value": True, "topic": "t/motion"}, "lux": {"value": 20, "topic": "t/lux"}}
            assert texts.index("`dark` did not fire: the condition `lux` is not met") < texts.index(fired["text"])
            assert texts[-1] == "run 1 of `dark` is done"
            matches = {item["group"]: item["text"] for item in found if item["kind"] == "match"}
            assert matches["dark"].startswith("motion ✓ lux ✓")
            assert matches["both"] == "a ✗ b ✗"
            ear.say("t/a", 1)
            await handled(ear)
            assert told(ear, "home/hall/rule") == []  # who only asked is not told more

    on_bus(test)


def test_whoever_watches_a_part_of_the_tree_is_told_of_that_part(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            watch(ear, "home/hall")
            ear.say("t/a", 1)
            ear.say("t/wet", 7)
            await ear.until(lambda: "match" in kinds(ear, "home/hall/rule"))
            first, match, *_ = told(ear, "home/hall/rule")
            assert (first["kind"], first["group"], first["reason"]) == ("not_fired", "both", "waits")
            assert first["text"] == "`both` did not fire: it waits for `b`"
            assert match["text"] == "a ✓ b ✗ · window 12s left"
            raw = ear.on("em/trace/home/hall/rule")[0]
            assert (raw["type"], raw["source"]) == ("em.trace", "/home/hall/rule")
            ear.say("t/b", 1)
            await ear.until(lambda: told(ear, "home/hall/rule")[-1]["text"] == "a ✗ b ✗")
            happened = [data["kind"] for data in told(ear, "home/hall/rule") if data.get("by") != "time"]  # the window runs down meanwhile
            assert happened == ["not_fired", "match", "fired", "run_ended", "match"]
            assert told(ear, "home/cellar") == []
            assert not any(retained for topic, _, retained in ear.heard if topic.startswith("em/trace"))

    on_bus(test)


def test_a_watch_of_the_matrix_is_one_of_everything_in_it(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            ear.say("em/op/me/watch/home", b"")  # from any tool: no event, no session
            ear.say("t/a", 1)
            ear.say("em/in/home/nobody/x", 1)
            await handled(ear)
            await ear.until(
                lambda: "fired" in kinds(ear, "home/cellar") and bool(kinds(ear, "home/hall/rule")) and bool(kinds(ear, "home"))
            )
            letter = next(data for data in told(ear, "home") if data["kind"] == "dead_lettered")
            assert "em/in/home/nobody/x could not be handled: no agent here has this input port" in letter["text"]

    on_bus(test)


def test_a_window_that_runs_down_is_told_by_time_alone(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            watch(ear, "home/hall")
            ear.say("t/a", 1)
            await ear.until(lambda: sum(data.get("by") == "time" for data in told(ear, "home/hall/rule")) >= 1)
            by_time = [data["text"] for data in told(ear, "home/hall/rule") if data.get("by") == "time"]
            assert re.fullmatch(r"a ✓ b ✗ · window \d+s left", by_time[0])

    on_bus(test)


def test_each_key_has_its_own_match(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            ear.say("r/bath/w", 1)
            await handled(ear)
            watch(ear, "home/rooms", newest=10)
            found = await answer(ear)
            assert [(item["key"], item["text"]) for item in found if item["kind"] == "match"] == [("bath", "t ✗ w ✓")]
            ear.say("r/attic/t", 30)
            await ear.until(lambda: "match" in kinds(ear, "home/rooms"))
            assert [(data["key"], data["text"]) for data in told(ear, "home/rooms") if data["kind"] == "match"] == [("attic", "t ✓ w ✗")]

    on_bus(test)


def test_a_lease_ends_unless_it_is_renewed(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE) as (host, _):
            watch(ear, "home/cellar")
            await handled(ear)
            await ear.until(lambda: len(kinds(ear, "home/cellar")) >= 2)
            watch(ear, "home/cellar", follow=False)
            await handled(ear)
            count = len(told(ear, "home/cellar"))
            await handled(ear)
            assert len(told(ear, "home/cellar")) == count
            watch(ear, "home/cellar")
            await handled(ear)
            await ear.until(lambda: len(kinds(ear, "home/cellar")) > count)
            now_s = asyncio.get_running_loop().time()
            host.tracer.look(now_s + 58)
            count = len(told(ear, "home/cellar"))
            await handled(ear)
            await ear.until(lambda: len(told(ear, "home/cellar")) > count)
            host.tracer.look(now_s + 62)
            await handled(ear)
            count = len(told(ear, "home/cellar"))
            await handled(ear)
            assert len(told(ear, "home/cellar")) == count

    on_bus(test)


def test_a_flood_is_cut_and_the_cut_is_told(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE) as (host, _):
            watch(ear, "home/cellar")
            for number in range(100):
                ear.say("t/wet", number)
            await ear.until(lambda: "left_out" in kinds(ear, "home/cellar"))
            left_out = sum(data["count"] for data in told(ear, "home/cellar") if data["kind"] == "left_out")
            assert 100 <= left_out == host.tracer.left_out_count
            assert ear.on("t/pump") == list(range(100))

    on_bus(test)


@pytest.mark.parametrize(
    ("path", "asked", "reason", "remedy"),
    [
        ("home/hall/rul", {"newest": 1}, "no agent home/hall/rul is here", "did you mean home/hall/rule?"),
        ("home/hall/rule", {"newest": 1, "group": "drak"}, "home/hall/rule has no trigger group 'drak'", "did you mean dark?"),
        ("home/hall", {"newest": 1, "group": "wet"}, "home/hall has no trigger group 'wet'", "its groups are both, dark"),
    ],
)
def test_what_is_not_here_is_refused_with_the_nearest_name(
    on_bus: OnBus, path: str, asked: dict[str, object], reason: str, remedy: str
) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            watch(ear, path, **asked)
            await ear.until(lambda: len(ear.on("em/reply/pi/me/s1")) == 1 and len(ear.on("em/dead/home")) == 1)
            data = ear.on("em/reply/pi/me/s1")[0]["data"]
            assert (data["refused"], data["remedy"], data["last"]) == (reason, remedy, True)
            assert ear.on("em/dead/home")[0]["data"]["reason"] == reason

    on_bus(test)


def test_malformed_watches_are_dead_lettered(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            ear.say("em/op/me/watch/home/HALL", b"")
            ear.say("em/op/me/watch/home", event({"newest": -1}))
            ear.say("em/op/me/watch/home", event({"newest": 1001}))
            ear.say("em/op/me/watch/home", event({"newer": 1}))
            ear.say("em/op/me/watch/home", event({"session": "../../in/home", "newest": 1}))
            ear.say("em/op/me/watch/home", 7)
            ear.say("em/op/me/watch/home", b'{"specversion": "1.0"}')
            await ear.until(lambda: len(ear.on("em/dead/home")) == 7)
            await handled(ear)
            assert [topic for topic, _, _ in ear.heard if topic.startswith(("em/trace", "em/reply"))] == []
            reasons = [letter["data"]["reason"] for letter in ear.on("em/dead/home")]
            assert "'HALL' does not match" in reasons[0]
            assert "no watch: Expected `int` >= 0" in reasons[1]
            assert "unknown field `newer`" in reasons[3]
            assert "session" in reasons[4]

    on_bus(test)


def test_watchers_are_bounded(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            for number in range(3):
                ear.say("em/op/me/watch/home/cellar", event({"session": f"s{number}", "newest": 1}))
            await ear.until(lambda: len(ear.on("em/reply/pi/me/s2")) == 1)
            assert "watches_max, 2" in ear.on("em/reply/pi/me/s2")[0]["data"]["refused"]
            ear.say("em/op/me/watch/home/cellar", event({"session": "s0"}))  # a renewal is no new one
            await handled(ear)
            assert len(ear.on("em/dead/home")) == 1

    on_bus(test)


def test_large_values_are_cut_and_each_agent_has_its_share(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus:
            matrix = HOUSE.replace("limits: {", "limits: {observations_max: 60, ")
            async with bus.ear() as ear, bus.host(matrix):
                ear.say("t/wet", {"long": "x" * 10_000})
                await ear.until(lambda: len(ear.on("t/pump")) == 1)
                for number in range(500):
                    ear.say("t/a", number)
                await handled(ear)
                watch(ear, "home", newest=1000, follow=False)
                found = await answer(ear)
                assert next(item for item in found if item["kind"] == "fired" and item["path"] == "home/cellar")
                of_rule = [item for item in found if item["path"] == "home/hall/rule" and item["kind"] != "match"]
                assert len(of_rule) == 60 // 5
                assert max(len(value) for item in found for value in (str(item.get("sources", "")), item["text"])) < 1_000

    asyncio.run(main())


def test_of_many_groups_a_part_is_told_and_the_rest_counted(tmp_path: Path) -> None:
    rule = "  r{}: {{triggers: {{t: {{on: {{a: {{topic: t/{}}}, b: {{topic: t/b}}}}, do: [{{emit: {{out: 1}}}}]}}}}}}\n"
    matrix = "matrix: home\nagents:\n" + "".join(rule.format(number, number) for number in range(300))

    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus, bus.ear() as ear, bus.host(matrix):
            watch(ear, "home", newest=1, follow=False)
            found = await answer(ear)
            assert [item["kind"] for item in found].count("match") == 256
            assert found[-1]["text"] == "what 44 more groups wait for is left out: ask about a part of home"
            assert len(ear.on("em/reply/pi/me/s1")) == 1

    asyncio.run(main())
