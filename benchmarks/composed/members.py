"""Agents of the measured compositions: each takes a typed value and gives one."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from edgematrix import Context

_HOUR_S = 3600.0


class Item(BaseModel):
    """What is handed on."""

    number: int
    note: str = ""


class Turn(BaseModel):
    """What a chat gives a member."""

    turn: int


async def step(item: Item, context: Context) -> Item:  # noqa: ARG001 - the signature of all agents
    """Count one on."""
    return Item(number=item.number + 1)


async def join(items: dict[str, Item], context: Context) -> Item:  # noqa: ARG001 - the signature of all agents
    """Add what has come."""
    return Item(number=sum(item.number for item in items.values()))


async def again(items: dict[str, Item], context: Context) -> Item:  # noqa: ARG001 - the signature of all agents
    """Count one on from the newest."""
    return Item(number=max(item.number for item in items.values()) + 1)


async def speak(turn: Turn, context: Context) -> str:  # noqa: ARG001 - the signature of all agents
    """Say something."""
    return f"turn {turn.turn}"


async def wait(item: Item, context: Context) -> Item:  # noqa: ARG001 - the signature of all agents
    """Never give anything back."""
    await asyncio.sleep(_HOUR_S)
    return item
