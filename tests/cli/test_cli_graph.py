"""`edgematrix graph`: Mermaid text that a renderer takes, and that is the same each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import call, no_traceback
from hypothesis import given
from hypothesis import strategies as st

from edgematrix.agents.spec import DeviceSpec, ReadSpec
from edgematrix.cli.flowchart import flowchart
from edgematrix.config.spec import AgentSpec, MatrixSpec

HOUSE = """\
matrix: home
location: {lat: 50, lon: 4}
agents:
  hall:
    inputs: {wish: text}
    outputs: {light: {from: lux.level}}
    agents:
      lux: {device: {reads: {level: {topic: z/lux}}, availability: {topic: z/lux/state}}}
      lamp: {device: {writes: {set: {topic: z/lamp/set}}}}
      rule:
        triggers:
          dark:
            on: {lux: {from: lux.level, below: 3}, asked: {from: parent.wish}, dusk: {sun: sunset-15m}, tick: {every: 90s}}
            need: any
            do: [{send: {to: lamp.set, payload: {state: "ON"}}}, {publish: {topic: "log/${lux.topic}", payload: 1}}]
  helper:
    sentences: {rules: [{say: [light on], send: {to: hall.wish, payload: dark}}]}
  watcher: {triggers: {g: {on: {light: {from: hall.light}, all: {topic: "+/x/#"}}, do: [{emit: {out: 1}}]}}}
"""
LINE = re.compile(
    r"""flowchart\ LR
    |(?P<sub>\ +)subgraph\ \w+\["[^"\[\]]*"\]
    |\ +end
    |\ +\w+(\[\[|\[/|\[|\(\(|\(\[|>|\{\{)"[^"]*"(\]\]|/\]|\]|\)\)|\]\)|\}\}):::\w+
    |\ +\w+\ (-->|-\.->)(\|"[^"]*"\|)?\ \w+
    |\ +classDef\ \w+\ [\w:#,-]+""",
    re.VERBOSE,
)


@pytest.fixture
def house(drawn: Callable[[str], str]) -> str:
    return drawn(HOUSE)


@pytest.mark.parametrize(
    "edge",
    [
        'topic_z_lux -->|"level"| agent_home_hall_lux',
        'topic_z_lux_state -->|"availability"| agent_home_hall_lux',
        'agent_home_hall_lamp -->|"set"| topic_z_lamp_set',
        'agent_home_hall_lux -->|"level"| agent_home_hall_rule',
        'port_home_hall_wish -->|"wish"| agent_home_hall_rule',
        "clock_every_1m30s --> agent_home_hall_rule",
        'agent_home_hall_rule -.->|"set"| agent_home_hall_lamp',
        "agent_home_hall_rule --> topic_log___lux_topic_",
        'agent_home_hall_lux -->|"level"| port_home_hall_light',
        'agent_home_helper -.->|"wish"| port_home_hall_wish',
        'port_home_hall_light -->|"light"| agent_home_watcher',
    ],
)
def test_what_is_wired_is_an_edge(house: str, edge: str):
    assert f"  {edge}\n" in house


def test_composites_are_frames_around_what_they_hold(house: str):
    inside = house.partition('subgraph frame_home_hall["hall"]')[2].partition("    end")[0]

    for node in ("agent_home_hall_lux[[", "agent_home_hall_lamp[[", "agent_home_hall_rule[", "port_home_hall_wish(["):
        assert node in inside
    assert "agent_home_helper" not in inside


def test_each_node_is_defined_once_and_each_edge_joins_defined_ones(house: str):
    defined = re.findall(r"^ +(\w+)[\[\(\{>].*:::", house, re.MULTILINE)
    joined = {end for pair in re.findall(r"^ +(\w+) -.*-?> ?(?:\|.*\| )?(\w+)$", house, re.MULTILINE) for end in pair}

    assert len(defined) == len(set(defined))
    assert joined <= set(defined)


def test_the_same_matrix_gives_the_same_text(tmp_path: Path, house: str):
    assert call("graph", "home.yaml", cwd=tmp_path).stdout == house


@given(topics=st.lists(st.text(min_size=1).filter(lambda text: not set(text) & set("+#{}\0")), min_size=1, max_size=5, unique=True))
def test_whatever_a_topic_is_called_each_line_is_one_that_mermaid_reads(topics: list[str]):
    reads = {f"r{number}": ReadSpec(topic=topic) for number, topic in enumerate(topics)}

    text = flowchart(MatrixSpec(matrix="end", agents={"end": AgentSpec(device=DeviceSpec(reads=reads)), "e_nd": AgentSpec()}))

    for line in text.split("\n")[:-1]:
        assert LINE.fullmatch(line), line
    assert len(set(re.findall(r"^  (topic_\w+)\[/", text, re.MULTILINE))) == len(topics), "two topics are never one node"


def test_a_wrong_file_is_told_as_by_check(tmp_path: Path):
    (tmp_path / "home.yaml").write_text(HOUSE.replace("lux.level, below", "lux.lavel, below"))

    done = call("graph", "home.yaml", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stdout == ""
    assert "did you mean 'level'?" in done.stderr
    no_traceback(done)
