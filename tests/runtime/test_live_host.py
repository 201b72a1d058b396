"""A host on a bus whose agents come, go and change: what it subscribes to, and what it says of itself. On memory and on a real broker."""

from typing import Any

from bus_fixtures import Bus, Ear, OnBus
from live_support import asked, order

REPLY = "em/reply/pi/me/s1"
HOUSE = """
matrix: home
agents:
  rule: {triggers: {t: {on: {v: {topic: t/v}}, do: [{publish: {topic: t/out, payload: "${v.value}"}}]}}}
  cold: {triggers: {t: {on: {v: {topic: t/w, below: 10}}, do: [{publish: {topic: t/cold, payload: "${v.value}"}}]}}}
  hall: {agents: {ear: {triggers: {t: {on: {v: {topic: t/hall}}, do: [{publish: {topic: t/ear, payload: "${v.value}"}}]}}}}}
"""


def echo(topic: str, out: str, **source: object) -> dict[str, Any]:
    group = {"on": {"v": {"topic": topic, **source}}, "do": [{"publish": {"topic": out, "payload": "${v.value}"}}]}
    return {"triggers": {"t": group}}


async def ask(ear: Ear, verb: str, path: str, **data: object) -> dict[str, Any]:
    """Give an order, and wait for the answer."""
    count = len(ear.on(REPLY))
    ear.say(*asked(verb, path, **data))
    await ear.until(lambda: len(ear.on(REPLY)) > count)
    found: dict[str, Any] = ear.on(REPLY)[-1]["data"]
    return found


