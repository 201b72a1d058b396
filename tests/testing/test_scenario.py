"""Scenario files: what a failure tells, what is refused, and that pytest collects them in any project."""

from pathlib import Path

import pytest

from edgematrix.errors import ConfigError
from edgematrix.testing.report import run_with_report
from edgematrix.testing.scenario import read_scenario

pytest_plugins = ["pytester"]

GOOD = """
name: hot
matrix:
  matrix: home
  agents:
    rule: {triggers: {hot: {on: {t: {topic: t/x, above: 25, for: 2m}}, do: [{publish: {topic: t/out, payload: "${t.value}"}}]}}}
input:
  - {at: 5, topic: t/x, payload: 30}
  - {at: 77, topic: t/x, payload: 20}
expect: []
until: 300
"""


def scenario(folder: Path, text: str) -> Path:
    file = folder / "x.scenario.yaml"
    file.write_text(text)
    return file


def test_a_failure_says_why_nothing_fired(tmp_path: Path) -> None:
    wrong = GOOD.replace("expect: []", "expect: [{at: 125, topic: t/out, payload: 30}]")
    report = run_with_report(read_scenario(scenario(tmp_path, wrong)))
    assert not report.passed
    assert "!" in report.text
    assert "125 s  t/out  30" in report.text
    assert "`hot` did not fire" in report.text
    assert "1m12s" in report.text


def test_a_good_one_passes(tmp_path: Path) -> None:
    assert run_with_report(read_scenario(scenario(tmp_path, GOOD))).passed


@pytest.mark.parametrize(
    ("change", "words", "line"),
    [
        (("until: 300", "untl: 300"), "did you mean 'until'", 11),
        (("above: 25", "abov: 25"), "above", 6),
        (("until: 300", "until: 60"), "after `until`, 60 s", 9),
        (("topic: t/x, payload: 20", "topic: t/+, payload: 20"), "'+'", 9),
        (("until: 300", "until: 300\nstart: yesterday"), "", 12),
        (("until: 300", "until: 300\nwatch: ['a/#/b']"), "# before its end", 12),
        (("at: 5,", "at: soon,"), "duration", 8),
    ],
)
def test_a_wrong_file_is_an_error_with_its_line(tmp_path: Path, change: tuple[str, str], words: str, line: int) -> None:
    file = scenario(tmp_path, GOOD.replace(*change))
    with pytest.raises(ConfigError) as failure:
        read_scenario(file)
    assert words in str(failure.value)
    assert any(issue.line == line for issue in failure.value.issues), str(failure.value)


def test_a_matrix_elsewhere_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere.yaml"):
        read_scenario(scenario(tmp_path, "matrix: nowhere.yaml\nexpect: []\nuntil: 1\n"))


def test_pytest_collects_scenarios_in_any_project(pytester: pytest.Pytester) -> None:
    scenario(pytester.path, GOOD)
    pytester.path.joinpath("y.scenario.yaml").write_text(GOOD.replace("expect: []", "expect: [{at: 1, topic: t/out}]"))
    pytester.path.joinpath("z.scenario.yaml").write_text("nonsense: 1\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    assert "expected" in text
    assert "z.scenario.yaml:1:1" in text
    assert "Traceback" not in text
    assert "simulator.py" not in text
