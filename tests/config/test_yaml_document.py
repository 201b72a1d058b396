"""YAML files as plain values, and where things stand in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.config.document import ISSUES_MAX, Key, parse_document, read_document
from edgematrix.config.file_text import read_text
from edgematrix.errors import ConfigError, Issue


def value_of(text: str, **variables: str) -> Any:
    document = parse_document(text, "m.yaml", variables)
    if document.issues:
        raise ConfigError(document.issues)
    return document.value


def only_issue(call: Callable[..., object], *arguments: Any) -> Issue:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    (issue,) = caught.value.issues
    return issue


def test_values_are_plain_and_keep_their_order() -> None:
    text = 'b: [1, "1", on, 2.5, true, null, ~, ]\na: {x: , "y z": |\n    two\n    lines\n  }\n'
    text = 'b: [1, "1", on, 2.5, true, null, ~]\na:\n  x:\n  "y z": |\n    two\n    lines\n  folded: >-\n    one\n    line\n  1: one\n'
    value = value_of(text)
    assert value == {"b": [1, "1", "on", 2.5, True, None, None], "a": {"x": None, "y z": "two\nlines\n", "folded": "one line", "1": "one"}}
    assert list(value) == ["b", "a"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh_", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_is_yaml(value: object) -> None:
    if "${env:" not in (text := json.dumps(value, ensure_ascii=False)):
        assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "'a' is there twice"),
        ("a: {b: 1, b: 2}\n", 1, 11, "'b' is there twice"),
        ("a:\n\tb: 1\n", 2, 1, "a tab stands where YAML wants spaces"),
        ("a:\n  b: 1\n \tc: 2\n", 3, 2, "a tab"),
        ("a: [1, 2\n", 2, 1, "did not find expected ',' or ']'"),
        ('a: "never closed\n', 2, 1, "a quote is never closed"),
        ("a: b: c\n", 1, 5, "a text with ': ' in it needs quotes"),
        ("a: @home\n", 1, 4, "put quotes around the text"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"),
        ("a: !!python/object:os.system x\n", 1, 4, "the tag tag:yaml.org,2002:python/object:os.system is not known"),
        ("a: !!str 5\n", 1, 4, "is not known here"),
        ("a: !thing {b: 1}\n", 1, 4, "the tag !thing is not known"),
        ("a: *nobody\n", 1, 4, "the alias *nobody has no anchor before it"),
        ("a: &x [*x]\n", 1, 8, "the alias *x has no anchor before it"),
        ("{a: 1}: 2\n", 1, 1, "a key is a mapping"),
        ("? [a]\n: 2\n", 1, 3, "a key is a mapping, a list"),
        ("a: {{room}}\n", 1, 5, "a key is a mapping"),
        ("&k a: 1\n", 1, 1, "expected a text as key"),
        ("'': 1\n", 1, 1, "expected a text as key"),
        ("a: .nan\n", 1, 4, "quotes around it"),
        ("a:\n  - True\n", 2, 5, "found True, expected true"),
        ("a: '${env:NOPE}'\n", 1, 4, "the environment variable NOPE is not set"),
        ("a: b\x07c\n", 1, 5, "the character U+0007"),
        ("a: " + "[" * 70 + "]" * 70, 1, 67, "nest deeper than 64"),
        ("a: 1\n<<: 5\n", 2, 5, "<< merges mappings"),
    ],
)
def test_what_is_no_yaml_here_is_told_with_line_column_and_remedy(text: str, line: int, column: int, words: str) -> None:
    issue = only_issue(value_of, text)
    assert (issue.file, issue.line, issue.column) == ("m.yaml", line, column)
    assert words in str(issue)


def test_all_that_is_wrong_is_told_in_file_order() -> None:
    with pytest.raises(ConfigError) as caught:
        value_of("a: .inf\nb: ${env:NOPE}\nb: !x 1\n")
    assert [(issue.line, issue.column) for issue in caught.value.issues] == [(1, 4), (2, 4), (3, 1), (3, 4)]


def test_not_more_than_a_screenful_is_told() -> None:
    document = parse_document("".join(f"a{i}: .nan\n" for i in range(150)), "m.yaml")
    assert len(document.issues) == 150
    with pytest.raises(ConfigError) as caught:
        parse_document("".join(f"a{i}: .nan\n" for i in range(100_000)), "m.yaml")
    assert len(caught.value.issues) == ISSUES_MAX + 1
    assert "more" in caught.value.issues[-1].what


def test_an_alias_is_the_value_again() -> None:
    assert value_of("a: &x {b: [1, 2]}\nc: *x\n") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_a_merge_takes_over_what_is_not_there_and_keeps_the_written_order() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none:\n  <<: *b\n  y: 9\ntwo: {y: 0, <<: [*b, *m]}\ntext: {'<<': 1}\n"
    value = value_of(text)
    assert value["one"] == {"x": 1, "y": 9}
    assert value["two"] == {"y": 0, "x": 1, "z": 4}
    assert list(value["one"]) == ["x", "y"]
    assert value["text"] == {"<<": 1}


def test_a_few_lines_cannot_ask_for_billions_of_values() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    began = time.thread_time()
    issue = only_issue(value_of, "\n".join(lines))
    assert "aliases counted each time" in issue.what
    assert time.thread_time() - began < 5


def test_aliases_cannot_nest_without_bound() -> None:
    lines = ["a0: &a0 " + "[" * 40 + "]" * 40]
    lines += [f"a{i}: &a{i} " + "[" * 40 + f"*a{i - 1}" + "]" * 40 for i in range(1, 50)]
    assert "with this alias mappings and lists nest deeper than 64" in only_issue(value_of, "\n".join(lines)).what


def test_a_deep_file_ends_quickly() -> None:
    began = time.thread_time()
    only_issue(value_of, "[" * 1_000_000)
    assert time.thread_time() - began < 2


def test_variables_in_quotes_are_text_and_plain_ones_are_read_by_the_schema() -> None:
    text = 'a: ${env:N}\nb: "${env:N}"\nc: x${env:N}\nd: ${other:N}\ne: "${temp.value}"\n${env:N}: key\n'
    assert value_of(text, N="5") == {"a": 5, "b": "5", "c": "x5", "d": "${other:N}", "e": "${temp.value}", "${env:N}": "key"}


class TestFiles:
    def test_a_byte_order_mark_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "m.yaml"
        path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa4\r\nb: 2\r\n")
        assert read_document(path).value == {"a": "ä", "b": 2}

    @pytest.mark.parametrize(
        ("raw", "line", "column", "words"),
        [
            (b"a: 1\nb: \xff\n", 2, 4, "the byte 0xff is not UTF-8"),
            ("a: 1".encode("utf-16"), 0, 0, "is UTF-16"),
            (b"a: " + b"x" * (16 * 1024 * 1024), 0, 0, "is larger than"),
        ],
    )
    def test_other_encodings_and_huge_files_are_refused(self, tmp_path: Path, raw: bytes, line: int, column: int, words: str) -> None:
        path = tmp_path / "m.yaml"
        path.write_bytes(raw)
        issue = only_issue(read_document, path)
        assert (issue.file, issue.line, issue.column) == (str(path), line, column)
        assert words in issue.what
        assert issue.remedy

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        assert "no such file" in only_issue(read_text, tmp_path / "nobody.yaml").what
        assert "is a directory" in only_issue(read_text, tmp_path).what
        assert only_issue(read_text, tmp_path / "a\0b").what

    def test_an_included_file_stands_in_for_the_value(self, tmp_path: Path) -> None:
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts" / "hall.yaml").write_text("agents: !include deeper.yaml\n")
        (tmp_path / "parts" / "deeper.yaml").write_text("lamp: {n: 1}\n")
        (tmp_path / "list.yaml").write_text("[1, 2]")
        path = tmp_path / "m.yaml"
        path.write_text(
            "hall: !include parts/${env:ROOM}.yaml\nall: [!include list.yaml, !include list.yaml]\n<<: !include parts/deeper.yaml\n"
        )
        value = read_document(path, {"ROOM": "hall"}).value
        assert value == {"hall": {"agents": {"lamp": {"n": 1}}}, "all": [[1, 2], [1, 2]], "lamp": {"n": 1}}

    def test_an_error_points_into_the_included_file(self, tmp_path: Path) -> None:
        (tmp_path / "part.yaml").write_text("a: 1\nb: .inf\n")
        path = tmp_path / "m.yaml"
        path.write_text("x: !include part.yaml\ny: .nan\n")
        document = read_document(path)
        assert sorted((issue.file, issue.line) for issue in document.issues) == [(str(path), 2), (str(tmp_path / "part.yaml"), 2)]
        places = document.places([("x", "b"), ("y",), ("x",)])
        assert (places["x", "b"].file, places["x", "b"].line, places["x", "b"].column) == (str(tmp_path / "part.yaml"), 2, 4)
        assert places["y",].file == str(path)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("x: !include m.yaml", "includes itself"),
            ("x: !include loop.yaml", "includes itself"),
            ("x: !include nobody.yaml", "there is no such file"),
            ("x: !include .", "is a directory"),
            ("x: !include [a]", "is not known here"),
            ("x: !include bad.yaml", "did not find expected"),
            ("x: !include chain0.yaml", "deeper than"),
            ("x: [" + "!include ok.yaml, " * 300 + "]", "more than 200 files"),
        ],
    )
    def test_what_cannot_be_included_is_told_once(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "loop.yaml").write_text("y: !include m.yaml")
        (tmp_path / "bad.yaml").write_text("y: [1")
        (tmp_path / "ok.yaml").write_text("1")
        for i in range(20):
            (tmp_path / f"chain{i}.yaml").write_text(f"!include chain{i + 1}.yaml")
        path = tmp_path / "m.yaml"
        path.write_text(text)
        try:
            issues = read_document(path).issues
        except ConfigError as error:
            issues = error.issues
        assert words in issues[0].what
        assert all(issue.line for issue in issues)


class TestPlaces:
    TEXT = "a:\n  b: [x, {c: 'q'}]\n  'd e': \"f\"\ng: &g {h: 1}\ni: *g\nj: {<<: *g, k: 2}\nl: |\n  text\n"

    @pytest.mark.parametrize(
        ("path", "value_at", "key_at"),
        [
            ((), (1, 1), (1, 1)),
            (("a",), (2, 3), (1, 1)),
            (("a", "b", 0), (2, 7), (2, 7)),
            (("a", "b", 1, "c"), (2, 14), (2, 11)),
            (("a", "d e"), (3, 10), (3, 3)),
            (("a", "missing"), (2, 3), (1, 1)),
            (("a", "missing", "deeper"), (2, 3), (1, 1)),
            (("i", "h"), (5, 4), (5, 1)),
            (("j", "h"), (6, 5), (6, 5)),
            (("j", "k"), (6, 16), (6, 13)),
            (("l",), (7, 4), (7, 1)),
        ],
    )
    def test_every_path_has_a_place(self, path: tuple[Key, ...], value_at: tuple[int, int], key_at: tuple[int, int]) -> None:
        place = parse_document(self.TEXT, "m.yaml").places([path, ("a", "b")])[path]
        assert (place.line, place.column) == value_at
        assert (place.key_line, place.key_column) == key_at

    @pytest.mark.parametrize(
        ("path", "spells_out", "quoted"), [(("a", "b", 0), True, 0), (("a", "d e"), True, 1), (("l",), False, 0), (("a",), False, 0)]
    )
    def test_a_text_that_stands_there_letter_by_letter_is_known(self, path: tuple[Key, ...], spells_out: bool, quoted: int) -> None:
        place = parse_document(self.TEXT, "m.yaml").places([path])[path]
        assert (place.spells_out, place.quoted) == (spells_out, quoted)

    def test_an_empty_file_has_a_place(self) -> None:
        assert parse_document("# nothing\n", "m.yaml").places([("a",)])["a",].line == 1
