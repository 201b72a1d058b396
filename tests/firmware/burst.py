"""Code of a host that sends a board many commands."""

from __future__ import annotations

import edgematrix as em


async def burst(first: int, ctx: em.Context) -> None:
    """Send the numbers from `first` on, 500 of them."""
    for number in range(first, first + 500):
        await ctx.send("board.set", number)


async def bursts(count: int, ctx: em.Context) -> None:
    """Ask for so many bursts, one after the other."""
    for number in range(count):
        await ctx.send("burst.first", number * 500)
