"""Collects `*.scenario.yaml` in any project that has edgematrix installed: each file is one test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from edgematrix.errors import ConfigError

__all__ = ["ScenarioFailure", "ScenarioFile", "ScenarioItem", "pytest_collect_file"]

SUFFIX = ".scenario.yaml"


class ScenarioFailure(Exception):  # noqa: N818 - it says that a test failed, not that something is wrong with the tester
    """What was published is not what was expected; the message is the report."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a scenario."""
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """A file that holds one scenario."""

    def collect(self) -> Iterable[pytest.Item]:
        """The one test in it."""
        yield ScenarioItem.from_parent(self, name=self.path.name.removesuffix(SUFFIX))


class ScenarioItem(pytest.Item):
    """A scenario as a test."""

    def runtest(self) -> None:
        """Play it in virtual time.

        Raises:
            ScenarioFailure: the matrix did something else.
            ConfigError: the scenario or its matrix is wrong.
        """
        from edgematrix.testing.report import run_with_report  # noqa: PLC0415 - only who has scenarios pays for the simulator
        from edgematrix.testing.scenario import read_scenario  # noqa: PLC0415

        report = run_with_report(read_scenario(self.path))
        if not report.passed:
            raise ScenarioFailure(report.text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
        """The report alone: a traceback of the simulator tells nobody anything."""
        if isinstance(excinfo.value, (ScenarioFailure, ConfigError)):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is."""
        return self.path, 0, f"scenario {self.name}"
