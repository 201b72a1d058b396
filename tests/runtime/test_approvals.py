"""Critical commands that follow from untrusted text wait for a person."""

from __future__ import annotations

from typing import Any

import pytest
from live_support import asked

from edgematrix.composition.approval import digest_of
from edgematrix.protocol.path import AgentPath
from edgematrix.runtime.observation import DeadLettered, Dropped, Noted, RunEnded
from edgematrix.testing.simulator import Restart

HOUSE = """
matrix: home
{top}
agents:
  door:
    device:
      writes:
        lock:
          topic: z/door
          schema:
            type: object
            properties: {{state: {{enum: [LOCK, UNLOCK]}}, seconds: {{type: integer}}}}
            required: [state]
            additionalProperties: false
          range: {{seconds: [1, 60]}}
          {limits}
          critical: {critical}
    {door}
  mail:
    triggers:
      m: {{mode: parallel, on: {{x: {{topic: mail/in, untrusted: true}}}}, do: [{{send: {{to: door.lock, payload: "${{x.value}}"}}}}]}}
  {more}
"""
LONG = '{ask: "Unlock the front door for ${seconds} s?", notify: phone/ask, answers: phone/answer, timeout: 5m}'
OPEN = {"state": "UNLOCK", "seconds": 5}


def house(critical: str = LONG, *, limits: str = "", door: str = "", more: str = "", top: str = "") -> str:
    return HOUSE.format(critical=critical, limits=limits, door=door, more=more, top=top)


def asked_for(played: Any) -> list[Any]:
    return [question for question in played.on("phone/ask") if "question" in question]


def runs(play: Any, matrix: str, inputs: list[Any], **options: Any) -> list[str]:
    """The runs that ask: the same in each playing of the same inputs up to there."""
    return [about["run"] for about in play(matrix, inputs, **options).on("em/out/home/door/ask")]


def answer(run: str, said: str = "yes", **more: str) -> dict[str, str]:
    return {"answer": said, "run": run, **more}


def reasons(played: Any) -> list[str]:
    return [letter.reason for letter in played.of(DeadLettered) if letter.path == "home/door"]


def test_the_question_shows_this_very_action_and_where_it_came_from(play: Any) -> None:
    played = play(house(), [(1, "mail/in", OPEN)])
    (question,) = asked_for(played)
    assert not played.on("z/door")
    assert question["choices"] == ["yes", "no"]
    first, action, origin = question["question"].splitlines()
    assert first == "Unlock the front door for 5 s?"
    assert action == 'home/door.lock: {"state":"UNLOCK","seconds":5}'
    assert origin.startswith("It follows from mail/in (run ")
    about = question["action"]
    assert (about["agent"], about["port"], about["payload"], about["origins"]) == ("home/door", "lock", OPEN, ["mail/in"])
    assert about["digest"] == digest_of(AgentPath("home/door"), "lock", OPEN)


def test_yes_carries_that_command_out_once(play: Any) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    played = play(house(), [(1, "mail/in", OPEN), (2, "phone/answer", answer(run)), (3, "phone/answer", answer(run))])
    assert played.on("z/door") == [OPEN]
    assert [told for told in played.on("phone/ask") if "over" in told] == [{"run": run, "over": True}]
    assert "phone/answer has approved it" in [noted.what for noted in played.of(Noted)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (lambda run: answer(run, "no"), "phone/answer said no"),
        (lambda run: {"answer": "yes"}, "an approval has to name its run"),
        (lambda run: "yes", "an approval has to name its run"),
        (lambda run: answer(run, "YES"), "'YES' is no answer, expected yes, no"),
        (lambda run: answer(run, digest="0" * 16), "the approval is of another action, 0000000000000000"),
        (lambda run: answer("another"), "no question waits in run another"),
    ],
)
def test_what_is_no_yes_to_it_carries_nothing_out(play: Any, said: Any, reason: str) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    played = play(house(), [(1, "mail/in", OPEN), (2, "phone/answer", said(run))])
    assert not played.on("z/door")
    assert reason in "\n".join(reasons(played))


def test_the_digest_that_was_shown_may_be_said_with_the_answer(play: Any) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    digest = digest_of(AgentPath("home/door"), "lock", OPEN)
    assert play(house(), [(1, "mail/in", OPEN), (2, "phone/answer", answer(run, digest=digest))]).on("z/door") == [OPEN]


def test_a_retained_answer_is_none(play: Any) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    assert not play(house(), [(1, "mail/in", OPEN), (2, "phone/answer", answer(run), True)]).on("z/door")


