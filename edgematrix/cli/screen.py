"""What the live view shows, as rich renderables: a picture of a tally at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgematrix.cli.about import About
from edgematrix.cli.console import plain
from edgematrix.cli.display import clock_time, value_text
from edgematrix.cli.log_line import readings
from edgematrix.cli.tally import AgentRow, RunRow, Tally, Trouble
from edgematrix.protocol.duration import SECOND_US, format_duration
from edgematrix.protocol.path import AgentPath, parent_of
from edgematrix.protocol.topic import Kind
from edgematrix.runtime.observation import DeadLettered, Dropped, Published, RunEnded

__all__ = ["Picture", "picture", "target"]

_RUN_ROWS_MIN = 3
_RUN_ROWS_MAX = 10
_TROUBLE_ROWS = 3
_FIXED_ROWS = 9
"""Rows of the screen that are no agent, run or trouble: heading 2, titles 2, blank lines 3, foot, and one for the cursor."""
_VALUE_WIDTH = 60


@dataclass(slots=True)
class Picture:
    """One moment. `now_us` is the host's time, `fired_before` are the counts of firings a minute ago, by path."""

    tally: Tally
    about: About
    uptime_us: int
    now_us: int
    fired_before: dict[str, int]
    height: int


def picture(now: Picture) -> RenderableType:
    """The whole screen, at most `height` rows."""
    runs = now.tally.runs.copy()
    troubles = list(now.tally.troubles.copy())[-_TROUBLE_ROWS:]
    room = max(_RUN_ROWS_MIN + 2, now.height - _FIXED_ROWS - len(now.about.companions) - (len(troubles) + 1 if troubles else 0))
    agents = list(now.tally.agents.values())
    run_rows = min(_RUN_ROWS_MAX, max(_RUN_ROWS_MIN, room - len(agents)))
    rows = room - run_rows
    shown = agents if len(agents) <= rows else _chosen(agents, rows - 1)
    parts: list[RenderableType] = [_heading(now), Text(), _agents(now, shown, len(agents)), Text(), _runs(now, list(runs)[-run_rows:])]
    if troubles:
        parts += [Text(), *(_trouble(now, trouble) for trouble in troubles)]
    return Group(*parts, Text(), _foot(now))


def target(topic: str, about: About) -> str:
    """Where a publication went, in few words: a port of one's own, `→ agent.port`, `→ topic`."""
    kind, _, rest = topic.removeprefix(f"{about.root}/").partition("/")
    if not topic.startswith(f"{about.root}/") or kind not in (Kind.IN, Kind.OUT):
        return f"→ {plain(topic)}"
    path, _, port = rest.rpartition("/")
    return port if kind == Kind.OUT else f"→ {_short(path, about)}.{port}"


def _heading(now: Picture) -> Text:
    about = now.about
    linked = about.is_linked
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("edgematrix ", "dim").append(about.matrix, "bold").append(f"  {plain(about.file)}", "dim")
    text.append(f"  up {format_duration(now.uptime_us // SECOND_US * SECOND_US)}", "dim")
    if about.plays:
        text.append("  ").append(datetime.fromtimestamp(now.now_us / SECOND_US, about.zone).strftime("%a %Y-%m-%d %H:%M"), "cyan")
    text.append("\n")
    text.append("● ", "green" if linked else "red").append(plain(about.broker)).append(f"  {plain(about.link)}", "dim" if linked else "red")
    for companion in about.companions:
        text.append("\n▶ ", "cyan").append(plain(companion))
    return text


