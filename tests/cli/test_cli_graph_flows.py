"""`edgematrix graph` of compositions: what a flow joins, whom a chat, a switch and a pool let work, and who is asked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

HOUSE = """\
matrix: home
agents:
  report:
    inputs: {request: text, depth: number}
    outputs: {summary: {from: summarise}, alarm: any}
    triggers:
      daily: {on: {request: {every: 1h}, depth: {topic: t/depth, role: live}, calm: {topic: t/calm, equals: true, role: condition}}}
    flow:
      edges:
        - request -> collect
        - collect -> analyse, photo
        - depth -> collect.level
        - analyse, photo -> summarise
        - summarise -> critic
        - {from: critic, to: summarise, when: "answer == 'redo'"}
        - analyse.error -> alarm
      max_steps: 20
    agents:
      collect: {python: "m:collect", inputs: {in: text, level: number}}
      analyse: {flow: {edges: [in -> first -> second]}, agents: {first: {python: "m:first"}, second: {python: "m:second"}}}
      photo: {pool: {replicas: 3}, agents: {camera: {python: "m:photo"}}}
      summarise: {python: "m:summarise"}
      critic: {human: {ask: "Is ${value} good?", choices: [good, redo], notify: phone/ask, answers: "phone/+"}}
  council: {chat: {members: [saver, comfort]}, agents: {saver: {python: "m:saver"}, comfort: {python: "m:comfort"}}}
  route:
    switch: {cases: [{when: "kind == 'lamp'", to: lamp}], default: ask}
    agents: {lamp: {device: {writes: {set: {topic: z/lamp/set}}}, outputs: {out: any}}, ask: {human: {ask: "${kind}?"}}}
  reader:
    triggers:
      g:
        on: {s: {from: report.summary}, e: {from: report/photo.error}, w: {from: report/photo/camera-2}}
        need: any
        do: [{send: {to: route}}, {send: {to: council}}, {send: {to: report.request}}]
"""


@pytest.fixture
def house(drawn: Callable[[str], str]) -> str:
    return drawn(HOUSE)


@pytest.mark.parametrize(
    "edge",
    [
        "port_home_report_request --> agent_home_report_collect",
        "agent_home_report_collect --> port_home_report_analyse_in",
        "agent_home_report_collect --> agent_home_report_photo",
        'port_home_report_depth -->|"level"| agent_home_report_collect',
        "port_home_report_analyse_out --> agent_home_report_summarise",
        "agent_home_report_photo --> agent_home_report_summarise",
        "agent_home_report_summarise --> agent_home_report_critic",
        'agent_home_report_critic -.->|"answer #61;#61; #39;redo#39;"| agent_home_report_summarise',
        'agent_home_report_critic -->|"notify"| topic_phone_ask',
        'topic_phone__ -->|"answers"| agent_home_report_critic',
        'port_home_report_analyse_error -->|"error"| port_home_report_alarm',
        'agent_home_report_summarise -->|"out"| port_home_report_summary',
        "port_home_report_analyse_in --> agent_home_report_analyse_first",
        "agent_home_report_analyse_first --> agent_home_report_analyse_second",
        "agent_home_report_analyse_second --> port_home_report_analyse_out",
        'topic_t_depth -->|"depth"| port_home_report_depth',
        "clock_every_1h --> port_home_report_request",
        'topic_t_calm -->|"calm"| frame_home_report',
        "agent_home_report_photo --> agent_home_report_photo_camera_1",
        "agent_home_council <--> agent_home_council_saver",
        "agent_home_council <--> agent_home_council_comfort",
        'agent_home_route -->|"kind #61;#61; #39;lamp#39;"| agent_home_route_lamp',
        'agent_home_route -->|"default"| agent_home_route_ask',
        'port_home_report_summary -->|"summary"| agent_home_reader',
        'agent_home_report_photo -->|"error"| agent_home_reader',
        'agent_home_report_photo_camera_1 -->|"out"| agent_home_reader',
        'agent_home_reader -.->|"in"| agent_home_route',
        'agent_home_reader -.->|"in"| agent_home_council',
        'agent_home_reader -.->|"request"| port_home_report_request',
    ],
)
def test_what_is_joined_is_an_edge(house: str, edge: str):
    assert f"  {edge}\n" in house


@pytest.mark.parametrize(
    "line",
    [
        'subgraph frame_home_report["flow report"]',
        'subgraph frame_home_report_photo["pool photo"]',
        'agent_home_report_photo[\\"photo"/]:::agent',
        'agent_home_report_photo_camera_1{{"camera x3"}}:::agent',
        'agent_home_report_critic((("critic"))):::human',
        'subgraph frame_home_council["chat council"]',
        'agent_home_council[("council")]:::agent',
        'agent_home_route{"route"}:::agent',
        'port_home_report_request(["request"]):::port',
    ],
)
def test_each_kind_has_a_shape_of_its_own(house: str, line: str):
    assert f"  {line}\n" in house


def test_a_flow_is_its_frame_and_has_no_node_besides(house: str):
    assert "agent_home_report[" not in house
    assert not re.search(r"agent_home_report(_analyse)?\b(?!_)", house)


def test_a_frame_holds_its_members(house: str):
    inside = house.partition('subgraph frame_home_council["chat council"]')[2].partition("    end")[0]
    for node in ("agent_home_council[(", "agent_home_council_saver", "agent_home_council_comfort"):
        assert node in inside


def test_each_node_is_defined_once_and_each_edge_joins_defined_ones(house: str):
    defined = re.findall(r"^ +(\w+)[\[\(\{>].*:::", house, re.MULTILINE)
    frames = set(re.findall(r"subgraph (\w+)", house))
    joined = {end for pair in re.findall(r"^ +(\w+) <?-.*-?> ?(?:\|.*\| )?(\w+)$", house, re.MULTILINE) for end in pair}

    assert len(defined) == len(set(defined))
    assert joined <= set(defined) | frames
