import pytest

from edgematrix.composition.judgement import Judgement
from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, free_names


def test_a_condition_names_fields_and_the_whole():
    judgement = Judgement.condition("verdict == 'redo' && value.round < 3", ["verdict", "round"])
    assert judgement.holds({"verdict": "redo", "round": 1})
    assert not judgement.holds({"verdict": "redo", "round": 3})


def test_a_field_that_the_value_lacks_is_null():
    assert Judgement.condition("verdict == null", None).holds({})
    assert Judgement.condition("verdict == null", ["verdict"]).holds({"other": 1})
    assert Judgement.condition("verdict == null", None).holds("plain text")


def test_the_whole_of_a_plain_value():
    assert Judgement.condition("value > 3", None).holds(4)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ExpressionError, match="did you mean `verdict`"):
        Judgement.compile("verdct == 1", ["verdict"])


def test_what_the_place_offers_hides_a_field():
    judgement = Judgement.compile("turn", None, {"turn": ANY})
    assert judgement.evaluate({"turn": 1}, turn=7) == 7


def test_a_condition_that_gives_a_text_is_refused():
    with pytest.raises(ExpressionError, match="true or false"):
        Judgement.condition("'yes'", None)
    assert Judgement.compile("'yes'", None).evaluate({}) == "yes"


def test_a_condition_over_what_is_not_there_fails():
    with pytest.raises(ExpressionError):
        Judgement.condition("a.b == 1", None).holds({})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.b == c", ("a", "c")),
        ("items.exists(x, x > low)", ("items", "low")),
        ("type == 'alarm' && type(a) == int", ("type", "a")),
        ("size(a) > 1 && a.startsWith('b') || true", ("a",)),
        ("has(a.b)", ("a",)),
        ("'a' + \"b\"", ()),
    ],
)
def test_free_names(text, names):
    assert free_names(text) == names


def test_names_that_macros_bind_are_not_fields():
    assert Judgement.condition("items.exists(x, x > 2)", None).holds({"items": [1, 3], "x": 0})
