"""The council of the study, from upstairs.yaml: how warm it should be there, by three who want different things."""

from typing import Any

from pydantic import BaseModel

import edgematrix as em

LAMP_LUX = 365  # more light than that, and somebody works there: right in 97 of 100 cases, says the paper in RECORDINGS.md
CHILLY_CELSIUS = 20
EMPTY_CELSIUS = 17
HEAT_A_DEGREE = 0.06  # what a degree less saves of a room's heat, as energy agencies reckon


class Room(BaseModel):
    """What the council is about."""

    celsius: float
    lux: float
    blows: bool | None = None

    @property
    def used(self) -> bool:
        """Whether somebody is there."""
        return self.lux > LAMP_LUX


class Words(BaseModel):
    """What a member says: how warm it should be, why, and whose turn it is."""

    celsius: float
    why: str
    to: str | None = None
    decision: float | None = None


class Turn(BaseModel):
    """What a member knows when it has the turn."""

    request: Room
    transcript: list[dict[str, Any]]
    you: str

    def last_of(self, member: str) -> Words | None:
        """What a member said last."""
        said = [entry["content"] for entry in self.transcript if entry["name"] == member]
        return Words.model_validate(said[-1]) if said else None


async def saver(turn: Turn, _: em.Context) -> Words:
    """No heat for nobody, little for the vent; asked again, a degree more, but not much beyond."""
    room, before = turn.request, turn.last_of("saver")
    if not room.used:
        return Words(celsius=EMPTY_CELSIUS, why="nobody is there", to="comfort")
    first, most = (18, 19) if room.blows else (20, 21)
    if before is not None:
        return Words(celsius=min(before.celsius + 1, most), why=f"not above {most} °C", to="chair")
    saved = (21 - first) * HEAT_A_DEGREE
    why = "the vent blows it out" if room.blows else "a jumper helps"
    return Words(celsius=first, why=f"{why}, and it saves {saved:.0%} of the heat", to="comfort")


async def comfort(turn: Turn, _: em.Context) -> Words:
    """Warm for whoever is there; asked again, a degree less, unless it is chilly."""
    room, before = turn.request, turn.last_of("comfort")
    if not room.used:
        return Words(celsius=EMPTY_CELSIUS, why="nobody feels it", to="chair")
    if before is not None and room.celsius >= CHILLY_CELSIUS:
        return Words(celsius=max(before.celsius - 1, 20), why=f"it has {room.celsius} °C", to="chair")
    return Words(celsius=21, why="somebody sits there" if before is None else f"it has {room.celsius} °C already", to="chair")


async def chair(turn: Turn, _: em.Context) -> Words:
    """Decide as soon as they are a degree apart, for whoever is there; else ask the one who has not given way, then the other."""
    saving, warm = turn.last_of("saver"), turn.last_of("comfort")
    if saving is None or warm is None:
        raise ValueError("the chair speaks before the others have spoken")
    apart = warm.celsius - saving.celsius
    if apart <= 1:
        return Words(celsius=warm.celsius, why=f"{warm.why}; {saving.why}", decision=warm.celsius)
    asked = [entry["content"]["to"] for entry in turn.transcript if entry["name"] == "chair"]
    to = "comfort" if asked[-1:] == ["saver"] else "saver"
    return Words(celsius=saving.celsius, why=f"you are {apart:.0f} degrees apart", to=to)
