"""Messages that could not be handled: kept, listed, shown, handed in again, dropped."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from bus_fixtures import Bus, Ear, open_bus
from hypothesis import given
from hypothesis import strategies as st
from live_support import asked

from edgematrix.protocol.event import Trail
from edgematrix.protocol.limits import Limits
from edgematrix.runtime.dead_letter import Form, Letter, Origin, letter_of, read_letter, write_letter
from edgematrix.runtime.dead_letters import DeadLetters
from edgematrix.runtime.observation import DeadLettered, Dropped, Noted
from edgematrix.testing.simulator import Restart

SECOND_US = 1_000_000
REPLY = "em/reply/simulation/me/s1"
SHOP = """
matrix: home
agents:
  till: {python: "shop:work", inputs: {in: {type: any}}, outputs: {out: {type: any}}, retry: {attempts: 1}}
  pair: {python: "shop:both", inputs: {a: {type: any}, b: {type: any}}, retry: {attempts: 1}}
  typed: {python: "shop:work", inputs: {in: {type: object}}}
  lamp: {device: {reads: {lx: {topic: t/lux, schema: {type: number}}}, writes: {set: {topic: t/lamp, range: {level: [0, 10]}}}}}
  rule: {triggers: {go: {on: {t: {topic: t/rule}}, do: [{publish: {topic: "t/${t.value}", payload: 1}}]}}}
  ask: {human: {ask: "Well?", answers: t/answer, timeout: 1h}}
"""
CODE = """
from edgematrix import Context, Firing

failures = {"count": %d}

async def work(value: object, ctx: Context) -> object:
    if value == "never" or (value == "later" and failures["count"] > 0):
        failures["count"] -= 1
        raise ValueError(f"no {value} today, {failures['count']}")
    return value

async def both(firing: Firing, ctx: Context) -> list:
    if failures["count"] > 0:
        failures["count"] -= 1
        raise ValueError("not now")
    return [firing.value("a"), firing.value("b")]
