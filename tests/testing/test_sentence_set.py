"""Files of sentences: what is wrong in one is told with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgematrix.config.agent_tree import AgentTree
from edgematrix.config.opening import open_matrix
from edgematrix.errors import ConfigError, UsageError
from edgematrix.testing.sentence_set import Receivers, read_sentences

MATRIX = """
matrix: home
agents:
  hall:
    agents:
      lamp: {device: {writes: {set: {topic: z/lamp/set, schema: {type: object}, range: {brightness: [0, 100]}}}}}
      speaker: {device: {writes: {volume: {topic: z/v, range: {value: [0, 100]}}, play: {topic: z/p}}}}
"""
GOOD = '{"say": "on", "want": [{"to": "hall/lamp.set", "payload": {"state": "ON"}}]}'


@pytest.fixture
def receivers(tmp_path: Path) -> Receivers:
    (tmp_path / "home.yaml").write_text(MATRIX)
    spec = open_matrix(tmp_path / "home.yaml").spec
    return Receivers(AgentTree.of(spec), spec.root)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.jsonl"


def test_what_is_left_out_has_a_meaning(receivers: Receivers, file: Path) -> None:
    file.write_text(f'{GOOD}\n\n{{"say": "hm", "want": []}}\n')
    found = read_sentences(file, receivers)
    assert [(one.kind, one.part, one.line) for one in found] == [("plain", None, 1), ("unclear", None, 3)]


def test_a_receiver_may_be_named_from_the_root_and_without_its_only_input(receivers: Receivers, file: Path) -> None:
    file.write_text('{"say": "on", "want": [{"to": "/home/hall/lamp", "payload": {}}]}\n')
    (command,) = read_sentences(file, receivers)[0].wants[0]
    assert (command.path, command.port) == ("home/hall/lamp", "set")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nope", "JSON is malformed"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"say": "x"}', "missing required field `want`"),
        ('{"say": "x", "wnat": []}', "unknown key 'wnat' (did you mean 'want'?)"),
        ('{"say": "x", "want": [{"too": "y", "payload": 1}]}', "unknown key 'too' (did you mean 'to'?)"),
        ('{"say": "x", "want": [], "kind": "plane"}', "at kind (kinds are plain, paraphrase"),
        ('{"say": "x", "want": [], "part": "test"}', "at part"),
        ('{"say": "", "want": []}', "from 1 to 500 characters, this one has 0"),
        (f'{{"say": "{"x" * 501}", "want": []}}', "from 1 to 500 characters, this one has 501"),
        ('{"say": " ON ", "want": []}', "the sentence stands in line 1 already"),
        ('{"say": "x", "want": [], "kind": "plain"}', "of the kind plain asks for something"),
        (GOOD.replace('"on"', '"x"').replace("]}", '], "kind": "attack"}'), "of the kind attack asks for nothing"),
        (GOOD.replace('"on"', '"x"').replace("]}", '], "also": [[]]}'), "it is empty at also.0"),
        (GOOD.replace('"on"', '"x"').replace("lamp", "lmap"), "there is no agent home/hall/lmap at want (did you mean hall/lamp.set?)"),
        (GOOD.replace('"on"', '"x"').replace(".set", ".get"), "home/hall/lamp has no input 'get'"),
        ('{"say": "x", "want": [{"to": "hall/speaker", "payload": 1}]}', "its inputs are play, volume"),
        ('{"say": "x", "want": [{"to": "hall/lamp.set", "payload": {"brightness": 300}}]}', "`brightness` is 300; allowed are 0 to 100"),
        ('{"say": "x", "want": ' + "[" * 5_000 + "}", "mine.jsonl:2"),
        (f'{{"say": "x", "want": [], "part": "{"x" * 70_000}"}}', "the line has more than 65536 bytes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(receivers: Receivers, file: Path, line: str, told: str) -> None:
    file.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        read_sentences(file, receivers)
    assert len(caught.value.issues) == 1
    assert caught.value.issues[0].line == 2
    assert told in str(caught.value)


def test_all_lines_that_are_wrong_are_told_up_to_twenty(receivers: Receivers, file: Path) -> None:
    file.write_bytes(b"\xff\n" * 50)
    with pytest.raises(ConfigError) as caught:
        read_sentences(file, receivers)
    assert [issue.line for issue in caught.value.issues] == list(range(1, 21))


def test_a_file_that_is_not_there_or_holds_nothing(receivers: Receivers, file: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_sentences(file, receivers)
    file.write_text("\n")
    with pytest.raises(UsageError, match="there is no sentence in this file"):
        read_sentences(file, receivers)
