"""Makes an ONNX file of the data-efficient video transformer (DeVTr) from a user's weight file.

`python -m streams.vision.export_devtr WEIGHTS OUT.onnx --positions TABLE`, where torch is installed (`pip install
torch`); nothing else of this package needs torch.

The network: per frame VGG19 with batch normalisation and 512 outputs, ReLU; times sqrt(512), plus a table of positions;
four encoder layers (512, 8 heads, GELU); 40 x 512 flattened -> 1024 -> 1, a logit. Its attention runs over the batch
axis, so with a batch of one, which is what is exported, frames do not mix before the end. What a weight file cannot
tell (the table of positions where it holds none, the activation between the last two layers) has to be said;
`--original` compares with the authors' own module and writes nothing that disagrees.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.vision.boxes import Numbers

NO_TORCH: Final = "This needs torch, which is not installed: pip install torch (its CPU build is enough)."
OPSET: Final = 17
AGREEMENT: Final = 1e-3
POSITIONS: Final = ("vaswani", "doubled")
ACTIVATIONS: Final = ("relu", "gelu", "none")
_KERNEL: Final = 7


@dataclass(frozen=True, slots=True)
class Shape:
    """The network's sizes; only tests have others. `plan`: widths of the convolutions, 0 is a pooling."""

    frames: int = 40
    side: int = 200
    width: int = 512
    heads: int = 8
    layers: int = 4
    feed: int = 2048
    hidden: int = 4096
    dense: int = 1024
    plan: tuple[int, ...] = (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0)


DEVTR: Final = Shape()


class Unfit(Exception):
    """Weights, a table or an environment that cannot be used; the text says why."""


def positions(kind: str, shape: Shape = DEVTR) -> Numbers:
    """A table of positions, frames x width. Raises Unfit.

    `vaswani` as in "Attention is all you need", `doubled` with the exponents of a widespread tutorial (twice as large,
    and another one for the cosine), or the path of a .npy file.
    """
    if kind not in POSITIONS:
        try:
            table = np.asarray(np.load(kind, allow_pickle=False), np.float32)
        except (OSError, ValueError) as refused:
            raise Unfit(f"--positions is {' or '.join(POSITIONS)} or a .npy file, not {kind}: {refused}") from refused
        return _rows(table, shape)
    even = np.arange(0, shape.width, 2)
    sine, cosine = (even, even) if kind == "vaswani" else (2 * even, 2 * (even + 1))
    table = np.empty((shape.frames, shape.width))
    place = np.arange(shape.frames)[:, None]
    table[:, 0::2] = np.sin(place / 10_000 ** (sine / shape.width))
    table[:, 1::2] = np.cos(place / 10_000 ** (cosine / shape.width))
    return np.asarray(table, np.float32)


def pooling(before: int, after: int = _KERNEL) -> Numbers:
    """The matrix (after x before) that averages as adaptive pooling does; exporters cannot say 6 -> 7 themselves."""
    matrix = np.zeros((after, before), np.float32)
    for row in range(after):
        low, high = row * before // after, -(-(row + 1) * before // after)
        matrix[row, low:high] = 1 / (high - low)
    return matrix


