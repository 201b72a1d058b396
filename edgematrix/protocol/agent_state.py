"""What is retained on an agent's `state`, whoever speaks for it: its host, a bridge, a board's own program."""

from __future__ import annotations

from typing import Final

__all__ = ["agent_state"]

_VERSION: Final = 1


def agent_state(status: str, host: str, session: str, since: str | None, revision: int = 0) -> dict[str, object]:
    """What every state has; who speaks may add more.

    Args:
        status: `ready`, `offline` …: those of docs/spec/topics.md.
        host: who runs the agent, by name or client id.
        session: an id of that one's life; another session is another life.
        since: since when, RFC 3339; None in a will, of which nobody knows beforehand when it is published.
        revision: of the definition that it runs; 0 where there is none.
    """
    return {"v": _VERSION, "status": status, "host": host, "session": session, "since": since, "revision": revision}
