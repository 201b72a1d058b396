"""The code of two members of the chain: one that awaits, and one that begins once both of its inputs of a run have come."""

from __future__ import annotations

import asyncio
from typing import Any

import edgematrix as em


async def stamp(number: int, context: em.Context) -> dict[str, int]:
    """Let go of the event loop in the middle, so that a kill finds runs under way."""
    await asyncio.sleep(0)
    return {"number": number, "square": number * number}


async def pair(inputs: dict[str, Any], context: em.Context) -> dict[str, int]:
    """Put together what two ways have brought; a run that mixed two numbers fails loudly."""
    left, right = inputs["left"], inputs["right"]
    if left != right["number"]:
        raise ValueError(f"{left} was joined with {right}")
    return right
