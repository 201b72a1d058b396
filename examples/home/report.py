"""The report of the day, from report.yaml: three findings, a text made of them, and a critic of it."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

import edgematrix as em

EURO_A_KWH = 0.30
CHARACTERS_MAX = 200  # what home/phone takes
SENT_BACK_MAX = 3


class Day(BaseModel):
    """What the trigger group read. What the day had nothing of is not there."""

    kwh: float | None = None
    coldest: float | None = None
    warmest: float | None = None
    ppm: float | None = None
    opened: list[str] = []
    answers: list[str] = []
    trouble: list[str] = []


class Finding(BaseModel):
    """One part of the report, in full and in brief. No text is without `figures`."""

    full: str = ""
    brief: str = ""
    figures: list[str] = []


class Form(StrEnum):
    """How a draft was made."""

    FULL = "full"
    BRIEF = "brief"
    CUT = "cut"


class Draft(BaseModel):
    """A text, and which one it is."""

    text: str
    form: Form
    number: int = 1


class Verdict(BaseModel):
    """What the critic says of a draft. `unfit` is one that was sent back often enough; then `missing` and `too_long_by` say why."""

    verdict: Literal["good", "redo", "unfit"]
    text: str
    form: Form
    drafts: int
    too_long_by: int = Field(ge=0)
    missing: list[str]


class Findings(BaseModel):
    """What the three have found."""

    energy: Finding
    climate: Finding
    security: Finding

    def all(self) -> list[Finding]:
        """As they stand in the report."""
        return [finding for finding in (self.energy, self.climate, self.security) if finding.full]


class Desk(Findings):
    """What the writer has before it: `critic` from the second draft on."""

    critic: Verdict | None = None


class Proof(Findings):
    """What the critic has before it."""

    writer: Draft


async def energy(day: Day, _: em.Context) -> Finding:
    """What washing has used, and what that costs."""
    if day.kwh is None:
        return Finding()
    used = f"{day.kwh:.2f} kWh"
    return Finding(full=f"Washing took {used}, that is {day.kwh * EURO_A_KWH:.2f} €.", brief=f"Washing {used}.", figures=[used])


async def climate(day: Day, _: em.Context) -> Finding:
    """How warm it was in the living room, and how stuffy in the study."""
    full, brief, figures = [], [], []
    if day.coldest is not None and day.warmest is not None:
        span = [f"{day.coldest:.1f}", f"{day.warmest:.1f} °C"]
        full.append(f"The living room had {span[0]} to {span[1]}.")
        brief.append(f"Living room {span[0]}-{span[1]}.")
        figures += span
    if day.ppm is not None:
        most = f"{day.ppm:.0f} ppm"
        full.append(f"In the study the air had up to {most} of CO2.")
        brief.append(f"Study {most}.")
        figures.append(most)
    return Finding(full=" ".join(full), brief=" ".join(brief), figures=figures)


async def security(day: Day, _: em.Context) -> Finding:
    """What was opened, who was let in, and what does not work as it should."""
    full, brief, figures = [], [], []
    for room in dict.fromkeys(day.opened):
        times = f"{day.opened.count(room)}x"
        full.append(f"The window of the {room} was opened {times}.")
        brief.append(f"Window {times}.")
        figures.append(times)
    if day.answers:
        granted = f"{day.answers.count('yes')} of {len(day.answers)}"
        full.append(f"At the front door {granted} were let in.")
        brief.append(f"Door {granted}.")
        figures.append(granted)
    if day.trouble:
        named = ", ".join(day.trouble)
        full.append(f"Look after: {named}.")
        brief.append(f"See to {named}.")
        figures += day.trouble
    return Finding(full=" ".join(full) or "All was quiet.", brief=" ".join(brief) or "Quiet.", figures=figures)


async def writer(desk: Desk, _: em.Context) -> Draft:
    """Write it in full; if that is too long in brief; if that is too long, leave out what does not fit."""
    said = desk.critic
    if said is None:
        return Draft(text=" ".join(finding.full for finding in desk.all()), form=Form.FULL)
    text = " ".join(finding.brief for finding in desk.all())
    if said.form is not Form.BRIEF:
        return Draft(text=text, form=Form.BRIEF, number=said.drafts + 1)
    return Draft(text=f"{text[: CHARACTERS_MAX - 1]}…", form=Form.CUT, number=said.drafts + 1)


async def critic(proof: Proof, _: em.Context) -> Verdict:
    """Judge a draft by what was found, and not by what the writer says of it."""
    draft = proof.writer
    too_long_by = max(0, len(draft.text) - CHARACTERS_MAX)
    missing = [figure for finding in proof.all() for figure in finding.figures if figure not in draft.text]
    verdict: Literal["good", "redo", "unfit"] = "good"
    if too_long_by or missing:
        verdict = "redo" if draft.number <= SENT_BACK_MAX else "unfit"
    return Verdict(verdict=verdict, text=draft.text, form=draft.form, drafts=draft.number, too_long_by=too_long_by, missing=missing)
