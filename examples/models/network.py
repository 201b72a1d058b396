"""A small network, trained with numpy alone, and written as ONNX: what both scripts here share.

The features of a window are computed inside the model, so that whoever runs it gives the window as it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def features(windows: np.ndarray) -> np.ndarray:
    """Of each window `(n, rows, inputs)`: mean, deviation, least, greatest, and the mean and the greatest change from row to row."""
    change = np.abs(np.diff(windows, axis=1))
    mean = windows.mean(axis=1)
    deviation = np.sqrt(((windows - mean[:, None]) ** 2).mean(axis=1))
    parts = [mean, deviation, windows.min(axis=1), windows.max(axis=1), change.mean(axis=1), change.max(axis=1)]
    return np.concatenate(parts, axis=1).astype(np.float32)


@dataclass
class Network:
    """Layers of weights with a bias each, rectified but for the last; before them features are brought to one scale."""

    mean: np.ndarray
    deviation: np.ndarray
    weights: list[np.ndarray] = field(default_factory=list)
    biases: list[np.ndarray] = field(default_factory=list)

    def forward(self, values: np.ndarray) -> list[np.ndarray]:
        """What each layer puts out; the last are logits."""
        values = (values - self.mean) / self.deviation
        found = [values]
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight + bias
            if place < len(self.weights) - 1:
                values = np.maximum(values, 0)
            found.append(values)
        return found


def train(
    values: np.ndarray, labels: np.ndarray, hidden: tuple[int, ...], *, seed: int, epochs: int, decay: float = 1e-3, dropout: float = 0.2
) -> Network:
    """Adam on the cross entropy, classes weighted alike.

    The scale of the features stays apart from the first layer: features of 0.01 and of 1,000 in one product would leave int8 nothing of the
    small ones.
    """
    random = np.random.default_rng(seed)
    mean, deviation = values.mean(0), values.std(0) + 1e-6
    scaled = (values - mean) / deviation
    classes = int(labels.max()) + 1
    sizes = (values.shape[1], *hidden, classes)
    network = Network(
        mean,
        deviation,
        [random.normal(0, np.sqrt(2 / a), (a, b)) for a, b in pairwise(sizes)],
        [np.zeros(b) for b in sizes[1:]],
    )
    share = 1 / np.bincount(labels, minlength=classes)
    weight_of = share[labels] / share[labels].mean()
    parameters = [*network.weights, *network.biases]
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    step = 0
    for epoch in range(epochs):
        rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        order = random.permutation(len(labels))
        for batch in np.array_split(order, max(1, len(order) // 64)):
            step += 1
            gradients = _gradients(network, scaled[batch], labels[batch], weight_of[batch], random, dropout)
            for place, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                first[place] += 0.1 * (gradient - first[place])
                second[place] += 0.001 * (gradient**2 - second[place])
                change = first[place] / (1 - 0.9**step) / (np.sqrt(second[place] / (1 - 0.999**step)) + 1e-8)
                if place < len(network.weights):
                    change = change + decay * parameter * 10
                parameter[...] = parameter - rate * change
    return network


def _gradients(
    network: Network, values: np.ndarray, labels: np.ndarray, weight: np.ndarray, random: np.random.Generator, dropout: float
) -> list[np.ndarray]:
    layers, masks = [values], []
    for place, (matrix, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        values = values @ matrix + bias
        if place < len(network.weights) - 1:
            mask = (values > 0) * (random.random(values.shape) > dropout) / (1 - dropout)
            masks.append(mask)
            values = values * mask
        layers.append(values)
    likely = softmax(values)
    likely[np.arange(len(labels)), labels] -= 1
    back = likely * weight[:, None] / len(labels)
    of_weights, of_biases = [], []
    for place in reversed(range(len(network.weights))):
        of_weights.append(layers[place].T @ back)
        of_biases.append(back.sum(0))
        if place:
            back = (back @ network.weights[place].T) * masks[place - 1]
    return [*reversed(of_weights), *reversed(of_biases)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of each row."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def write(network: Network, rows: int, inputs: int, name: str) -> onnx.ModelProto:
    """The features and the network as ONNX: `window` (1, rows, inputs) in, `probabilities` and `embedding` out."""
    nodes = [
        helper.make_node("ReduceMean", ["window"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["window", "mean"], ["around"]),
        helper.make_node("Mul", ["around", "around"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[1], keepdims=1),
        helper.make_node("Sqrt", ["variance"], ["deviation"]),
        helper.make_node("ReduceMin", ["window"], ["least"], axes=[1], keepdims=1),
        helper.make_node("ReduceMax", ["window"], ["greatest"], axes=[1], keepdims=1),
        helper.make_node("Slice", ["window", "one", "end", "axis"], ["later"]),
        helper.make_node("Slice", ["window", "zero", "before_last", "axis"], ["earlier"]),
        helper.make_node("Sub", ["later", "earlier"], ["signed_change"]),
        helper.make_node("Abs", ["signed_change"], ["change"]),
        helper.make_node("ReduceMean", ["change"], ["change_mean"], axes=[1], keepdims=1),
        helper.make_node("ReduceMax", ["change"], ["change_max"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["mean", "deviation", "least", "greatest", "change_mean", "change_max"], ["parts"], axis=2),
        helper.make_node("Squeeze", ["parts", "axis"], ["features"]),
        helper.make_node("Sub", ["features", "features_mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "features_scale"], ["layer_0"]),
    ]
    constants = {"zero": [0], "one": [1], "end": [rows], "before_last": [rows - 1], "axis": [1]}
    weights = [numpy_helper.from_array(np.array(value, np.int64), key) for key, value in constants.items()]
    weights.append(numpy_helper.from_array(network.mean.astype(np.float32), "features_mean"))
    weights.append(numpy_helper.from_array((1 / network.deviation).astype(np.float32), "features_scale"))
    last = len(network.weights) - 1
    for place, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        weights.append(numpy_helper.from_array(weight.astype(np.float32), f"weight_{place}"))
        weights.append(numpy_helper.from_array(bias.astype(np.float32), f"bias_{place}"))
        nodes.append(helper.make_node("MatMul", [f"layer_{place}", f"weight_{place}"], [f"product_{place}"]))
        out = "logits" if place == last else f"sum_{place}"
        nodes.append(helper.make_node("Add", [f"product_{place}", f"bias_{place}"], [out]))
        if place < last:
            rectified = "embedding" if place == last - 1 else f"layer_{place + 1}"
            nodes.append(helper.make_node("Relu", [out], [rectified]))
            if place == last - 1:
                nodes.append(helper.make_node("Identity", [rectified], [f"layer_{place + 1}"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, rows, inputs])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, network.biases[-1].size]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, network.biases[-2].size]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgematrix")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model
