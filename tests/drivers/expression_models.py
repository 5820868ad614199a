"""A tiny expression network for tests: repeatable answers that change with the picture, right about nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tiny_model(path: Path, outputs: int = 7, *, batch: str | int = "n", channels_last: bool = False) -> Path:
    """Write an ONNX file: softmax of a fixed random linear map of the 64 x 64 grey picture."""
    weights = np.random.default_rng(7).normal(0, 0.03, (4096, outputs)).astype(np.float32)
    shape = [batch, 64, 64, 1] if channels_last else [batch, 1, 64, 64]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["grey"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["shares"], axis=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("shares", TensorProto.FLOAT, [batch, outputs])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path
