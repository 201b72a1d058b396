"""What is told of critical writes, and of what is published where people answer, when a file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgematrix.config.opening import open_matrix
from edgematrix.errors import ConfigError

DOOR = "door: {{device: {{{reads}writes: {{lock: {{topic: z/door, critical: {critical}}}}}}}{more}}}"
ACCESS = "access: {clients: {phone: {publishes: [phone/answer]}}}"


def findings(folder: Path, agents: str, top: str = ACCESS) -> tuple[list[str], list[str]]:
    """Errors and warnings, each in one line."""
    (folder / "m.yaml").write_text(f"matrix: home\n{top}\nagents:\n  {agents}\n")
    try:
        return [], [str(found) for found in open_matrix(folder / "m.yaml").warnings]
    except ConfigError as error:
        return str(error).splitlines(), []


def door(critical: str = "{answers: phone/answer}", reads: str = "", more: str = "") -> str:
    return DOOR.format(critical=critical, reads=reads, more=more)


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        (door('{ask: "Open ${"}'), "agents.door.device.writes.lock.critical.ask"),
        (door("{notify: em/out/x}"), "agents.door.device.writes.lock.critical.notify"),
        (door("{answers: phone/a#}"), "agents.door.device.writes.lock.critical.answers"),
        (door("{timeout: 0}"), "nobody could answer within no time at all"),
        (door("{anwsers: phone/answer}"), "did you mean 'answers'?"),
        (door("maybe"), "agents.door.device.writes.lock.critical"),
        (door(reads="reads: {ask: {topic: z/ask}}, "), "named 'ask' in home/door"),
        (
            f"{door()}\n  eve: {{triggers: {{g: {{on: {{x: {{topic: t/x}}}}, do: [{{publish: {{topic: phone/answer, payload: 1}}}}]}}}}}}",
            "people answer home/door on 'phone/answer', and nothing of the matrix answers in their place",
        ),
        (
            f"{door('{answers: phone/#}')}\n  eve: {{device: {{writes: {{set: {{topic: phone/answer}}}}}}}}",
            "people answer home/door on 'phone/answer'",
        ),
        (
            'ask: {human: {ask: "?", answers: phone/answer}}\n  eve: {device: {writes: {set: {topic: phone/answer}}}}',
            "people answer home/ask on 'phone/answer'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, agents: str, words: str) -> None:
    errors, _ = findings(tmp_path, agents)
    assert any(words in line for line in errors), errors


def test_whoever_reaches_the_broker_may_answer_where_there_is_no_access_list(tmp_path: Path) -> None:
    errors, warnings = findings(tmp_path, door(), top="timezone: UTC")
    assert not errors
    assert any("whoever reaches the broker may approve commands for home/door.lock" in line for line in warnings)
    assert findings(tmp_path, door()) == ([], [])
    assert findings(tmp_path, door("true"), top="timezone: UTC") == ([], [])


def test_the_questions_are_an_output_of_the_device(tmp_path: Path) -> None:
    reader = "\n  told: {triggers: {g: {on: {q: {from: door.ask}}, do: [{publish: {topic: t/asked, payload: '${q.value.run}'}}]}}}"
    assert findings(tmp_path, door("true") + reader) == ([], [])
    errors, _ = findings(tmp_path, door("false") + reader)
    assert any("'ask'" in line for line in errors)
