"""The code of two members of the chain: one that awaits, and one that looks at what others have joined."""

from __future__ import annotations

import asyncio
from typing import Any

import edgematrix as em


async def stamp(number: int, context: em.Context) -> dict[str, int]:
    """Let go of the event loop in the middle, so that a kill finds runs under way."""
    await asyncio.sleep(0)
    return {"number": number, "square": number * number}


async def check(inputs: dict[str, Any], context: em.Context) -> dict[str, int]:
    """Look that what was put together on the way is of one number, and that it is this run's."""
    number, paired = inputs["number"], inputs["paired"]
    if not number == paired["left"] == paired["right"]["number"]:
        raise ValueError(f"{number} was joined with {paired}")
    return {"number": number, "square": paired["right"]["square"]}