"""
CUTS = "limits: {dead_letters_max: 3, dead_letter_bytes_max: 200}\n"


def told(played: Any, at: float) -> list[dict[str, Any]]:
    """The letters of the answer that was given at a moment."""
    (answer,) = [data for moment, topic, data in played.told if topic == REPLY and at <= moment < at + 1]
    assert answer["done"] is answer["last"] is True
    return answer["letters"]


def refused(played: Any, at: float) -> dict[str, Any]:
    (answer,) = [data for moment, topic, data in played.told if topic == REPLY and at <= moment < at + 1]
    return answer


def work(value: object, runid: str = "", **more: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": "w", "source": "/home", "type": "em.in.in", "data": value, "runid": runid, **more}


def shop(play: Any, inputs: list[tuple[float, str, object]], *, failures: int = 1, head: str = "", **more: Any) -> Any:
    return play(head + SHOP, inputs, modules={"shop": CODE % failures}, **more)


def test_a_letter_has_all_that_is_known_and_its_id_is_that_of_the_message_on_dead(play: Any) -> None:
    played = shop(
        play,
        [
            (1, "em/in/home/till/in", work("never", "r1", taint="web", hops=2)),
            (2, "em/in/home/till/in", work({"deep": [1, None]}, "r2")),  # well
            (3, *asked("dead", "home", do="list")),
            (4, *asked("dead", "home/till", do="show", all=True)),
            (5, *asked("dead", "home/lamp")),
        ],
    )
    (letter,) = told(played, 3)
    assert (letter["agent"], letter["topic"], letter["retries"]) == ("home/till", "em/run/home/till", 0)
    assert (letter["run"], letter["taint"], letter["hops"], letter["at"]) == ("r1", "web", 2, "2026-01-01T00:00:01Z")
    assert "no never today" in letter["reason"]
    (shown,) = told(played, 4)
    assert {name: shown[name] for name in letter} == letter
    assert (shown["payload"], shown["retry"]) == ({"in": "never"}, {"how": "what began its run, as new work on its input in"})
    assert told(played, 5) == []


def test_a_failed_run_is_begun_again_and_is_the_same_letter_when_it_fails_again(play: Any) -> None:
    played = shop(
        play,
        [
            (1, "em/in/home/till/in", work("later", "r1", taint="web", hops=3)),
            (2, *asked("dead", "home", do="retry", all=True)),
            (3, *asked("dead", "home", do="list")),
            (4, *asked("dead", "home", do="retry", all=True)),
            (5, *asked("dead", "home", do="list")),
        ],
        failures=2,
        watch=("em/out/home/till/out", "em/dead/#", REPLY),
    )
    (first,) = told(played, 2)
    (listed,) = told(played, 3)
    (second,) = told(played, 4)
    assert first["id"] == listed["id"] == second["id"]
    assert (listed["retries"], listed["run"], listed["taint"]) == (1, "r1", "web")
    assert "hops" not in listed
    assert "no later today, 0" in listed["reason"], "the newest reason"
    assert (second["outcome"], second["how"]) == ("handed_in", "what began its run, as new work on its input in")
    assert told(played, 5) == []
    assert played.on("em/out/home/till/out") == ["later"]
    dead = played.on("em/dead/home/till")
    assert [(data.get("letter"), data.get("retries")) for data in dead] == [(None, None), (first["id"], 1)]
    notes = [seen.what for seen in played.of(Noted) if seen.path == "home/till" and seen.runid == "r1"]
    assert [note for note in notes if f"the dead letter {first['id']} is retried by me (retry " in str(note)] == notes
    assert len(notes) == 2


def test_a_run_of_several_inputs_gets_all_of_them_again(play: Any) -> None:
    inputs = [(1, f"em/in/home/pair/{port}", work(value, "r1")) for port, value in (("a", None), ("b", 2))]
    played = shop(play, [*inputs, (2, *asked("dead", "home/pair", do="retry", all=True)), (3, *asked("dead", "home"))])
    (letter,) = told(played, 2)
    assert letter["outcome"] == "handed_in", str(letter)
    assert played.on("em/out/home/pair/out") == [[None, 2]]
    assert told(played, 3) == []


def test_a_message_of_the_wrong_type_is_refused_again_at_once(play: Any) -> None:
    played = shop(
        play,
        [
            (1, "em/in/home/typed/in", work("no object")),
            (2, *asked("dead", "home", do="retry", all=True)),
            (3, *asked("dead", "home")),
        ],
    )
    (died,) = told(played, 2)
    assert (died["outcome"], died["retries"]) == ("died", 1)
    assert "the input `in` is of the wrong type" in died["reason"]
    assert [(letter["id"], letter["retries"]) for letter in told(played, 3)] == [(died["id"], 1)]


def test_a_command_that_a_device_refuses_is_a_fresh_one_when_it_is_retried(play: Any) -> None:
    """It expired long ago, and came by too many hops: neither counts any more."""
    played = shop(
        play,
        [
            (1, "em/in/home/lamp/set", work({"level": 11}, "r", expirytime="2026-01-01T00:00:02Z", hops=30)),
            (20, *asked("dead", "home/lamp", do="retry", all=True)),
            (21, *asked("dead", "home/lamp", do="list")),
        ],
    )
    (died,) = told(played, 20)
    assert died["outcome"] == "died"
    (letter,) = told(played, 21)
    assert (letter["retries"], letter["run"], letter.get("hops", 0)) == (1, "r", 0)
    assert "10" in letter["reason"]


@pytest.mark.parametrize(
    ("topic", "value", "why"),
    [
        ("t/lux", "dark", "it is a reading of the device"),
        ("t/rule", "lamp", "what an agent publishes on a foreign topic is not published again"),
        (
            "em/op/me/pause/home/till",
            {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": {"what": 1}},
            "has to ask again",
        ),
    ],
)
def test_what_cannot_be_retried_says_why(play: Any, topic: str, value: object, why: str) -> None:
    played = shop(play, [(1, topic, value), (2, *asked("dead", "home", do="retry", all=True)), (3, *asked("dead", "home"))])
    (letter,) = told(played, 2)
    assert letter["outcome"] == "refused"
    assert why in letter["reason"]
    assert [(item["id"], item["retries"]) for item in told(played, 3)] == [(letter["id"], 0)], "it stays, and that was no retry"


def test_work_for_a_paused_agent_waits_for_it(play: Any) -> None:
    played = shop(
        play,
        [
            (1, "em/in/home/till/in", work("later")),
            (2, *asked("pause", "home/till")),
            (4, *asked("dead", "home", do="retry", all=True)),
            (5, *asked("resume", "home/till")),
            (7, *asked("dead", "home", do="retry", all=True)),
        ],
    )
    (letter,) = told(played, 4)
    assert (letter["outcome"], letter["reason"], letter["remedy"]) == ("refused", "it is paused", "edgematrix resume home/till")
    assert told(played, 7)[0]["outcome"] == "handed_in"
    assert played.on("em/out/home/till/out") == ["later"]


def test_an_answer_on_a_foreign_topic_goes_to_the_agent_that_refused_it_alone(play: Any) -> None:
    matrix = """
      other: {triggers: {go: {on: {t: {topic: t/answer}}, do: [{publish: {topic: t/seen, payload: "${t.value}"}}]}}}
