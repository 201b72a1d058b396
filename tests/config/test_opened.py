"""A definition is handed over to the host that is built from it, and is gone once it runs."""

import asyncio
import gc
from pathlib import Path

import pytest

from edgematrix.config.launch import Launch, launch
from edgematrix.config.opened import Opened
from edgematrix.config.opening import open_matrix
from edgematrix.config.spec import TriggerSpec
from edgematrix.errors import UsageError

MATRIX = """
matrix: home
broker: mqtt://127.0.0.1:1
root: site/em
agents:
  room:
    agents:
      rule: {triggers: {hot: {on: {seen_only_here: {topic: t/temp, above: 25}}, do: [{publish: {topic: t/fan, payload: "${key}"}}]}}}
  brain:
    python: brain:judge
    triggers: {when: {on: {seen_only_here: {from: room/rule.out}}}}
"""


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    (tmp_path / "brain.py").write_text("async def judge(value: float, context) -> int:\n    return 1\n")
    (tmp_path / "home.yaml").write_text(MATRIX.replace('"${key}"}}', '"${key}"}}, {emit: {out: 1}}'))
    return open_matrix(tmp_path / "home.yaml")


def definitions() -> list[TriggerSpec]:
    gc.collect()
    return [found for found in gc.get_objects() if isinstance(found, TriggerSpec) and "seen_only_here" in found.on]


def test_nothing_of_a_definition_is_kept_while_its_host_is_there(opened: Opened, tmp_path: Path) -> None:
    async def main() -> None:
        async with launch(opened, Launch(name="pi", folder=tmp_path)) as launched:
            assert len(launched.assembly.groups) == 2
            assert definitions() == []

    assert len(definitions()) == 2
    asyncio.run(main())


def test_its_head_stays(opened: Opened) -> None:
    spec = opened.hand_over()
    assert set(spec.agents) == {"room", "brain"}
    assert (opened.spec.matrix, opened.spec.root, opened.spec.agents) == ("home", "site/em", {})


def test_a_matrix_is_launched_once(opened: Opened) -> None:
    opened.hand_over()
    with pytest.raises(UsageError, match="launched before"):
        opened.hand_over()
