"""A switch gives the request to the first case that holds."""

from __future__ import annotations

import pytest
from course_drive import emitted, failure, finished, invoked, notes, read

from edgematrix.composition.course import Done, Failed
from edgematrix.composition.spec import SwitchSpec
from edgematrix.composition.switch import Switch, SwitchCourse, check_switch
from edgematrix.errors import ExpressionError

LANES = [{"when": "kind == 'urgent'", "to": "fast"}, {"when": "size > 10", "to": "bulk"}, {"when": "value == 'hello'", "to": "greeter"}]


def course(default: str | None = None, cases: object = LANES) -> SwitchCourse:
    return Switch.compile(read(SwitchSpec, cases=cases, default=default)).course("r1")


@pytest.mark.parametrize(
    ("request_", "member"),
    [
        ({"kind": "urgent", "size": 50}, "fast"),
        ({"kind": "slow", "size": 50}, "bulk"),
        ("hello", "greeter"),
        ({"kind": "slow", "size": 5}, "rest"),
        ({}, "rest"),
        (None, "rest"),
    ],
)
def test_the_first_case_that_holds_gets_the_request(request_, member):
    call = invoked(course("rest").begin({"in": request_}, 0))
    assert call.member == member
    assert call.inputs == (("", request_),)


def test_a_case_that_cannot_be_judged_does_not_hold_and_is_told():
    begun = course("rest").begin({"in": {"kind": "slow", "size": "large"}}, 0)
    assert invoked(begun).member == "rest"
    assert "`size > 10` cannot be judged" in notes(begun)


def test_no_case_and_no_default_ends_without_output_and_says_why():
    switch = course()
    begun = switch.begin({"in": {"kind": "slow"}}, 0)
    assert finished(begun)
    assert emitted(begun) == {}
    assert "no default" in notes(begun)
    assert switch.take(Done(1, {"out": 1}), 0) == []


def test_what_the_member_puts_out_is_the_switchs_own():
    switch = course("rest")
    switch.begin({"in": {}}, 0)
    assert "`rest`" in switch.waits_for()
    over = switch.take(Done(1, {"out": 7, "log": "done"}), 1)
    assert emitted(over) == {"out": 7, "log": "done"}
    assert finished(over)
    assert switch.take(Done(1, {"out": 8}), 1) == []


def test_a_member_that_returns_nothing_ends_it_without_output():
    switch = course("rest")
    switch.begin({"in": {}}, 0)
    over = switch.take(Done(1, {}), 1)
    assert emitted(over) == {}
    assert finished(over)
    assert "`rest` returned nothing" in notes(over)


def test_a_member_that_fails_fails_the_switch():
    switch = course("rest")
    switch.begin({"in": {}}, 0)
    assert failure(switch.take(Failed(1, "boom"), 1)) == ("boom", "rest")


def test_several_inputs_go_on_by_their_names_and_are_judged_together():
    call = invoked(course().begin({"kind": "urgent", "body": 1}, 0))
    assert call.member == "fast"
    assert dict(call.inputs) == {"kind": "urgent", "body": 1}


def test_a_case_that_does_not_compile_says_where():
    with pytest.raises(ExpressionError) as told:
        course(cases=[{"when": "a == 1", "to": "x"}, {"when": "a ==", "to": "x"}])
    assert told.value.where.startswith("cases.1.when 1:")


def test_the_check_names_strangers_and_wrong_cases():
    spec = read(SwitchSpec, cases=[{"when": "kind ==", "to": "fasst"}, {"when": "1 + 1", "to": "bulk"}], default="nobody")
    found = {finding.place: finding for finding in check_switch(spec, ["fast", "bulk"])}
    assert set(found) == {
        ("switch", "cases", 0, "when"),
        ("switch", "cases", 0, "to"),
        ("switch", "cases", 1, "when"),
        ("switch", "default"),
    }
    assert "did you mean `fast`?" in found["switch", "cases", 0, "to"].remedy
    assert "true or false" in found["switch", "cases", 1, "when"].what
    assert "bulk, fast" in found["switch", "default"].remedy


def test_the_check_knows_the_fields_of_a_typed_request():
    spec = read(SwitchSpec, cases=[{"when": "knid == 'a'", "to": "fast"}])
    assert list(check_switch(spec, ["fast"])) == []
    (finding,) = check_switch(spec, ["fast"], ["kind"])
    assert "`kind`" in finding.remedy