def test_nobody_answers_in_time(play: Any) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    played = play(house(), [(1, "mail/in", OPEN), (301, "phone/answer", answer(run))], "10m")
    assert not played.on("z/door")
    assert reasons(played)[0] == "the command is critical and follows from untrusted text, and nobody approved it within 5m"
    letter = next(told for told in played.on("em/dead/home/door") if told["topic"].startswith("em/in"))
    assert (letter["topic"], letter["payload"]) == ("em/in/home/door/lock", OPEN)


def test_operators_approve_by_their_order(play: Any) -> None:
    matrix = house("true")
    order = (2, *asked("approve", "home/door", answer="yes"))
    played = play(matrix, [(1, "mail/in", OPEN), order])
    assert played.on("z/door") == [OPEN]
    listed = play(matrix, [(1, "mail/in", OPEN), (2, *asked("approve", "home", list=True))])
    (told,) = [data for _, topic, data in listed.told if topic.startswith("em/reply/")]
    assert told["questions"][0]["action"]["payload"] == OPEN


def test_no_agent_approves_in_a_persons_place(play: Any) -> None:
    order = {"specversion": "1.0", "id": "7", "source": "/home", "type": "em.ctl.approve", "data": {"answer": "yes"}}
    played = play(house("true"), [(1, "mail/in", OPEN), (2, "em/ctl/home/door/approve", order)])
    assert not played.on("z/door")
    assert any("approved by people, not by agents" in letter.reason for letter in played.of(DeadLettered))


def test_no_rule_and_no_code_publishes_where_people_answer(play: Any) -> None:
    more = """eve:
    python: "code:answer"
    triggers: {g: {on: {x: {topic: mail/eve, untrusted: true}}}}
  mallory:
    triggers:
      g:
        on: {x: {topic: "mail/to/{where}", untrusted: true}}
        do: [{publish: {topic: "phone/${captures.where}", payload: "${x.value}"}}]"""
    code = {
        "code": "import edgematrix as em\n"
        "async def answer(firing: em.Firing, context: em.Context) -> None: await context.publish('phone/answer', {'answer': 'yes'})\n"
    }
    (run,) = runs(play, house(more=more), [(1, "mail/in", OPEN)], modules=code)
    said = [(1, "mail/in", OPEN), (2, "mail/eve", answer(run)), (3, "mail/to/answer", answer(run))]
    played = play(house(more=more), said, modules=code)
    assert not played.on("z/door")
    assert sum("no agent answers in their place" in letter.reason for letter in played.of(DeadLettered)) == 2


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"state": "UNLOCK", "seconds": 61}, "`seconds` is 61; allowed are 1 to 60"),
        ({"state": "OPEN"}, "the command breaks the schema"),
        ("UNLOCK", "the command breaks the schema"),
    ],
)
def test_nobody_is_asked_about_what_is_beyond_the_limits(play: Any, command: object, reason: str) -> None:
    played = play(house(), [(1, "mail/in", command)])
    assert not asked_for(played)
    assert reason in reasons(played)[0]


def test_the_rate_counts_when_it_is_carried_out(play: Any) -> None:
    matrix = house(limits="rate: {count: 1, per: 1m}")
    said = [(1, "mail/in", OPEN), (2, "mail/in", OPEN | {"seconds": 6})]
    one, two = runs(play, matrix, said)
    played = play(matrix, [*said, (3, "phone/answer", answer(one)), (4, "phone/answer", answer(two))])
    assert played.on("z/door") == [OPEN]
    assert "more than 1 commands in 1m" in reasons(played)


def test_a_command_that_expires_is_not_carried_out(play: Any) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/home/far", "type": "em.in.lock", "data": OPEN, "taint": "web"}
    event["expirytime"] = "2026-01-01T00:00:30Z"
    matrix = house()
    (run,) = runs(play, matrix, [(1, "em/in/home/door/lock", event)])
    played = play(matrix, [(1, "em/in/home/door/lock", event), (31, "phone/answer", answer(run))])
    assert not played.on("z/door")
    assert "it expired before" in reasons(played)[0]
    assert play(matrix, [(1, "em/in/home/door/lock", event), (29, "phone/answer", answer(run))]).on("z/door") == [OPEN]


def test_the_same_action_is_asked_once_and_eight_at_most_wait(play: Any) -> None:
    said = [(1 + number / 10, "mail/in", OPEN | {"seconds": 1 + number % 10}) for number in range(20)]
    played = play(house(), said)
    assert len(asked_for(played)) == 8
    assert sum("waits for a person already, in run" in dropped.reason for dropped in played.of(Dropped)) == 8
    assert sum("8 commands wait for a person already" in reason for reason in reasons(played)) == 4
    again = play(house(), [(1, "mail/in", OPEN), (400, "mail/in", OPEN)], "10m")
    assert len(asked_for(again)) == 2


