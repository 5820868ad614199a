"""An ONNX file under onnxruntime, within its threads, with sentences for what can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.workers import BadInput, NotNow

REASON: Final = "inference_error"
"""How a failed run's reason begins, in the words that readers of `retry_topic` know."""
_KINDS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class Network:
    """A loaded model with one input. For one thread; `shape` has None where the model takes any size."""

    def __init__(self, path: str, threads: int) -> None:
        """Load it. Raises NotNow when there is no file, BadInput when it is no model or one of another kind."""
        import onnxruntime  # heavy: only who looks through a model needs it

        if not Path(path).is_file():
            raise NotNow(f"{REASON}: the model file {path} is not there")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        try:
            session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as refused:  # its errors have no common parent but this one
            raise BadInput(f"{REASON}: {path} cannot be loaded as an ONNX model: {_first_line(refused)}") from refused
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _KINDS:
            told = ", ".join(f"{one.name} {one.type}" for one in inputs)
            raise BadInput(f"{REASON}: {path} takes {told or 'nothing'}; it has to take one picture, float or uint8")
        self._session, self._name, self.path = session, inputs[0].name, path
        self.kind = _KINDS[inputs[0].type]
        self.shape: list[int | None] = [side if isinstance(side, int) else None for side in inputs[0].shape]
        self.outputs: list[str] = [one.name for one in session.get_outputs()]
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def __call__(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """All outputs. Raises BadInput when the model cannot work with it."""
        try:
            return [np.asarray(one) for one in self._session.run(None, {self._name: values})]
        except Exception as failed:  # its errors have no common parent but this one
            raise BadInput(f"{REASON}: {self.path}: {_first_line(failed)}") from failed


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