def build(table: Numbers, activation: str = "relu", shape: Shape = DEVTR) -> Any:
    """The network with weights by chance, ready to look at [1, frames, 3, side, side]."""
    torch = torch_module()
    nn = torch.nn

    after = shape.side // 2 ** shape.plan.count(0)

    class DeVTr(nn.Module):
        """Names as they end in weight files."""

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(*_convolutions(nn, shape.plan))
            last = next(width for width in reversed(shape.plan) if width)
            self.pre_logits = nn.ModuleDict(
                {"fc1": nn.Conv2d(last, shape.hidden, _KERNEL), "fc2": nn.Conv2d(shape.hidden, shape.hidden, 1)}
            )
            self.head = nn.ModuleDict({"fc": nn.Linear(shape.hidden, shape.width)})
            layer = nn.TransformerEncoderLayer(shape.width, shape.heads, shape.feed, activation="gelu")
            self.layers = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False).layers
            self.dense = nn.ModuleList([nn.Linear(shape.frames * shape.width, shape.dense), nn.Linear(shape.dense, 1)])
            self.register_buffer("positions", torch.from_numpy(table), persistent=False)
            self.register_buffer("pooling", torch.from_numpy(pooling(after)), persistent=False)

        def forward(self, clip: Any) -> Any:
            seen = self.features(clip[0])
            if after < _KERNEL:
                seen = self.pooling @ seen @ self.pooling.T
            seen = self.pre_logits["fc1"](seen).relu()
            seen = self.pre_logits["fc2"](seen).relu().mean((2, 3))
            frames = self.head["fc"](seen).relu() * math.sqrt(shape.width) + self.positions
            frames = frames[None]
            for layer in self.layers:
                frames = layer(frames)
            hidden = self.dense[0](frames.flatten(1))
            return self.dense[1](_activated(torch, hidden, activation))

    return DeVTr().eval()


