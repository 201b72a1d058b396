import pytest

from edgematrix.errors import ModelError
from edgematrix.models.fake import FakeModel


def test_it_picks_what_its_script_says_and_then_always_the_same():
    model = FakeModel(["ben", "anna"], "end")
    assert [model.choose("", "?", ("anna", "ben", "end"), 1.0) for _ in range(4)] == ["ben", "anna", "end", "end"]


def test_a_script_that_names_nobody_is_an_error():
    with pytest.raises(ModelError, match="gives 'zoe', which is none of anna, end"):
        FakeModel(["zoe"], "end").choose("", "?", ("anna", "end"), 1.0)