def test_who_called_for_it_waits_and_hears_what_a_person_said(play: Any) -> None:
    script = [{"tool": "door_lock", "arguments": OPEN}, "As you say."]
    helper = f"helper: {{llm: {{provider: fake, script: {script}}}, tools: [door.lock], triggers: {{g: {{on: {{x: {{topic: t/go}}}}}}}}}}"
    matrix = house(more=helper)
    (run,) = runs(play, matrix, [(1, "t/go", "open")])
    yes = play(matrix, [(1, "t/go", "open"), (9, "phone/answer", answer(run))])
    assert yes.on("z/door") == [OPEN]
    assert [(at, said) for at, topic, said in yes.told if topic == "em/out/home/helper/out"] == [(9.0, "As you say.")]
    no = play(matrix, [(1, "t/go", "open"), (9, "phone/answer", answer(run, "no"))])
    assert not no.on("z/door")
    assert "phone/answer said no" in "\n".join(ended.reason for ended in no.of(RunEnded))


def test_a_run_that_is_cancelled_carries_nothing_out(play: Any) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    played = play(house(), [(1, "mail/in", OPEN), (2, *asked("cancel", "home/door", run=run)), (3, "phone/answer", answer(run))])
    assert not played.on("z/door")


def test_after_a_restart_a_question_of_a_durable_device_still_waits(play: Any) -> None:
    matrix = house(door="delivery: durable")
    (run,) = runs(play, matrix, [(1, "mail/in", OPEN)])
    said = [(1, "mail/in", OPEN), (20, "phone/answer", answer(run))]
    played = play(matrix, said, restarts=[Restart(5_000_000), Restart(9_000_000)])
    assert played.on("z/door") == [OPEN]
    assert len(asked_for(played)) == 1
    late = play(matrix, [(1, "mail/in", OPEN), (400, "phone/answer", answer(run))], "10m", restarts=[Restart(5_000_000)])
    assert not late.on("z/door")
    assert any("nobody approved it within 5m" in reason for reason in reasons(late))


def test_after_a_restart_a_question_of_another_device_is_a_dead_letter(play: Any) -> None:
    (run,) = runs(play, house(), [(1, "mail/in", OPEN)])
    played = play(house(), [(1, "mail/in", OPEN), (20, "phone/answer", answer(run))], restarts=[Restart(5_000_000)])
    assert not played.on("z/door")
    assert any("the host went down" in reason for reason in reasons(played))
    again = [(1, "mail/in", OPEN), (20, *asked("dead", "home", do="retry", all=True))]
    assert len(asked_for(play(house(), again, restarts=[Restart(5_000_000)]))) == 2, "handed in again, it is asked about again"


def test_what_is_shown_looks_like_what_it_is(play: Any) -> None:
    matrix = HOUSE.format(critical="{notify: phone/ask}", limits="", door="", more="", top="").replace(
        "enum: [LOCK, UNLOCK]", "type: string"
    )
    said = {"state": "LOCK\n\u202e\u041e\u041a\x07", "seconds": 5}
    (question,) = asked_for(play(matrix, [(1, "mail/in", said)]))
    assert question["question"].splitlines()[1] == 'home/door.lock: {"state":"LOCK\\n\\u202e\\u041e\\u041a\\u0007","seconds":5}'
    long = play(matrix, [(1, "mail/in", {"state": "x" * 20_000})])
    assert not asked_for(long)
    assert "nobody can be asked about it: the question has" in reasons(long)[0]


def test_what_nobody_untrusted_asked_for_waits_for_nobody(play: Any) -> None:
    rule = "rule: {triggers: {g: {on: {x: {topic: t/go}}, do: [{send: {to: door.lock, payload: {state: LOCK}}}]}}}"
    played = play(house(more=rule), [(1, "t/go", 1)])
    assert played.on("z/door") == [{"state": "LOCK"}]


def test_an_agent_that_is_taken_out_asks_no_more(play: Any) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "em.in.lock", "data": OPEN, "taint": "web"}
    said = [(1, "em/in/home/door/lock", event)]
    alone = house("true")
    alone = alone[: alone.index("  mail:")]
    (run,) = runs(play, alone, said)
    played = play(alone, [*said, (2, *asked("remove", "home/door")), (3, *asked("approve", "home", answer="yes", run=run))])
    assert not played.on("z/door")
    listed = [data for _, topic, data in played.told if topic.startswith("em/reply/")]
    assert any("no question waits" in str(data) for data in listed), listed