def matched(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The file's tensors under our names, and the names in the file that were not needed.

    Ours are the ends of theirs, but for the last two layers, which are known by their shapes.

    Raises:
        Unfit: a tensor is missing, of another shape, or there are two.
    """
    found: dict[str, Any] = {}
    used: set[str] = set()
    for name, tensor in wanted.items():
        shape = tuple(tensor.shape)
        if name.startswith("dense."):
            weight = tuple(wanted[name.rpartition(".")[0] + ".weight"].shape)
            names = [
                one.rpartition(".")[0] + "." + name.rpartition(".")[2]
                for one, value in there.items()
                if one.endswith(".weight") and tuple(value.shape) == weight
            ]
        else:
            names = [one for one in there if one == name or one.endswith("." + name)]
        if len(names) != 1 or names[0] not in there:
            raise Unfit(f"The weights hold {'no' if not names else 'more than one'} {name} {list(shape)}: {names[:5]}")
        if tuple(there[names[0]].shape) != shape:
            raise Unfit(f"{names[0]} has the shape {list(there[names[0]].shape)}, {list(shape)} is expected.")
        found[name] = there[names[0]]
        used.add(names[0])
    return found, [one for one in there if one not in used]


def load(weights: Path, table: str | None, activation: str, shape: Shape = DEVTR) -> Any:
    """The network with a user's weights.

    Raises:
        Unfit: torch is missing, or the file holds something else; nothing in it is executed.
    """
    there = tensors(weights)
    held = [value for value in there.values() if _is_table(value, shape)]
    if table is None and len(held) != 1:
        raise Unfit(f"The weights hold no table of positions: say --positions {', '.join(POSITIONS)} or a .npy file.")
    rows = positions(table, shape) if table is not None else _rows(np.asarray(held[0].numpy(), np.float32), shape)
    network = build(rows, activation, shape)
    found, rest = matched(there, network.state_dict())
    strange = [one for one in rest if not _is_table(there[one], shape) and not _is_copy(one, rest)]
    if strange:
        raise Unfit(f"The weights hold more than this network has: {', '.join(strange[:8])}.")
    network.load_state_dict(found)
    return network


def tensors(weights: Path) -> dict[str, Any]:
    """The tensors of a weight file, by name."""
    torch = torch_module()
    try:
        loaded = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as refused:  # pickle, zip and torch raise what they like
        raise Unfit(f"{weights} holds no weights that can be read safely: {refused}") from refused
    for name in ("state_dict", "model_state_dict", "model"):
        loaded = loaded.get(name, loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(loaded, dict) or not all(hasattr(one, "shape") for one in loaded.values()):
        raise Unfit(f"{weights} holds no dictionary of tensors.")
    return loaded


def export(network: Any, out: Path, shape: Shape = DEVTR) -> None:
    """Write the network as an ONNX file, for a batch of one."""
    torch = torch_module()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operator has no counterpart in ONNX
    clip = torch.zeros(1, shape.frames, 3, shape.side, shape.side)
    names = {"input_names": ["clip"], "output_names": ["logit"]}
    with torch.no_grad():
        torch.onnx.export(network, (clip,), str(out), opset_version=OPSET, dynamo=False, **names)


def disagreement(network: Any, other: Any, shape: Shape = DEVTR, clips: int = 2) -> float:
    """The largest difference of two networks' logits on clips by chance; `other` is a network or an ONNX file."""
    torch = torch_module()
    chance = np.random.default_rng(1)
    most = 0.0
    for _ in range(clips):
        clip = chance.random((1, shape.frames, 3, shape.side, shape.side), np.float32)
        with torch.no_grad():
            ours = network(torch.from_numpy(clip)).numpy()
            theirs = _run(other, clip) if isinstance(other, Path) else other(torch.from_numpy(clip)).numpy()
        most = max(most, float(np.abs(ours.reshape(-1) - theirs.reshape(-1)).max()))
    return most


def torch_module() -> Any:
    """The module torch. Raises Unfit with a sentence when it is not installed."""
    try:
        return importlib.import_module("torch")
    except ImportError as missing:
        raise Unfit(NO_TORCH) from missing


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 and a sentence when it cannot be done."""
    parser = argparse.ArgumentParser(description="An ONNX file of DeVTr from its weights.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--positions", help=f"{', '.join(POSITIONS)} or a .npy file; not needed if the weights hold it")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="relu", help="between the last two layers")
    parser.add_argument("--original", help="module:function that gives the authors' network, to compare with")
    options = parser.parse_args(arguments)
    try:
        _make(options)
    except Unfit as why:
        sys.stderr.write(f"{why}\n")
        return 1
    return 0


def _make(options: argparse.Namespace) -> None:
    network = load(options.weights, options.positions, options.activation)
    if options.original:
        module, _, function = options.original.partition(":")
        original = getattr(importlib.import_module(module), function)()
        original.load_state_dict(tensors(options.weights))
        _agree("the original network", disagreement(network, original.eval()))
    draft = options.out.with_name(f"{options.out.name}.part")
    try:
        export(network, draft)
        _agree(str(options.out), disagreement(network, draft))
        draft.replace(options.out)
    finally:
        draft.unlink(missing_ok=True)
    checked = "" if options.original else " It was not compared with the original (--original)."
    sys.stderr.write(f"{options.out} is written and agrees with torch.{checked}\n")


def _agree(name: str, difference: float) -> None:
    if not difference <= AGREEMENT:
        raise Unfit(f"The logits of {name} differ by {difference:.2g}: it is not the same network.")


def _run(path: Path, clip: Numbers) -> np.ndarray:
    from streams.vision.onnx_model import Network

    return Network(str(path), 2)(clip)[0]


def _convolutions(nn: Any, plan: Sequence[int]) -> list[Any]:
    made: list[Any] = []
    before = 3
    for width in plan:
        if not width:
            made.append(nn.MaxPool2d(2, 2))
            continue
        made += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return made


def _activated(torch: Any, values: Any, activation: str) -> Any:
    functions = {"relu": torch.relu, "gelu": torch.nn.functional.gelu}
    return functions[activation](values) if activation in functions else values


def _is_table(value: Any, shape: Shape) -> bool:
    sides = [side for side in value.shape if side != 1]
    return len(sides) == 2 and sides[1] == shape.width and shape.frames <= sides[0] < shape.width // 2


def _is_copy(name: str, rest: Sequence[str]) -> bool:
    """The layer that torch copies to make an encoder stays in the file when it was kept as an attribute."""
    prefix = name.rpartition(".self_attn.")[0] or name.rpartition(".")[0].rpartition(".")[0]
    return any(one.startswith(f"{prefix}.self_attn.") for one in rest)


def _rows(table: Numbers, shape: Shape) -> Numbers:
    rows = table.reshape(-1, table.shape[-1])[: shape.frames] if table.ndim else table
    if rows.shape != (shape.frames, shape.width):
        raise Unfit(f"The table of positions is {list(table.shape)}, not [{shape.frames}, {shape.width}].")
    return np.ascontiguousarray(rows, np.float32)


if __name__ == "__main__":
    sys.exit(main())