"""
    played = play(
        SHOP + matrix.replace("      other", "  other"),
        [
            (1, "t/answer", "yes"),  # nobody has asked
            (2, "em/in/home/ask/in", work(1)),
            (3, *asked("dead", "home", do="retry", all=True)),
        ],
        modules={"shop": CODE % 0},
    )
    (letter,) = told(played, 3)
    assert (letter["outcome"], letter["how"]) == ("handed_in", "a fresh message on t/answer")
    assert played.on("em/out/home/ask/out")[0]["answer"] == "yes"
    assert played.on("t/seen") == ["yes"], "the other has had it"


def test_dropped_is_dropped_and_traced(play: Any) -> None:
    played = shop(
        play,
        [
            (1, "em/in/home/till/in", work("never")),
            (2, "em/in/home/typed/in", work("no object")),
            (3, *asked("dead", "home/till", do="drop", all=True)),
            (5, *asked("dead", "home")),
        ],
    )
    (dropped,) = told(played, 3)
    assert (dropped["outcome"], dropped["agent"]) == ("dropped", "home/till")
    assert [letter["agent"] for letter in told(played, 5)] == ["home/typed"]
    reasons = [seen.reason for seen in played.of(Dropped) if seen.path == "home/till"]
    assert reasons == [f"the dead letter {dropped['id']} was dropped by me"]


def test_letters_and_their_retries_outlive_a_restart(play: Any) -> None:
    played = shop(
        play,
        [
            (1, "em/in/home/till/in", work("never", "r1", taint="web")),
            (2, "em/in/home/typed/in", work("no object")),
            (3, *asked("dead", "home/till", do="retry", all=True)),
            (4, *asked("dead", "home/typed", do="drop", all=True)),
            (10, *asked("dead", "home", do="show", all=True)),
            (12, *asked("dead", "home", do="retry", all=True)),
            (14, *asked("dead", "home")),
        ],
        restarts=[Restart(5 * SECOND_US)],
    )
    (letter,) = told(played, 10)
    assert (letter["payload"], letter["retries"], letter["run"], letter["taint"]) == ({"in": "never"}, 1, "r1", "web")
    assert [(item["id"], item["retries"]) for item in told(played, 14)] == [(letter["id"], 2)]


def test_the_oldest_go_first_and_are_counted_and_what_is_large_is_cut(play: Any) -> None:
    played = shop(
        play,
        [
            *((number, "em/in/home/typed/in", work(f"{number}{'x' * (500 if number == 5 else 0)}")) for number in range(1, 6)),
            (10, *asked("dead", "home", do="show", all=True)),
            (11, *asked("dead", "home", do="list", newest=1)),
            (12, *asked("dead", "home", do="retry", all=True)),
        ],
        head=CUTS,
    )
    shown = told(played, 10)
    assert [letter["payload"][0] for letter in shown] == ["5", "4", "3"]
    assert (shown[0]["cut"], len(shown[0]["payload"])) == (True, 200)
    assert shown[0]["size_bytes"] > 500
    assert "is kept cut: dead_letter_bytes_max is 200" in shown[0]["retry"]["refused"]
    assert [letter["id"] for letter in told(played, 11)] == [shown[0]["id"]]
    (answer,) = [data for at, topic, data in played.told if topic == REPLY and at == 11]
    assert (answer["total"], answer["forgotten"]) == (3, 2)
    assert [letter["outcome"] for letter in told(played, 12)] == ["died", "died", "refused"], "the oldest first"


def test_an_id_may_be_cut_if_it_tells_one_from_the_others(play: Any) -> None:
    inputs = [(number, "em/in/home/typed/in", work("no object")) for number in (1, 2)]
    first = shop(play, [*inputs, (3, *asked("dead", "home"))])
    two, one = [letter["id"] for letter in told(first, 3)]
    played = shop(
        play,
        [
            *inputs,
            (3, *asked("dead", "home", do="show", id=one[-8:])),
            (5, *asked("dead", "home", do="show", ids=[two, one, "nobody"])),
            (7, *asked("dead", "home", do="drop", id=one[:6])),
            (9, *asked("dead", "home", do="drop", id="nobody")),
            (11, *asked("dead", "home", do="drop")),
            (13, *asked("dead", "home", do="bury")),
            (15, *asked("dead", "home")),
        ],
    )
    assert [letter["id"] for letter in told(played, 3)] == [one], "a simulation repeats its ids"
    answer = refused(played, 5)
    assert ([letter["id"] for letter in answer["letters"]], answer["unknown"]) == ([two, one], ["nobody"])
    assert refused(played, 7)["refused"].startswith(f"2 dead letters have an id like {one[:6]}")
    assert refused(played, 9)["refused"] == "no dead letter nobody is kept here"
    assert "which dead letters" in refused(played, 11)["refused"]
    assert [topic for at, topic, _ in played.told if at == 13] == ["em/dead/home"], "what is no order is dead-lettered"
    assert len(told(played, 15)) == 3


def test_many_letters_are_retried_in_turns_and_told_in_parts(play: Any) -> None:
    inputs = [(1, "em/in/home/typed/in", work("x" * 2_000 + str(number))) for number in range(120)]
    played = shop(
        play,
        [*inputs, (2, *asked("dead", "home", do="retry", all=True)), (4, *asked("dead", "home", do="show", all=True))],
    )
    (retried,) = [data["letters"] for at, topic, data in played.told if topic == REPLY and 2 <= at < 3]
    assert [letter["outcome"] for letter in retried] == ["died"] * 120
    parts = [data for at, topic, data in played.told if topic == REPLY and at >= 4]
    assert [part["last"] for part in parts] == [False, False, True]
    shown = [letter for part in parts for letter in part["letters"]]
    assert {letter["payload"][2_000:] for letter in shown} == {str(number) for number in range(120)}
    assert {letter["retries"] for letter in shown} == {1}


# The letters themselves


def letters(number_max: int = 5, bytes_max: int = 200) -> tuple[DeadLetters, list[DeadLetters]]:
    touched: list[DeadLetters] = []
    return DeadLetters(Limits(dead_letters_max=number_max, dead_letter_bytes_max=bytes_max), touched.append), touched


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
TEXTS = st.text(st.characters(codec=None), max_size=300)


@given(value=JSON, topic=TEXTS, reason=TEXTS, taint=TEXTS, raw=st.none() | st.binary(max_size=400))
def test_whatever_dies_can_be_stored_and_stays_small(value: object, topic: str, reason: str, taint: str, raw: bytes | None) -> None:
    letter = letter_of("i", "home", topic, value, reason, Origin(Trail("m", "r", 1, taint), raw=raw), "em/in/home/", 200)

    data = write_letter(letter)

    assert read_letter(data) == letter
    assert len(data) < 3_000
    payload = letter.payload()
    if letter.form is Form.VALUE:
        assert payload == value or "nan" in repr(value)


@given(steps=st.lists(st.tuples(st.sampled_from(["die", "retry", "drop", "save"]), st.integers(0, 6)), max_size=60))
def test_what_is_stored_is_what_is_kept_whatever_is_done(steps: list[tuple[str, int]]) -> None:
    kept, touched = letters()
    stored: dict[str, bytes] = {}

    def save() -> None:
        for letter_id, data in kept.save().items():
            if data is None:
                stored.pop(letter_id, None)
            else:
                stored[letter_id] = data
        touched.clear()

    def die(letter_id: str, cause: str) -> Letter:
        return kept.take(letter_id, "home/a", "t", cause, "why", len(made), Origin(Trail(cause)), "em/in/home/a/")

    made: list[Letter] = []
    for what, which in steps:
        letter = kept.get(made[which].id) if which < len(made) else None
        if what == "die":
            made.append(die(f"n{len(made)}", ""))
        elif what == "save":
            save()
        elif letter is not None and what == "drop":
            kept.remove(letter)
        elif letter is not None:
            message = f"m{letter.id}-{letter.retries}"
            kept.hand_over(letter, [message])
            assert kept.get(letter.id) is None
            again = die("other", message)
            assert (again.id, again.retries) == (letter.id, letter.retries + 1)
        assert len(kept) <= 5
    save()
    after, _ = letters()
    after.load(stored, lambda key, error: pytest.fail(f"{key}: {error}"))
    assert {letter.id: letter for letter in after.of("home")} == {letter.id: letter for letter in kept.of("home")}


def test_a_damaged_letter_is_told_and_forgotten() -> None:
    kept, touched = letters()
    damaged: list[str] = []

    kept.load({"x": b"\xff", "y": b"\x91\x07"}, lambda key, error: damaged.append(key))

    assert damaged == ["dead letter x", "dead letter y"]
    assert (len(kept), touched, kept.save()) == (0, [kept], {"x": None, "y": None})


# On a bus


def data_of(ear: Ear, session: str) -> list[dict[str, Any]]:
    return [value["data"] for value in ear.on(f"em/reply/pi/me/{session}")]


async def answer(ear: Ear, session: str, **data: object) -> dict[str, Any]:
    topic, event = asked("dead", "home", **{"session": session, **data})
    ear.say(topic, event)
    await ear.until(lambda: any(told.get("last") for told in data_of(ear, session)))
    return data_of(ear, session)[-1]


DEVICES = "matrix: home\nagents:\n  lamp: {device: {writes: {set: {topic: t/lamp, range: {level: [0, 10]}}}}}\n"
LATER = DEVICES + "  fan: {device: {writes: {set: {topic: t/fan}}}}\n"


def test_letters_are_there_after_a_restart_and_work_for_an_agent_that_came_meanwhile_is_done(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus, bus.ear() as ear:
            async with bus.host(DEVICES, store=True):
                ear.say("em/in/home/fan/set", work({"speed": 3}, "r7", taint="web"))
                ear.say("em/in/home/lamp/set", b'{"specversion": "1.0"}')
                await ear.until(lambda: len(ear.on("em/dead/home")) == 2)
                listed = await answer(ear, "s1")
                assert [letter["reason"][:9] for letter in listed["letters"]] == ["malformed", "no agent "]
                assert [letter["id"] for letter in reversed(listed["letters"])] == [event["id"] for event in ear.on("em/dead/home")]
                early = await answer(ear, "s2", do="retry", all=True)
                assert {letter["outcome"] for letter in early["letters"]} == {"refused"}
            async with bus.host(LATER, store=True):
                retried = await answer(ear, "s3", do="retry", all=True)
                assert {letter["topic"]: letter["outcome"] for letter in retried["letters"]} == {
                    "em/in/home/fan/set": "handed_in",
                    "em/in/home/lamp/set": "refused",
                }
                await ear.until(lambda: ear.on("t/fan") == [{"speed": 3}])
                (left,) = (await answer(ear, "s4"))["letters"]
                dropped = await answer(ear, "s5", do="drop", id=left["id"])
                assert [letter["outcome"] for letter in dropped["letters"]] == ["dropped"]
            async with bus.host(LATER, store=True):
                assert (await answer(ear, "s6"))["letters"] == []

    asyncio.run(main())


def test_a_retained_order_is_not_carried_out(tmp_path: Path) -> None:
    async def test(bus: Bus, ear: Ear) -> None:
        ear.say("em/in/home/nobody/x", 1)
        await ear.until(lambda: len(ear.on("em/dead/home")) == 1)
        topic, event = asked("dead", "home", do="drop", all=True)
        ear.say(topic, event, retain=True)
        async with bus.host(DEVICES, name="attic"):
            await ear.until(lambda: any("retained" in event["data"]["reason"] for event in ear.on("em/dead/home")))
        assert json.dumps(ear.on("em/reply/attic/me/s1")) == "[]"

    async def main() -> None:
        async with open_bus("memory", tmp_path) as bus, bus.ear() as ear, bus.host(DEVICES):
            await test(bus, ear)

    asyncio.run(main())


def test_what_dies_is_observed_once_though_it_is_kept(play: Any) -> None:
    played = shop(play, [(1, "em/in/home/till/in", work("never"))])
    assert len(played.of(DeadLettered)) == 1