def _agents(now: Picture, shown: list[AgentRow], total: int) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("agent", no_wrap=True, min_width=16)
    table.add_column("state", no_wrap=True, width=8)
    table.add_column("last value", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("out", no_wrap=True, justify="right", min_width=6)
    table.add_column("fires/min", no_wrap=True, justify="right")
    for row, prefix in zip(shown, _branches([row.path for row in shown]), strict=True):
        name = row.path.rpartition("/")[2]
        if row.path in now.about.composites or row.path in now.tally.frames:
            table.add_row(Text(prefix + name, "dim"))
            continue
        recent = row.fired_count - now.fired_before.get(row.path, 0)
        rate = str(recent) if recent else "·" if row.fired_count else ""
        branch = Text(prefix, "dim").append(name, "not dim bold" if row.open_runs else "not dim")
        table.add_row(branch, _state(row, now), _last(row.last, now), f"{row.published_count:,}" if row.published_count else "", rate)
    if len(shown) < total:
        table.add_row(Text(f"… {total - len(shown)} more, quiet now", "dim"))
    return table


def _state(row: AgentRow, now: Picture) -> Text:
    if now.about.link == "connecting":
        return Text("starting", "yellow")
    if row.failed:
        return Text("failed", "red")
    if row.path in now.tally.elsewhere:
        return Text("heard" if row.published_count else "silent", "magenta" if row.published_count else "dim")
    return Text("running", "cyan") if row.open_runs else Text("ready", "green")


def _last(seen: Published | None, now: Picture) -> Text:
    if seen is None:
        return Text()
    return Text(target(seen.topic, now.about) + " ", "dim").append(value_text(seen.value, _VALUE_WIDTH), "not dim")


def _runs(now: Picture, runs: list[RunRow]) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("last runs", no_wrap=True, width=12)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for run in reversed(runs):
        fired = run.fired
        what = Text(readings(fired.firing, _VALUE_WIDTH))
        for effect in run.effects:
            where = target(effect.topic, now.about)
            what.append("  ").append(where if where.startswith("→") else f"→ {where}", "cyan").append(
                f" {value_text(effect.value, _VALUE_WIDTH)}"
            )
        if run.effect_count > len(run.effects):
            what.append(f"  and {run.effect_count - len(run.effects)} more", "dim")
        if run.outcome not in (None, "done"):
            what.append(f"  {run.outcome}", "red" if run.outcome == "failed" else "yellow")
        table.add_row(
            Text(clock_time(fired.at_us, now.about.zone), "dim"), Text(_short(fired.path, now.about)).append(f" {fired.group}", "dim"), what
        )
    if not runs:
        table.add_row(Text("none yet", "dim"))
    return table


def _trouble(now: Picture, trouble: Trouble) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis").append(f"{clock_time(trouble.at_us, now.about.zone)}  ", "dim")
    text.append(f"{_short(trouble.path, now.about)} ", "yellow")
    if isinstance(trouble, DeadLettered):
        return text.append(plain(f"cannot handle {trouble.topic}: {trouble.reason}"))
    if isinstance(trouble, Dropped):
        return text.append(plain(f"gave up {trouble.topic}: {trouble.reason}"))
    if isinstance(trouble, RunEnded):
        return text.append(plain(f"{trouble.group} {trouble.outcome}: {trouble.reason}"))
    return text.append(f"kept the host from working for {trouble.stall_ms} ms")


def _foot(now: Picture) -> Text:
    counts = now.tally.counts
    text = Text(no_wrap=True, overflow="ellipsis", style="dim")
    text.append(f"{counts['Received']:,} heard · {counts['Published']:,} put out · {counts['Fired']:,} runs · ")
    text.append(f"{counts['NotFired']:,} not fired · ")
    for name, words in (("DeadLettered", "dead letters"), ("Dropped", "dropped")):
        text.append(f"{counts[name]:,} {words}", "red" if counts[name] else "").append(" · ")
    return text.append("Ctrl-C ends it")


def _chosen(agents: list[AgentRow], rows: int) -> list[AgentRow]:
    """As many agents as there are rows: those that worked last, with what they are in, in the order of the tree."""
    by_path = {row.path: row for row in agents}
    kept = {agents[0].path}
    for row in sorted(agents, key=lambda row: row.last.at_us if row.last else 0, reverse=True):
        line: list[str] = []
        path: AgentPath | None = AgentPath(row.path)
        while path is not None and path not in kept:
            line.append(path)
            path = parent_of(path)
        if len(kept) + len(line) <= rows:
            kept.update(line)
    return [row for row in by_path.values() if row.path in kept]


def _branches(paths: list[str]) -> list[str]:
    """The lines of the tree before each name; `paths` is in the order of the tree."""
    base = paths[0].count("/") if paths else 0
    drawn: list[str] = []
    open_levels: set[int] = set()
    for path in reversed(paths):
        depth = path.count("/") - base
        stem = "".join("│  " if level in open_levels else "   " for level in range(1, depth))
        drawn.append(stem + ("" if depth == 0 else "├─ " if depth in open_levels else "└─ "))
        open_levels = {level for level in open_levels if level < depth} | {depth}
    return drawn[::-1]


def _short(path: str, about: About) -> str:
    return path.removeprefix(about.matrix + "/")
