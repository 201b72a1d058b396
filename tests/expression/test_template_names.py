"""The names that a template reads, where its scope is not known before it comes."""

from __future__ import annotations

import pytest

from edgematrix.errors import ExpressionError
from edgematrix.expression import ANY, Template, template_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("plain", ()),
        ("Pay ${amount} to ${who.name}, ${amount}?", ("amount", "who")),
        ("$${not} ${yes} $$${nor} ${ {'a': b}['a'] }", ("yes", "b")),
        ("${items.all(i, i > least)}", ("items", "least")),
        ("${a}${b}", ("a", "b")),
    ],
)
def test_each_name_once_in_order(text, names):
    assert template_names(text) == names
    Template.compile(text, dict.fromkeys(names, ANY))


def test_an_expression_without_its_end_is_told_with_its_place():
    with pytest.raises(ExpressionError) as told:
        template_names("Pay ${amount")
    assert told.value.where == "1:5"
