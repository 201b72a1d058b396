"""What the live view shows, drawn into a text."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgematrix.agents.spec import DeviceSpec
from edgematrix.cli.about import about
from edgematrix.cli.screen import Picture, picture
from edgematrix.cli.tally import RUNS_MAX, TROUBLES_MAX, Tally
from edgematrix.config.spec import AgentSpec, MatrixSpec
from edgematrix.runtime.observation import (
    DeadLettered,
    Dropped,
    Fired,
    NotFired,
    Observation,
    Outcome,
    Published,
    Received,
    RunEnded,
    Stalled,
)
from edgematrix.triggers import Firing, Reading, Reason, Trace

AT_US = 1_767_225_600_000_000


def matrix(leaves: int = 1) -> MatrixSpec:
    device = AgentSpec(device=DeviceSpec())
    hall = AgentSpec(agents={"rule": device, **{f"lux{number}": device for number in range(leaves)}})
    return MatrixSpec(matrix="home", agents={"hall": hall, "helper": device})


def fired(path: str = "home/hall/rule", run: int = 1) -> Fired:
    reading = Reading(value=12, payload=12, topic="z/lux", time_us=AT_US)
    return Fired(AT_US, path, "dark", run, Firing("dark", None, {"lux": reading, "tick": Reading(), "not_there": None}))


def shown(
    tally: Tally, spec: MatrixSpec, *, height: int = 40, width: int = 120, link: str = "connected", before: dict[str, int] | None = None
) -> list[str]:
    heading = about(spec, "home.yaml")  # type: ignore[arg-type]
    heading.link = link
    heading.broker = "mqtt://127.0.0.1:1883"
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None, highlight=False)
    console.print(picture(Picture(tally, heading, 61_000_000, AT_US, before or {}, height)))
    return [line.rstrip() for line in out.getvalue().rstrip("\n").split("\n")]


def told(*observations: Observation, spec: MatrixSpec | None = None) -> tuple[Tally, MatrixSpec]:
    spec = spec or matrix()
    tally = Tally(spec)
    for observation in observations:
        tally(observation)
    return tally, spec


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if f" {name} " in line)


def test_the_tree_shows_each_agent_below_what_it_is_in():
    lines = shown(*told())

    assert [line[:14].rstrip() for line in lines[4:9]] == ["home", "├─ hall", "│  ├─ rule", "│  └─ lux0", "└─ helper"]
    assert "ready" in row(lines, "rule")
    assert lines[5].rstrip() == "├─ hall", "what does nothing itself has no state"


def test_a_value_is_shown_with_its_port_and_counted():
    tally, spec = told(*(Published(AT_US, "home/hall/lux0", "em/out/home/hall/lux0/level", value) for value in (11, 12)))

    assert row(shown(tally, spec), "lux0").split() == ["│", "└─", "lux0", "ready", "level", "12", "2"]


def test_a_run_shows_what_fired_it_and_what_it_put_out():
    tally, spec = told(
        fired(),
        Published(AT_US, "home/hall/rule", "em/in/home/hall/lamp/set", {"state": "ON"}),
        Published(AT_US, "home/hall/rule", "z/log", "x"),
        RunEnded(AT_US, "home/hall/rule", "dark", 1, Outcome.DONE),
        Published(AT_US, "home/hall/rule", "z/later", "not of the run"),
    )

    lines = shown(tally, spec)

    assert any('hall/rule dark  lux=12 tick  → hall/lamp.set {"state":"ON"}  → z/log "x"' in line for line in lines)
    assert not any("lux=12" in line and "z/later" in line for line in lines)


def test_firings_are_those_of_the_last_minute():
    tally, spec = told(*(fired(run=number) for number in range(5)))

    assert row(shown(tally, spec), "rule").split()[-1] == "5"
    assert row(shown(tally, spec, before={"home/hall/rule": 3}), "rule").split()[-1] == "2"


@pytest.mark.parametrize(
    ("observations", "state"),
    [
        ([], "ready"),
        ([fired()], "running"),
        ([fired(), RunEnded(AT_US, "home/hall/rule", "dark", 1, Outcome.DONE)], "ready"),
        ([fired(), RunEnded(AT_US, "home/hall/rule", "dark", 1, Outcome.FAILED, "no")], "failed"),
    ],
)
def test_the_state_of_an_agent(observations: list[Observation], state: str):
    assert state in row(shown(*told(*observations)), "rule").split()


def test_before_the_broker_is_there_agents_are_starting():
    lines = shown(*told(), link="disconnected: refused; trying again")

    assert "disconnected: refused" in lines[1]
    assert " starting" in shown(*told(), link="connecting")[6]


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (DeadLettered(AT_US, "home/hall/lux0", "z/lux", "malformed"), "hall/lux0 cannot handle z/lux: malformed"),
        (Dropped(AT_US, "home", "z/lux", "the queue is full"), "home gave up z/lux: the queue is full"),
        (Stalled(AT_US, "home/hall/rule", 700), "hall/rule kept the host from working for 700 ms"),
        (RunEnded(AT_US, "home/hall/rule", "dark", 1, Outcome.FAILED, "it broke"), "hall/rule dark failed: it broke"),
    ],
)
def test_trouble_is_told(trouble: Observation, words: str):
    assert any(words in line for line in shown(*told(trouble)))


def test_the_foot_counts():
    foot = shown(
        *told(
            Received(AT_US, "z/lux", 1, False),
            fired(),
            DeadLettered(AT_US, "home", "t", "r"),
            NotFired(AT_US, "home", Trace(Reason.OFF, "g")),
        )
    )[-1]

    assert foot.startswith("1 heard · 0 put out · 1 runs · 1 not fired · 1 dead letters · 0 dropped")


@given(
    leaves=st.integers(0, 60),
    height=st.integers(24, 70),
    runs=st.integers(0, 60),
    troubles=st.integers(0, 30),
    width=st.integers(60, 200),
)
def test_it_stays_within_the_terminal_whatever_happens(leaves: int, height: int, runs: int, troubles: int, width: int):
    tally, spec = told(
        *(fired(run=number) for number in range(runs)),
        *(DeadLettered(AT_US, "home", "z/lux", "x" * 300) for _ in range(troubles)),
        *(Published(AT_US + number, f"home/hall/lux{number}", "z/é\x1b[2J", "w" * 400) for number in range(leaves)),
        spec=matrix(leaves),
    )

    lines = shown(tally, spec, height=height, width=width)

    assert len(lines) < height, "one row is left for the cursor"
    assert all("\x1b" not in line for line in lines)
    assert len(tally.runs) <= RUNS_MAX
    assert len(tally.troubles) <= TROUBLES_MAX


def test_where_all_agents_do_not_fit_those_that_worked_last_are_shown():
    tally, spec = told(Published(AT_US, "home/hall/lux37", "z/a", 1), Published(AT_US, "home/helper", "z/b", 2), spec=matrix(60))

    lines = shown(tally, spec, height=24)

    assert any("lux37" in line for line in lines)
    assert any("helper" in line for line in lines)
    assert any("more, quiet now" in line for line in lines)


def test_a_board_stands_in_the_tree_and_shows_what_is_heard_of_it():
    spec = matrix()
    tally = Tally(spec, ["home/hall/board", "home/attic/board"])
    tally(Received(AT_US, "em/out/home/hall/board/temperature", 21.5, False))

    lines = shown(tally, spec)

    assert list(tally.agents)[3:] == ["home/hall/lux0", "home/hall/board", "home/helper", "home/attic", "home/attic/board"]
    assert "└─ attic" in [line.rstrip() for line in lines], "what holds only boards has no state"
    assert row(lines, "board").split() == ["│", "└─", "board", "heard", "temperature", "21.5", "1"]
