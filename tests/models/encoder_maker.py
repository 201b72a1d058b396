"""Small encoders of texts in ONNX, and tokenizers, that do what a test wants; and one made of wordllama's vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from edgematrix.models.near_model import find_near

WORDS = ("[UNK]", "a", "turn", "on", "off", "kitchen", "light", "lamp", "start", "vacuum", "heating", "20")


def encoder(
    file: Path,
    matrix: Any = None,
    *,
    pooled: bool = False,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    kind: int = TensorProto.INT64,
    shape: Sequence[int | str] = ("texts", "tokens"),
    positions: int = 0,
    outputs: Sequence[str] = ("last_hidden_state",),
) -> Path:
    """Each token's own vector, and where there are `positions` nothing for more tokens than these; `pooled` to their mean by the mask."""
    if matrix is None:
        matrix = np.random.default_rng(1).normal(0, 1, (len(WORDS), 16)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["matrix", inputs[0]], ["found"]),
        helper.make_node("Cast", ["found"], ["tokens" if positions else "all"], to=TensorProto.FLOAT),
    ]
    constants = [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(np.array([1], np.int64), "one")]
    if positions:
        constants.append(numpy_helper.from_array(np.zeros((1, positions, matrix.shape[1]), np.float32), "places"))
        constants.append(numpy_helper.from_array(np.array([0], np.int64), "zero"))
        nodes += [
            helper.make_node("Shape", [inputs[0]], ["sizes"]),
            helper.make_node("Gather", ["sizes", "one"], ["length"]),
            helper.make_node("Slice", ["places", "zero", "length", "one"], ["there"]),
            helper.make_node("Add", ["tokens", "there"], ["all"]),
        ]
    constants.append(numpy_helper.from_array(np.array([2], np.int64), "two"))
    nodes += [
        helper.make_node("Cast", [inputs[1] if len(inputs) > 1 else inputs[0]], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "two"], ["weights"]),
        helper.make_node("Mul", ["all", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "one"], ["sums"], keepdims=0),
        helper.make_node("ReduceSum", ["weights", "one"], ["counts"], keepdims=0),
        helper.make_node("Div", ["sums", "counts"], ["mean"]),
        helper.make_node("Identity", ["mean" if pooled else "all"], [outputs[0]]),
        *[helper.make_node("Identity", ["mean"], [name]) for name in outputs[1:]],
    ]
    given = [helper.make_tensor_value_info(name, kind, shape) for name in inputs]
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "encoder", given, told, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file


def tokenizer(file: Path, words: Sequence[str] = WORDS, *, cut: int = 0) -> Path:
    """A word is a token."""
    said: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {word: number for number, word in enumerate(words)}, "unk_token": words[0]},
    }
    if cut:
        said["truncation"] = {"direction": "Right", "max_length": cut, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(said))
    return file


def of_wordllama(folder: Path) -> tuple[Path, Path]:
    """Two encoders whose vector of a text is the mean of wordllama's token vectors, the first pools; their tokenizer lies beside them."""
    weights, vocabulary, _ = find_near("wordllama", Path())
    content = weights.read_bytes()
    size = int.from_bytes(content[:8], "little")
    ((_, entry),) = [pair for pair in json.loads(content[8 : 8 + size]).items() if pair[0] != "__metadata__"]
    matrix = np.frombuffer(content, {"F16": np.float16, "F32": np.float32}[entry["dtype"]], offset=8 + size).reshape(entry["shape"])
    cutter = Tokenizer.from_file(str(vocabulary))
    said = json.loads(cutter.to_str())
    (folder / "tokenizer.json").write_text(json.dumps(said | {"post_processor": None, "truncation": None, "padding": None}))
    return encoder(folder / "pooled.onnx", matrix, pooled=True), encoder(folder / "words.onnx", matrix)
