"""Agents that speak in turns."""

from __future__ import annotations

from typing import Any

import pytest
from course_drive import emitted, failure, finished, invoked, notes, read
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.composition.chat import Chat, check_chat
from edgematrix.composition.chat_course import ChatCourse
from edgematrix.composition.course import Choose, Chosen, Done, Effect, Fail, Failed, Finish, Invoke, Tick
from edgematrix.composition.speaker import QUESTION_CHARACTERS_MAX
from edgematrix.composition.spec import ChatSpec
from edgematrix.composition.transcript import TRANSCRIPT_BYTES_MAX
from edgematrix.errors import ExpressionError

COUNCIL = ["saver", "comfort", "host"]


def chat(**fields: Any) -> ChatCourse:
    return Chat.compile(read(ChatSpec, **{"members": COUNCIL, **fields})).course("r1")


def begun(request: object = "warmer?", **fields: Any) -> tuple[ChatCourse, list[Effect]]:
    course = chat(**fields)
    return course, course.begin({"in": request}, 0)


def said(course: ChatCourse, effects: list[Effect], *replies: object) -> list[Effect]:
    """Let each reply be said by whoever has the turn; an exception fails it, None is nothing."""
    for reply in replies:
        step = invoked(effects).step
        if isinstance(reply, Exception):
            effects = course.take(Failed(step, str(reply)), 0)
        else:
            effects = course.take(Done(step, {} if reply is None else {"out": reply}), 0)
    return effects


def speakers(replies: list[object], request: object = "warmer?", **fields: Any) -> list[str]:
    """Who speaks, turn by turn, up to the turn after the replies."""
    course, effects = begun(request, **fields)
    found = [invoked(effects).member]
    for reply in replies:
        effects = said(course, effects, reply)
        found.append(invoked(effects).member)
    return found


# Turns


def test_a_member_hears_the_request_what_was_said_and_whose_turn_it_is():
    course, effects = begun()
    effects = said(course, effects, "no", {"text": "yes"})
    call = invoked(effects)
    assert call.member == "host"
    assert call.wanted == {"out"}
    assert call.after == (2,)
    assert call.inputs == (
        (
            "",
            {
                "transcript": [
                    {"name": "request", "content": "warmer?"},
                    {"name": "saver", "content": "no"},
                    {"name": "comfort", "content": {"text": "yes"}},
                ],
                "request": "warmer?",
                "turn": 3,
                "members": COUNCIL,
                "you": "host",
            },
        ),
    )
    assert course.waits_for() == "`host`, who has turn 3 of at most 10"


def test_it_ends_after_its_most_turns_with_what_was_said_last():
    course, effects = begun(max_turns=2)
    over = said(course, effects, "a", "b")
    assert finished(over)
    assert emitted(over) == {
        "out": "b",
        "transcript": [{"name": "request", "content": "warmer?"}, {"name": "saver", "content": "a"}, {"name": "comfort", "content": "b"}],
        "ended": {"reason": "max_turns", "turns": 2},
    }
    assert course.take(Done(2, {"out": "late"}), 0) == []


def test_a_member_that_returns_nothing_passes_its_turn_which_counts():
    course, effects = begun(max_turns=3)
    effects = said(course, effects, None)
    assert "`saver` says nothing in turn 1" in notes(effects)
    over = said(course, effects, "b", None)
    assert emitted(over)["out"] == "b"
    assert emitted(over)["ended"] == {"reason": "max_turns", "turns": 3}


def test_nobody_said_anything():
    course, effects = begun(max_turns=2)
    over = said(course, effects, None, None)
    assert finished(over)
    assert emitted(over) == {
        "transcript": [{"name": "request", "content": "warmer?"}],
        "ended": {"reason": "max_turns", "turns": 2},
    }


def test_an_event_of_another_step_does_nothing():
    course, effects = begun()
    effects = said(course, effects, "a")
    assert course.take(Done(1, {"out": "again"}), 0) == []
    assert course.take(Failed(7, "boom"), 0) == []


# Who speaks


def test_round_robin_goes_on_in_the_written_order():
    assert speakers(["a", None, "c", "d"]) == ["saver", "comfort", "host", "saver", "comfort"]


