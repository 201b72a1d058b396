"""The agents of review.yaml and desk.py: plain functions, typed."""

from typing import Any, Literal

from pydantic import BaseModel

import edgematrix as em

CELSIUS_MAX = {"pump-1": 70, "pump-2": 80, "compressor-in-the-cellar": 60}
RAN_HOT = {"pump-2": 3}
CHARACTERS_MAX = 40


class Incident(BaseModel):
    machine: str
    celsius: float


class Limit(BaseModel):
    celsius_max: float


class History(BaseModel):
    times: int


class Draft(BaseModel):
    text: str
    number: int


class Verdict(BaseModel):
    verdict: Literal["good", "redo"]
    text: str
    drafts: int


class Desk(BaseModel):
    """What the writer has before it; `critic` from the second draft on."""

    incident: Incident
    limits: Limit
    history: History
    critic: Verdict | None = None


class Turn(BaseModel):
    """What a member of the panel knows when it has the turn."""

    transcript: list[dict[str, Any]]
    turn: int


class Words(BaseModel):
    hours: int
    agreed: bool


async def limits(incident: Incident, ctx: em.Context) -> Limit:
    return Limit(celsius_max=CELSIUS_MAX[incident.machine])


async def history(incident: Incident, ctx: em.Context) -> History:
    return History(times=RAN_HOT.get(incident.machine, 0))


async def writer(desk: Desk, ctx: em.Context) -> Draft:
    over = desk.incident.celsius - desk.limits.celsius_max
    text = f"{desk.incident.machine} is {over:.0f} °C too hot"
    if desk.critic is None and desk.history.times:
        text += f", which has happened {desk.history.times} times before"
    for word in text.split(" "):
        await ctx.stream(f"{word} ")
    return Draft(text=text, number=1 if desk.critic is None else desk.critic.drafts + 1)


async def critic(draft: Draft, ctx: em.Context) -> Verdict:
    verdict: Literal["good", "redo"] = "redo" if len(draft.text) > CHARACTERS_MAX else "good"
    return Verdict(verdict=verdict, text=draft.text, drafts=draft.number)


async def careful(turn: Turn, ctx: em.Context) -> Words:
    return Words(hours=turn.turn, agreed=False)


async def thrifty(turn: Turn, ctx: em.Context) -> Words:
    said = turn.transcript[-1]["content"]["hours"]
    return Words(hours=said, agreed=said >= 3)
