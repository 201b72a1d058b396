"""Orders of operators, as events."""

from typing import Any


def order(data: object = None, source: str = "/home", **more: Any) -> dict[str, object]:
    """What an operator publishes; it waits for an answer unless `data` says nothing of a session."""
    return {"specversion": "1.0", "id": "1", "source": source, "type": "em.op", "data": data or {}, **more}


def asked(verb: str, path: str, /, user: str = "me", **data: object) -> tuple[str, dict[str, object]]:
    """Topic and event of an order with a session."""
    named = {key.rstrip("_"): value for key, value in data.items()}
    return f"em/op/{user}/{verb}/{path}", order({"session": "s1", **named})