@pytest.mark.parametrize(
    ("reply", "then"),
    [
        ("what does @host say, and comfort?", "host"),
        ("comfort, then host", "host"),
        ("Host! You?", "host"),
        ("nobody in particular", "comfort"),
        ("the hostess and the ghost", "comfort"),
        ("I, saver, know it, @saver", "comfort"),
        ("@host or @comfort", "comfort"),
        ("mail host@saver.example, host-1", "host"),
        ({"text": "well", "to": "host"}, "host"),
        ({"text": "once more", "to": "saver"}, "saver"),
        ({"text": "over to host"}, "host"),
        ({"points": ["a", {"next": "@host"}], "more": "comfort"}, "host"),
        (42, "comfort"),
    ],
)
def test_who_is_addressed_speaks_next(reply, then):
    assert speakers([reply], speaker="addressed")[1] == then


def test_the_request_may_address_somebody():
    assert speakers([], request="@host, are you there?", speaker="addressed") == ["host"]
    assert speakers([], request={"text": "hello"}, speaker="addressed") == ["saver"]


def test_an_address_counts_for_one_turn():
    assert speakers(["@host?", None, "b"], speaker="addressed") == ["saver", "host", "saver", "comfort"]


def test_an_address_to_a_member_that_fails_is_not_repeated():
    assert speakers(["@host?", ValueError("boom")], speaker="addressed", on_error="skip") == ["saver", "host", "saver"]


def test_a_longer_name_is_not_read_as_a_shorter_one():
    assert speakers(["@worker-10"], members=["worker", "worker-1", "worker-10"], speaker="addressed")[1] == "worker-10"


def test_an_address_to_a_stranger_is_told():
    course, effects = begun(speaker="addressed")
    effects = said(course, effects, {"to": "boss"})
    assert invoked(effects).member == "comfort"
    assert "`to` of `saver` is 'boss', which is no member" in notes(effects)


def test_a_rule_says_who_speaks_and_when_it_is_over():
    rule = "turn == 1 ? 'host' : turn == 2 && last == 'go' && speaker == 'host' && size(transcript) == 2 ? members[1] : ''"
    course, effects = begun(speaker={"rule": rule})
    assert invoked(effects).member == "host"
    effects = said(course, effects, "go")
    assert invoked(effects).member == "comfort"
    over = said(course, effects, "done")
    assert emitted(over)["ended"] == {"reason": "end", "turns": 2}
    assert emitted(over)["out"] == "done"


def test_a_rule_sees_null_before_anything_was_said():
    _, effects = begun(speaker={"rule": "last == null && speaker == '' ? 'host' : ''"})
    assert invoked(effects).member == "host"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [("'hots'", "'hots', which is no member (did you mean `host`?)"), ("turn", "'1', which is no member"), ("last.next", "before turn 1")],
)
def test_a_rule_that_names_nobody_fails_the_chat(rule, reason):
    _, effects = begun(speaker={"rule": rule})
    assert reason in failure(effects).reason


def test_a_host_that_ends_at_once_leaves_a_clean_end():
    _, over = begun(speaker={"rule": "''"})
    assert finished(over)
    assert emitted(over) == {"transcript": [{"name": "request", "content": "warmer?"}], "ended": {"reason": "end", "turns": 0}}


def test_a_model_picks_from_the_names_and_the_end():
    course, (choose,) = begun(speaker="llm")
    assert isinstance(choose, Choose)
    assert choose.choices == ("saver", "comfort", "host", "end")
    assert "request: warmer?" in choose.question
    assert course.waits_for() == "the model that picks who has turn 1 of at most 10"
    effects = course.take(Chosen(1, "host"), 0)
    assert invoked(effects).member == "host"
    (choose,) = said(course, effects, "it is\n 19 degrees")
    assert isinstance(choose, Choose)
    assert "host: it is 19 degrees" in choose.question
    over = course.take(Chosen(choose.step, "end"), 0)
    assert emitted(over)["ended"] == {"reason": "end", "turns": 1}
    assert finished(over)


def test_a_model_may_end_it_before_the_first_turn():
    course, _ = begun(speaker={"llm": {"provider": "fake"}})
    over = course.take(Chosen(1, "end"), 0)
    assert emitted(over) == {"transcript": [{"name": "request", "content": "warmer?"}], "ended": {"reason": "end", "turns": 0}}
    assert finished(over)


