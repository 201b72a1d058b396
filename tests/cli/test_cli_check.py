"""`edgematrix check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import call, no_traceback

GOOD = "matrix: home\nagents:\n  a: {triggers: {g: {on: {x: {topic: t/in}}, do: [{publish: {topic: t/out, payload: 1}}]}}}\n"
ODD = GOOD.replace("{x: {topic: t/in}}", "{motion: {topic: t/m}, dark: {topic: t/l, below: 3}}")


def test_a_good_file(tmp_path: Path):
    (tmp_path / "home.yaml").write_text(GOOD)

    done = call("check", "home.yaml", cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "✓ 1 file: 0 errors, 0 warnings\n", "")


@pytest.mark.parametrize(
    ("content", "place", "told"),
    [
        (b"matrix: home\nagents:\n\ta: {}\n", ":3:1: error:", "tab"),
        (b"matrix: home\nagentz: {}\n", ":2:1: error:", "did you mean 'agents'?"),
        (b"matrix: home\nagents: {a: {triggers: {g: {on: {x: {topic: 't/+x'}}}}}}\n", ":2:", "t/+x"),
        (b"matrix: home/+\n", ":1:9: error:", "home/+"),
        (b"matrix: home\nagents: {A+: {}}\n", ":2:10: error:", "A+"),
        (b"matrix: home\nbroker: \xff\n", ":2:9: error:", "UTF-8"),
        (b"matrix: [home\n", ":2:1: error:", ""),
        (b"", ": error:", "empty"),
        (b"- a\n- b\n", ":1:1: error:", "a list"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, content: bytes, place: str, told: str):
    (tmp_path / "home.yaml").write_bytes(content)

    done = call("check", "home.yaml", cwd=tmp_path)

    assert done.returncode == 1
    assert f"home.yaml{place}" in done.stderr
    assert told in done.stderr
    assert "✗ 1 file: " in done.stderr
    assert done.stdout == ""
    no_traceback(done)


def test_the_types_of_code_beside_the_matrix_are_compared(tmp_path: Path):
    (tmp_path / "steps.py").write_text("def a(value: object, context) -> int: return 1\ndef b(value: str, context) -> str: return value\n")
    agents = "{a: {python: 'steps:a'}, b: {python: 'steps:b'}}"
    (tmp_path / "home.yaml").write_text(f"matrix: home\nagents:\n  f:\n    flow: {{edges: [in -> a, a -> b]}}\n    agents: {agents}\n")

    done = call("check", "home.yaml", cwd=tmp_path)

    assert done.returncode == 1
    assert "home.yaml:4:29: error:" in done.stderr
    assert "the types of a -> b do not fit: a whole number, expected a text" in done.stderr
    no_traceback(done)
    (tmp_path / "steps.py").write_text("import nothing_of_this_name\n")
    done = call("check", "home.yaml", cwd=tmp_path)
    assert "steps.py:1: the module cannot be loaded: ModuleNotFoundError" in done.stderr
    no_traceback(done)


def test_a_file_that_is_not_there(tmp_path: Path):
    done = call("check", "home.yaml", cwd=tmp_path)

    assert done.returncode == 1
    assert "home.yaml: error: there is no such file" in done.stderr


def test_a_warning_fails_only_where_it_is_asked_to(tmp_path: Path):
    (tmp_path / "home.yaml").write_text(ODD)

    easy, strict = (call("check", "home.yaml", *more, cwd=tmp_path) for more in ([], ["--strict"]))

    assert (easy.returncode, strict.returncode) == (0, 1)
    assert "home.yaml:3:" in easy.stderr
    assert "warning:" in easy.stderr
    assert "0 errors, 1 warning" in easy.stdout


def test_a_folder_stands_for_the_matrices_in_it(tmp_path: Path):
    (tmp_path / "one.yaml").write_text(GOOD)
    (tmp_path / "two.yml").write_text(GOOD.replace("t/in", "t/#/in"))
    (tmp_path / "one.scenario.yaml").write_text("matrix: one.yaml\n")
    (tmp_path / "other.yaml").write_text("services: {}\n")

    done = call("check", ".", cwd=tmp_path)

    assert done.returncode == 1
    assert "✗ 2 files: 1 error, 0 warnings" in done.stderr
    assert "two.yml:3:" in done.stderr


def test_a_folder_without_a_matrix_is_wrong_usage(tmp_path: Path):
    assert call("check", ".", cwd=tmp_path).returncode == 2


def test_a_scenario_is_told_its_own_command(tmp_path: Path):
    (tmp_path / "a.scenario.yaml").write_text("matrix: one.yaml\n")

    assert "edgematrix test a.scenario.yaml" in call("check", "a.scenario.yaml", cwd=tmp_path).stderr


def test_the_schema_is_one_for_editors(tmp_path: Path):
    schema = json.loads(call("check", "--schema", cwd=tmp_path).stdout)

    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "matrix" in schema["required"]
