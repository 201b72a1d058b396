"""The sentences that the cascade is measured with: held to the rule by which they were split, and to the devices of the house."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgematrix.agents.device import Device
from edgematrix.agents.effect import Publish
from edgematrix.config.opening import open_matrix
from edgematrix.config.spec import AgentSpec

HOUSE = Path(__file__).parents[2] / "edgematrix/models/shipped/house"
DOING = ("plain", "paraphrase", "several")
IDLE = ("negation", "question", "nonsense", "unclear", "attack")
TUNE_BELOW = 102
"""Two fifths of what a byte may be; fixed before anything was tuned."""


def sentences() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HOUSE / "sentences.jsonl").read_text(encoding="utf-8").splitlines()]


def plain_form(say: str) -> str:
    return " ".join(say.casefold().split())


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Device]:
    matrix = tmp_path_factory.mktemp("house") / "house.yaml"
    (matrix.parent / "devices.yaml").write_text((HOUSE / "devices.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    matrix.write_text("matrix: house\nagents: {<<: !include devices.yaml}\n", encoding="utf-8")
    found: dict[str, Device] = {}

    def collect(agents: dict[str, AgentSpec], above: str) -> None:
        for name, agent in agents.items():
            if agent.device is not None:
                found[above + name] = Device(agent.device)
            collect(agent.agents, f"{above}{name}/")

    collect(open_matrix(matrix).hand_over().agents, "")
    return found


def test_a_sentence_is_in_the_part_that_its_hash_says() -> None:
    for line in sentences():
        first = sha256(plain_form(line["say"]).encode()).digest()[0]
        assert line["part"] == ("tune" if first < TUNE_BELOW else "heldout"), line["say"]


def test_no_sentence_is_there_twice_so_none_is_in_both_parts() -> None:
    counts = Counter(plain_form(line["say"]) for line in sentences())
    assert [say for say, count in counts.items() if count > 1] == []


def test_each_kind_is_there_in_both_parts_and_only_some_ask_for_something() -> None:
    lines = sentences()
    for line in lines:
        assert bool(line["want"]) == (line["kind"] in DOING), line["say"]
    counts = Counter((line["kind"], line["part"]) for line in lines)
    assert all(counts[kind, part] >= 10 for kind in (*DOING, *IDLE) for part in ("tune", "heldout")), counts
    assert len(lines) >= 260
    assert sum(line["kind"] in DOING for line in lines) >= 120


def test_whatever_is_wanted_the_device_takes(devices: dict[str, Device]) -> None:
    for line in sentences():
        for want in (line["want"], *line.get("also", [])):
            for command in want:
                path, _, port = command["to"].rpartition(".")
                device = devices[path]
                assert port in device.writes, command
                effects, _ = device.write(device.start(), port, command["payload"], 0)
                assert [type(effect) for effect in effects] == [Publish], (line["say"], command)


def test_each_device_is_asked_for(devices: dict[str, Device]) -> None:
    asked = {command["to"].rpartition(".")[0] for line in sentences() for command in line["want"]}
    assert len(devices) >= 30
    assert devices.keys() == asked