@pytest.mark.parametrize(
    ("event", "reason"), [(Failed(1, "no such model"), "no such model"), (Chosen(1, "boss"), "'boss', which is no member")]
)
def test_a_model_that_does_not_pick_fails_the_chat(event, reason):
    course, _ = begun(speaker="llm")
    assert reason in failure(course.take(event, 0)).reason


def test_the_question_to_a_model_is_bounded_and_has_the_newest():
    course, effects = begun("x" * 5_000, speaker="llm", max_turns=40)
    for number in range(30):
        assert isinstance(effects[-1], Choose)
        assert len(effects[-1].question) <= QUESTION_CHARACTERS_MAX
        effects = said(course, course.take(Chosen(effects[-1].step, "host"), 0), f"{'y' * 300} {number}")
    assert isinstance(effects[-1], Choose)
    assert effects[-1].question.startswith("request: xxx")
    assert "y 29\n" in effects[-1].question
    assert "y 2\n" not in effects[-1].question


# Until


def test_until_ends_it_by_a_field_of_the_reply():
    course, effects = begun(until="decision != null")
    over = said(course, effects, "let me think", {"text": "no"}, {"decision": 20})
    assert emitted(over)["out"] == {"decision": 20}
    assert emitted(over)["ended"] == {"reason": "until", "turns": 3}


def test_until_sees_reply_speaker_turn_and_transcript():
    course, effects = begun(until="reply == 'c' && speaker == 'host' && turn == 3 && size(transcript) == 4")
    assert emitted(said(course, effects, "a", "b", "c"))["ended"] == {"reason": "until", "turns": 3}


def test_until_that_cannot_be_judged_does_not_hold_and_is_told():
    course, effects = begun(until="score > 3")
    effects = said(course, effects, "no score")
    assert invoked(effects).member == "comfort"
    assert "`until` cannot be judged after turn 1" in notes(effects)
    assert finished(said(course, effects, {"score": 4}))


def test_until_is_not_judged_where_nothing_was_said():
    course, effects = begun(until="true", max_turns=5)
    effects = said(course, effects, None)
    assert emitted(said(course, effects, "a"))["ended"] == {"reason": "until", "turns": 2}


# What goes wrong


def test_a_member_that_fails_fails_the_chat():
    course, effects = begun()
    over = said(course, effects, "a", ValueError("boom"))
    assert failure(over) == ("boom", "comfort")
    assert emitted(over) == {}


def test_a_failure_that_is_skipped_passes_the_turn():
    course, effects = begun(on_error="skip", max_turns=3)
    effects = said(course, effects, ValueError("boom"))
    assert "`saver` failed in turn 1, which passes: boom" in notes(effects)
    over = said(course, effects, "b", "c")
    assert [entry["name"] for entry in emitted(over)["transcript"]] == ["request", "comfort", "host"]
    assert emitted(over)["ended"] == {"reason": "max_turns", "turns": 3}


def test_a_whole_round_of_failures_fails_the_chat():
    course, effects = begun(on_error="skip")
    boom = ValueError("boom")
    effects = said(course, effects, boom, boom, "a", boom, boom)
    assert failure(said(course, effects, boom)) == ("3 turns in a row failed, the last one by: boom", "host")


def test_it_fails_at_its_deadline_and_says_what_it_waited_for():
    course, effects = begun(deadline="2m")
    assert course.deadline_us == 120_000_000
    said(course, effects, "a")
    assert course.take(Tick(), 119_999_999) == []
    assert failure(course.take(Tick(), 120_000_000)).reason == (
        "the chat took longer than 2m; it waited for `comfort`, who has turn 2 of at most 10"
    )
    assert course.deadline_us is None


def test_a_request_that_is_too_large_is_refused():
    _, effects = begun("x" * TRANSCRIPT_BYTES_MAX)
    assert "the request has" in failure(effects).reason


def test_a_reply_that_is_too_large_is_a_failure_of_its_member():
    course, effects = begun()
    over = said(course, effects, "x" * TRANSCRIPT_BYTES_MAX)
    assert "the reply has" in failure(over).reason
    assert failure(over).member == "saver"


