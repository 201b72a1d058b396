"""`${env:…}` in values."""

from __future__ import annotations

import pytest

from edgematrix.config.environment import substitute

VARIABLES = {"HOST": "pi", "EMPTY": "", "TRICK": "${env:HOST}"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${env:HOST}", "pi"),
        ("mqtt://${env:HOST}:${env:PORT:-1883}", "mqtt://pi:1883"),
        ("${env:EMPTY:-default}", ""),
        ("${env:NOPE:-}", ""),
        ("${env:NOPE:-a:-b}", "a:-b"),
        ("${env:TRICK}", "${env:HOST}"),
        ("$${env:HOST}", "$${env:HOST}"),
        ("${secret:HOST} ${temp.value} $env:HOST", "${secret:HOST} ${temp.value} $env:HOST"),
    ],
)
def test_references_to_variables_are_replaced_and_nothing_else(text: str, result: str) -> None:
    assert substitute(text, VARIABLES) == result


@pytest.mark.parametrize("text", ["${env:NOPE}", "${env:}", "${env:HOST", "${env:A B}", "${env:{x}}", "${env:HOST:x}"])
def test_a_variable_that_is_not_set_or_a_broken_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"env"):
        substitute(text, VARIABLES)