def test_a_created_agent_hears_topics_that_nobody_heard_before(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            answer = await ask(ear, "create", "home/new", spec=echo("new/v", "t/new"))
            assert answer == {"verb": "create", "path": "home/new", "done": True, "revision": 1}
            ear.say("new/v", 7)
            await ear.until(lambda: ear.on("t/new") == [7])
            state = ear.on("em/state/home/new")[-1]
            assert (state["status"], state["revision"], state["host"]) == ("ready", 1, "pi")
            assert ear.on("em/spec/home/new") == [echo("new/v", "t/new")]
            assert ear.on("em/host/pi")[-1]["agents"] == 5
            topics = [topic for topic, _, _ in ear.heard if topic.startswith("em/spec/")]
            assert topics == ["em/spec/home/new", "em/spec/home"]

    on_bus(test)


def test_a_removed_agent_leaves_nothing_behind_on_the_bus(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE) as (host, _):
            await ask(ear, "create", "home/new", spec=echo("new/v", "t/new"))
            assert "new/v" in host.assembly.filters
            answer = await ask(ear, "remove", "home/new")
            assert answer["revision"] == 2
            await ear.until(lambda: ear.on("em/state/home/new")[-1] == "")
            assert ear.on("em/spec/home/new")[-1] == ""
            assert "home/new" not in ear.on("em/spec/home")[-1]["paths"]
            assert "new/v" not in host.assembly.filters
            assert "t/v" in host.assembly.filters
        async with bus.ear("em/state/#", "em/spec/#", client_id="late") as late:  # what is retained
            await late.until(lambda: len(late.on("em/spec/home")) == 1 and len(late.on("em/state/home/hall/ear")) == 1)
            assert {topic for topic, _, _ in late.heard if "home/new" in topic} == set()

    on_bus(test)


def test_a_topic_that_others_hear_too_stays_subscribed(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            await ask(ear, "create", "home/new", spec=echo("t/v", "t/new"))
            await ask(ear, "remove", "home/new")
            ear.say("t/v", 3)
            await ear.until(lambda: ear.on("t/out") == [3])
            assert ear.on("t/new") == []

    on_bus(test)


def test_paused_agents_say_so_and_are_told_to_whoever_comes_later(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            answer = await ask(ear, "pause", "home/hall")
            assert answer["done"]
            assert ear.on("em/state/home/hall")[-1]["status"] == "paused"
            assert ear.on("em/state/home/hall/ear")[-1]["status"] == "paused"
            assert ear.on("em/state/home/rule")[-1]["status"] == "ready"
            ear.say("t/hall", 1)
            ear.say("t/v", 1)
            await ear.until(lambda: ear.on("t/out") == [1])
            await ask(ear, "resume", "home/hall")
            assert ear.on("em/state/home/hall/ear")[-1]["status"] == "ready"
            ear.say("t/hall", 2)
            await ear.until(lambda: ear.on("t/ear") == [2])

    on_bus(test)


def test_changes_outlive_the_host_until_the_file_changes(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear:
            async with bus.host(HOUSE, store=True):
                await ask(ear, "create", "home/new", spec=echo("new/v", "t/new"))
                await ask(ear, "pause", "home/rule")
            async with bus.host(HOUSE, store=True):
                ear.say("new/v", 1)
                await ear.until(lambda: ear.on("t/new") == [1])
                state = ear.on("em/state/home/rule")[-1]
                assert (state["status"], state["revision"]) == ("paused", 1)
                assert bus.said == [text for text in bus.said if "connected" in text]
            async with bus.host(HOUSE.replace("t/ear", "t/other"), store=True):
                (warning,) = [text for text in bus.said if "dropped" in text]
                assert "the file has changed" in warning
                assert "create home/new" in warning
                assert "pause home/rule" in warning
                ear.say("new/v", 2)
                ear.say("t/v", 2)
                await ear.until(lambda: ear.on("t/out") == [2])
                assert ear.on("t/new") == [1]
                await ear.until(lambda: ear.on("em/spec/home/new")[-1] == "" and ear.on("em/spec/home")[-1] == "")
                answer = await ask(ear, "create", "home/later", spec=echo("new/v", "t/later"))
                assert answer["revision"] == 3
            async with bus.host(HOUSE.replace("t/ear", "t/other"), store=True):
                ear.say("new/v", 4)
                await ear.until(lambda: ear.on("t/later") == [4])

    on_bus(test)


def test_states_of_a_removed_agent_are_not_stored_any_more(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear:
            async with bus.host(HOUSE, store=True):
                ear.say("t/w", 5)
                await ear.until(lambda: ear.on("t/cold") == [5])
                await ask(ear, "remove", "home/cold")
                await ask(ear, "create", "home/cold", spec=echo("t/w", "t/cold", below=10))
            async with bus.host(HOUSE, store=True):
                ear.say("t/w", 6)  # below is news to it
                await ear.until(lambda: ear.on("t/cold") == [5, 6])

    on_bus(test)


def test_a_retained_order_is_refused(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear:
            ear.say("em/op/me/remove/home/rule", order(), retain=True)
            await ear.until(lambda: len(ear.on("em/op/me/remove/home/rule")) == 1)
            async with bus.host(HOUSE):
                await ear.until(lambda: len(ear.on("em/dead/home")) == 1)
                assert "retained" in ear.on("em/dead/home")[0]["data"]["reason"]
                ear.say("t/v", 1)
                await ear.until(lambda: ear.on("t/out") == [1])

    on_bus(test)


def test_many_orders_at_once_are_carried_out_in_order_and_beyond_a_hundred_refused(on_bus: OnBus) -> None:
    async def test(bus: Bus) -> None:
        async with bus.ear() as ear, bus.host(HOUSE):
            for number in range(12):
                ear.say(*asked("create", f"home/n{number}", spec=echo("new/v", f"n/{number}")))
            for number in range(0, 12, 2):
                ear.say(*asked("remove", f"home/n{number}"))
            await ear.until(lambda: len(ear.on(REPLY)) == 18)
            assert [value["data"]["revision"] for value in ear.on(REPLY)] == list(range(1, 19))
            ear.say("new/v", 1)
            await ear.until(lambda: ear.on("n/11") == [1])
            heard = {topic for topic, _, _ in ear.heard if topic.startswith("n/")}
            assert heard == {f"n/{number}" for number in range(1, 12, 2)}
            for number in range(130):
                ear.say(*asked("create", f"home/m{number}", spec={}))
            await ear.until(lambda: any("changes wait" in value["data"].get("refused", "") for value in ear.on(REPLY)))

    on_bus(test)