def test_a_transcript_that_is_full_loses_its_oldest_replies_and_says_so():
    course, effects = begun("the request", max_turns=50)
    long = "x" * 20_000
    effects = said(course, effects, f"1{long}", f"2{long}", f"3{long}")
    assert "cut" not in notes(effects)
    effects = said(course, effects, f"4{long}")
    assert "its 1 oldest replies were cut" in notes(effects)
    ((_, request),) = invoked(effects).inputs
    assert [entry["content"][:2] for entry in request["transcript"]] == ["th", "2x", "3x", "4x"]


# Checks


def test_the_check_names_strangers_doubles_and_wrong_expressions():
    spec = read(ChatSpec, members=["saver", "confort", "saver", "request", "end"], speaker={"rule": "trun == 1"}, until="decision !=")
    found = {finding.place: finding for finding in check_chat(spec, ["saver", "comfort", "request", "end"])}
    assert set(found) == {
        ("chat", "members", 1),
        ("chat", "members", 2),
        ("chat", "members", 3),
        ("chat", "members", 4),
        ("chat", "speaker", "rule"),
        ("chat", "until"),
    }
    assert found["chat", "members", 1].remedy == "did you mean `comfort`?"
    assert "twice" in found["chat", "members", 2].what
    assert found["chat", "speaker", "rule"].what == "unknown name `trun` (1:1)"
    assert "`turn`" in found["chat", "speaker", "rule"].remedy


def test_a_chat_in_order_has_no_findings():
    assert list(check_chat(read(ChatSpec, members=COUNCIL, speaker="llm", until="decision != null"), COUNCIL)) == []


def test_a_chat_without_members_is_refused_when_it_is_read():
    with pytest.raises(ValueError, match="members"):
        read(ChatSpec, members=[])


@pytest.mark.parametrize(("fields", "where"), [({"until": "a =="}, "until 1:"), ({"speaker": {"rule": "("}}, "speaker.rule 1:")])
def test_what_does_not_compile_says_where(fields, where):
    with pytest.raises(ExpressionError) as told:
        chat(**fields)
    assert told.value.where.startswith(where)


# Whatever members do

_REPLIES = st.one_of(
    st.none(),
    st.just(ValueError("boom")),
    st.sampled_from(["@host", "saver?", "go on", "x" * 40_000, float("nan")]),
    st.fixed_dictionaries({}, optional={"to": st.sampled_from([*COUNCIL, "boss", 1]), "decision": st.integers(0, 5)}),
)
_SPEAKERS = st.sampled_from(["round_robin", "addressed", "llm", {"rule": "members[turn % 3]"}, {"rule": "last == null ? 'host' : last.to"}])


@given(
    replies=st.lists(_REPLIES, max_size=30),
    picks=st.lists(st.sampled_from([*COUNCIL, "end", "boss"]), min_size=30, max_size=30),
    speaker=_SPEAKERS,
    until=st.sampled_from([None, "decision > 3", "true"]),
    max_turns=st.integers(1, 25),
    on_error=st.sampled_from(["fail", "skip"]),
)
def test_a_chat_always_ends_within_its_turns(replies, picks, speaker, until, max_turns, on_error):
    course, effects = begun(speaker=speaker, until=until, max_turns=max_turns, on_error=on_error)
    turns, rest, chosen = 0, iter(replies), iter(picks)
    while not isinstance(effects[-1], (Finish, Fail)):
        last = effects[-1]
        assert course.waits_for()
        if isinstance(last, Choose):
            effects = course.take(Chosen(last.step, next(chosen)), 0)
        else:
            assert isinstance(last, Invoke)
            turns += 1
            effects = said(course, effects, next(rest, None))
    assert turns <= max_turns
    if isinstance(effects[-1], Finish):
        ended = emitted(effects)["ended"]
        assert ended["turns"] == turns
        assert ended["reason"] != "max_turns" or turns == max_turns
        assert len(emitted(effects)["transcript"]) <= turns + 1
    assert course.take(Done(99, {"out": 1}), 0) == []
    assert course.take(Tick(), 10**12) == []
    assert course.close() == ()
