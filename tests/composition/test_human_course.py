"""A person is asked, and waited for."""

from __future__ import annotations

import pytest
from course_drive import emitted, failure, finished, notes, read

from edgematrix.composition.course import Answered, Ask, Effect, Emit, Failed, Tick
from edgematrix.composition.human import QUESTION_CHARACTERS_MAX, Human, HumanCourse, check_human
from edgematrix.composition.spec import HumanSpec

BEGAN_US = 1_000_000
UNTIL_US = BEGAN_US + 60_000_000


def asked(request: object, **fields: object) -> tuple[HumanCourse, list[Effect]]:
    course = Human.compile(read(HumanSpec, **{"ask": "Pay ${amount} to ${who.name}?", "timeout": "1m", **fields})).course("r1")
    return course, course.begin({"in": request}, BEGAN_US)


INVOICE = {"amount": 20, "who": {"name": "Ada"}}


def test_the_question_is_put_with_its_choices_and_until_when():
    course, begun = asked(INVOICE, choices=["yes", "no"])
    assert begun == [Ask("Pay 20 to Ada?", ("yes", "no"), UNTIL_US)]
    assert course.deadline_us == UNTIL_US
    assert course.waits_for() == "an answer to 'Pay 20 to Ada?' until 1970-01-01T00:01:01Z"


def test_an_answer_is_put_out_as_cleared():
    course, _ = asked(INVOICE, choices=["yes", "no"])
    over = course.take(Answered("yes", "ada@example"), BEGAN_US + 1)
    assert over[0] == Emit("out", {"answer": "yes", "by": "ada@example", "default": False}, cleared=True)
    assert finished(over)
    assert course.deadline_us is None
    assert course.take(Answered("no", "bob"), BEGAN_US + 2) == []


def test_what_is_none_of_the_choices_is_refused_and_it_still_waits():
    course, _ = asked(INVOICE, choices=["yes", "no"])
    refused = course.take(Answered("perhaps", "bob"), BEGAN_US + 1)
    assert "bob answered 'perhaps', expected one of yes, no" in notes(refused)
    assert emitted(refused) == {}
    assert finished(course.take(Answered("no", "bob"), BEGAN_US + 2))


@pytest.mark.parametrize(("value", "choice"), [(1, "1"), (True, "true"), (2.0, "2")])
def test_a_bare_payload_that_reads_as_json_still_is_the_choice(value, choice):
    course, _ = asked(INVOICE, choices=["1", "2", "true"])
    assert emitted(course.take(Answered(value, "x"), BEGAN_US)) == {"out": {"answer": choice, "by": "x", "default": False}}


def test_without_choices_any_value_but_null_is_an_answer():
    course, _ = asked(INVOICE)
    assert notes(course.take(Answered(None, ""), BEGAN_US)) == "somebody answered None, expected a value; it still waits"
    assert emitted(course.take(Answered({"n": 1}, "x"), BEGAN_US))["out"] == {"answer": {"n": 1}, "by": "x", "default": False}


def test_the_default_counts_once_the_time_is_over_and_clears_nothing():
    course, _ = asked(INVOICE, choices=["yes", "no"], default="no")
    assert course.take(Tick(), UNTIL_US - 1) == []
    over = course.take(Tick(), UNTIL_US)
    assert over[0] == Emit("out", {"answer": "no", "by": "", "default": True}, cleared=False)
    assert finished(over)


def test_without_a_default_nobody_answering_is_a_failure():
    course, _ = asked(INVOICE)
    assert failure(course.take(Tick(), UNTIL_US)).reason == "nobody answered within 1m"


def test_an_answer_that_comes_too_late_is_told_and_does_not_count():
    course, _ = asked(INVOICE, default="no")
    over = course.take(Answered("yes", "ada"), UNTIL_US)
    assert emitted(over)["out"] == {"answer": "no", "by": "", "default": True}
    assert "ada came too late" in notes(over)


def test_a_question_with_a_hole_is_not_asked():
    _, begun = asked({"amount": 20})
    assert "`who` is not there" in failure(begun).reason


def test_a_question_too_long_to_be_read_whole_is_not_asked():
    _, begun = asked("x" * (QUESTION_CHARACTERS_MAX + 1), ask="Is this right? ${value}")
    assert str(QUESTION_CHARACTERS_MAX) in failure(begun).reason


def test_a_question_that_reaches_nobody_fails():
    course, _ = asked(INVOICE)
    assert "nobody is asked here" in failure(course.take(Failed(0, "nobody is asked here"), BEGAN_US)).reason


def test_a_question_of_plain_text_and_an_escape():
    _, begun = asked(None, ask="Pay $${amount}, ${string(value == null)}?")
    assert isinstance(begun[0], Ask)
    assert begun[0].question == "Pay ${amount}, true?"


@pytest.mark.parametrize("ask", ["Pay ${amount", "Pay ${amount +}?", "Pay ${}?"])
def test_the_check_refuses_a_question_that_does_not_compile(ask):
    (finding,) = check_human(read(HumanSpec, ask=ask))
    assert finding.place == ("human", "ask")
    assert finding.what.endswith(")")  # where in it


def test_the_check_knows_the_fields_of_a_typed_request():
    (finding,) = check_human(read(HumanSpec, ask="Pay ${amuont}?"), ["amount"])
    assert "amuont" in finding.what
    assert "`amount`" in finding.remedy


def test_the_check_wants_the_default_among_the_choices_and_each_once():
    spec = read(HumanSpec, ask="?", choices=["yes", "no", "yes"], default="maybe")
    found = {finding.place: finding.what for finding in check_human(spec)}
    assert found == {
        ("human", "choices", 2): "the choice `yes` stands there twice",
        ("human", "default"): "the default 'maybe' is none of the choices",
    }
    assert list(check_human(read(HumanSpec, ask="?", choices=["yes", "no"], default="no"))) == []
