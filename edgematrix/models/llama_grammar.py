"""Grammars of types, for llama.cpp: what is written under one parses as JSON, and is of the type as far as a grammar can say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import llama_cpp
from llama_cpp.llama_grammar import SchemaConverter

from edgematrix.models.number_range import grammar_of_range

__all__ = ["grammar_of"]

_HEX: Final = " ".join(["[0-9a-fA-F]"] * 4)
_STRICTER: Final = (
    (rf'[^"\\] | "\\" (["\\/bfnrt] | "u" {_HEX})', r'[^"\\\x7F\x00-\x1F] | "\\" ["\\/bfnrt]'),
    ("[eE] [-+]? integral-part", "[eE] [-+]? [0-9] [0-9]?"),
)
"""What llama.cpp's grammars for JSON allow and JSON does not: control characters in texts, halves of characters, numbers without bounds."""


class _Converter(SchemaConverter):  # type: ignore[misc]  # it has no types
    """llama-cpp-python's own, which knows no ranges of numbers."""

    def visit(self, schema: Mapping[str, Any], name: str) -> Any:
        rule = "" if "enum" in schema or "const" in schema else grammar_of_range(schema)
        if rule:
            return self._add_rule(name or "root", f"({rule}) space")
        return super().visit(schema, name)


def grammar_of(schema: Mapping[str, Any]) -> Any:
    """The grammar of a JSON Schema.

    Raises:
        ValueError: none can be made of it.
    """
    converter = _Converter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    try:
        converter.visit(converter.resolve_refs(json.loads(json.dumps(schema)), "type"), "")
        text = converter.format_grammar()
        for loose, strict in _STRICTER:
            text = text.replace(loose, strict)
        return llama_cpp.LlamaGrammar.from_string(text, verbose=False)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the type is to blame
        raise ValueError(f"no grammar can be made of the type of its answer: {error}") from None
