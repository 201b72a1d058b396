"""JSON Schema of a matrix file, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from edgematrix.config.spec import MatrixSpec

__all__ = ["SCHEMA_ID", "json_schema"]

SCHEMA_ID = "urn:edgematrix:schema:matrix:1"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a matrix file, draft 2020-12, with the keys as they stand in the file."""
    return {"$schema": _DIALECT, "$id": SCHEMA_ID, **TypeAdapter(MatrixSpec).json_schema(by_alias=True)}
