"""Brokers for tests: one of each kind for the whole run, and ones of their own for tests that kill them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from broker_process import BrokerProcess, skip_without
from hypothesis import settings

# How long an example takes says something about the machine alone.
settings.register_profile("edgematrix", deadline=None)
settings.load_profile("edgematrix")


def _shared(kind: str, directory: Path) -> Iterator[BrokerProcess]:
    skip_without(kind)
    broker = BrokerProcess(kind, directory)
    broker.start()
    yield broker
    broker.kill()


# Whoever runs the tests may have a broker of their own, or want colours.
for _name in ("EDGEMATRIX_BROKER", "EDGEMATRIX_KEYS", "EDGEMATRIX_SECRETS", "FORCE_COLOR"):
    os.environ.pop(_name, None)

# In the background of a shell SIGINT is ignored, under nohup SIGHUP; every program that the tests start would ignore them too.
for _number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks at marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What begins at the ports that everybody begins at runs one after the other: an address that is shown is taken by nobody else."""
    for item in items:
        if item.path.parent.name == "docs":
            item.add_marker(pytest.mark.xdist_group("docs"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Agents' code fails with any text in some tests, and it is logged: pytest-xdist cannot hand on halves of characters."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: list[str]) -> None:
    """A pytest that pytest-xdist does not know has its groups run apart, and nothing is said: here it is."""
    apart = [name for name in ids if "/docs/" in name and not name.endswith("@docs")]
    assert not apart, f"they do not run one after the other: {apart[:3]}"


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A mosquitto that nobody kills; anonymous, in memory."""
    yield from _shared("mosquitto", tmp_path_factory.mktemp("mosquitto"))


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A nats-server that nobody kills; anonymous."""
    yield from _shared("nats", tmp_path_factory.mktemp("nats"))


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Makes brokers that the test starts, kills and restarts: `own_broker("mosquitto", more="...")`."""
    made: list[BrokerProcess] = []

    def make(kind: str, *, more: str = "", anonymous: bool = True) -> BrokerProcess:
        skip_without(kind)
        made.append(BrokerProcess(kind, tmp_path / f"{kind}{len(made)}", more=more, anonymous=anonymous))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()
