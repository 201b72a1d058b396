"""Numbers through a durable flow over three hosts, while hosts and brokers are killed and disks are full: each comes once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.broker_process import skip_without
from tests.chaos.run import Options, run

BACK_S = 5.0
WHOLE = {"messages": 40_000, "kills": 50}


def check(options: Options) -> None:
    skip_without("nats" if options.broker == "nats-cluster" else options.broker)
    result = run(options)
    told = "\n".join(result.lines)
    print(told)
    assert result.trouble == "", told
    assert (result.lost, result.twice, result.denied) == (0, 0, 0), told
    assert result.kills == options.kills, told
    assert "dead letters" not in told
    assert "left over: a: nothing; b: nothing; c: nothing" in told
    if options.fillings and not options.kills:
        assert result.back_s < BACK_S, told


def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    check(Options(seed=3, messages=1_200, kills=6, folder=tmp_path / "run", persistent=False))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    check(Options(seed=1, messages=1_200, kills=0, fillings=2, folder=tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("persistent", [True, False])
def test_fifty_kills_lose_nothing(tmp_path: Path, seed: int, persistent: bool) -> None:
    check(Options(seed=seed, **WHOLE, persistent=persistent, folder=tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_kills_under_the_access_list_lose_nothing_and_nothing_is_refused(tmp_path: Path, seed: int) -> None:
    check(Options(seed=seed, messages=5_000, kills=10, access=True, folder=tmp_path / "run"))


@pytest.mark.slow
def test_kills_and_full_disks_lose_nothing(tmp_path: Path) -> None:
    check(Options(seed=11, messages=20_000, kills=20, fillings=10, folder=tmp_path / "run"))


@pytest.mark.slow
def test_kills_of_hosts_and_of_nodes_of_a_cluster_lose_nothing(tmp_path: Path) -> None:
    check(Options(seed=1, messages=10_000, kills=20, broker="nats-cluster", folder=tmp_path / "run", patience_s=300))
