"""Two runs on one broker that take the same host's name, as two matrices on one machine do unless they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from broker_process import BrokerProcess
from cli_process import Running, call

AGENT = "agents: {{r: {{triggers: {{g: {{on: {{x: {{topic: {0}/in}}}}, do: [{{publish: {{topic: {0}/out, payload: 1}}}}]}}}}}}}}\n"


@pytest.mark.parametrize("second", ["garden", "house"])
def test_each_run_of_one_name_hears_of_the_other_and_is_there_again_when_that_has_ended(
    tmp_path: Path, start: Callable[..., Running], own_broker: Callable[..., BrokerProcess], second: str
) -> None:
    broker = own_broker("mosquitto")
    broker.start()
    runs = []
    for folder, matrix in (("one", "house"), ("two", second)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.yaml").write_text(f"matrix: {matrix}\n{AGENT.format(matrix)}")
        runs.append(start("run", "m.yaml", "--broker", broker.url, "--name", "pi", cwd=tmp_path / folder))
        runs[-1].wait_for("connected")

    runs[0].wait_for("another process is the host pi too")
    assert "--name" in runs[0].printed
    runs[1].stop()

    def is_there() -> bool:
        return call("pause", "house/r", "--url", broker.url, cwd=tmp_path).returncode == 0

    runs[0].wait_until(is_there, "commands take its agents for gone")
