"""The exporter of the video transformer. What needs torch runs only where torch is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.vision import export_devtr
from streams.vision.clip_model import ClipModel
from streams.vision.export_devtr import NO_TORCH, Shape, Unfit, matched, pooling, positions

SMALL = Shape(frames=5, side=24, width=16, heads=2, layers=2, feed=32, hidden=24, dense=12, plan=(4, 0, 8, 0))
has_torch = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not has_torch, reason="torch is not installed")


class Tensor:
    """As much of a tensor as matching looks at."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


OURS = {
    "features.0.weight": Tensor(4, 3, 3, 3),
    "layers.0.norm1.weight": Tensor(8),
    "dense.0.weight": Tensor(6, 40),
    "dense.0.bias": Tensor(6),
    "dense.1.weight": Tensor(1, 6),
    "dense.1.bias": Tensor(1),
}
THEIRS = {
    "encoder_layer.norm1.weight": Tensor(8),
    "cnn.model.features.0.weight": Tensor(4, 3, 3, 3),
    "encoder.layers.0.norm1.weight": Tensor(8),
    "mlp.1.weight": Tensor(6, 40),
    "mlp.1.bias": Tensor(6),
    "mlp.4.weight": Tensor(1, 6),
    "mlp.4.bias": Tensor(1),
}


def test_without_torch_a_sentence_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(export_devtr.importlib, "import_module", absent)
    assert export_devtr.main([str(tmp_path / "w.pth"), str(tmp_path / "o.onnx")]) == 1
    assert capsys.readouterr().err.strip() == NO_TORCH


def test_names_are_matched_by_their_ends_and_the_last_layers_by_their_shapes() -> None:
    found, rest = matched(THEIRS, OURS)
    assert {name: found[name] for name in OURS} == found
    assert found["dense.1.bias"] is THEIRS["mlp.4.bias"]
    assert found["layers.0.norm1.weight"] is THEIRS["encoder.layers.0.norm1.weight"]
    assert rest == ["encoder_layer.norm1.weight"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cnn.model.features.0.weight": None}, "no features.0.weight"),
        ({"cnn.model.features.0.weight": Tensor(4, 1, 3, 3)}, r"has the shape \[4, 1, 3, 3\]"),
        ({"other.features.0.weight": Tensor(4, 3, 3, 3)}, "more than one"),
        ({"mlp.1.weight": Tensor(6, 41)}, "no dense.0.weight"),
        ({"mlp.4.bias": None}, "dense.1.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    there = {name: value for name, value in (THEIRS | change).items() if value is not None}
    with pytest.raises(Unfit, match=words):
        matched(there, OURS)


def test_six_become_seven_as_adaptive_pooling_does() -> None:
    matrix = pooling(6)
    assert matrix.sum(axis=1).tolist() == pytest.approx([1] * 7)
    assert (matrix @ np.arange(6, dtype=np.float32)).tolist() == [0, 0.5, 1.5, 2.5, 3.5, 4.5, 5]


def test_tables_of_positions(tmp_path: Path) -> None:
    usual, doubled = positions("vaswani"), positions("doubled")
    assert usual.shape == doubled.shape == (40, 512)
    assert usual[3, :2].tolist() == pytest.approx([np.sin(3), np.cos(3)])
    assert usual[3, 2] == pytest.approx(np.sin(3 / 10_000 ** (2 / 512)))
    assert doubled[3, 2:4].tolist() == pytest.approx(
        [np.sin(3 / 10_000 ** (4 / 512)), np.cos(3 / 10_000 ** (6 / 512))], abs=1e-6
    )
    np.save(tmp_path / "t.npy", usual[None])
    assert (positions(str(tmp_path / "t.npy")) == usual).all()
    np.save(tmp_path / "t.npy", usual[:10])
    for wrong in (str(tmp_path / "t.npy"), str(tmp_path / "none.npy"), "other"):
        with pytest.raises(Unfit, match="positions"):
            positions(wrong)


@pytest.mark.parametrize(("difference", "status"), [(1e-9, 0), (0.5, 1), (float("nan"), 1)])
def test_what_disagrees_with_torch_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, difference: float, status: int
) -> None:
    out = tmp_path / "o.onnx"
    out.write_bytes(b"before")
    monkeypatch.setattr(export_devtr, "load", lambda *_: None)
    monkeypatch.setattr(export_devtr, "export", lambda _, path: path.write_bytes(b"new"))
    monkeypatch.setattr(export_devtr, "disagreement", lambda *_: difference)
    assert export_devtr.main([str(tmp_path / "w.pth"), str(out)]) == status
    assert out.read_bytes() == (b"before" if status else b"new")
    assert list(tmp_path.iterdir()) == [out]


# --- with torch ---------------------------------------------------------------------------------------------------


def small_weights(path: Path, **more: Any) -> Any:
    """A network with weights by chance, and its weight file with names as a file of that kind has them."""
    torch = importlib.import_module("torch")
    torch.manual_seed(7)
    network = export_devtr.build(positions("vaswani", SMALL), "relu", SMALL)
    for one in network.features:
        if hasattr(one, "running_mean"):
            one.running_mean.uniform_(-1, 1)
            one.running_var.uniform_(0.5, 2)
    ends = {name.replace("dense.1", "mlp.4").replace("dense.0", "mlp.1"): v for name, v in network.state_dict().items()}
    copy = {f"sample.{name[9:]}": value for name, value in ends.items() if name.startswith("layers.0.")}
    torch.save({f"net.{name}": value for name, value in ends.items()} | copy | more, path)
    return network


@needs_torch
@pytest.mark.filterwarnings("ignore")  # of torch's exporter
def test_the_exported_file_agrees_with_torch(tmp_path: Path) -> None:
    network = small_weights(tmp_path / "w.pth")
    loaded = export_devtr.load(tmp_path / "w.pth", "vaswani", "relu", SMALL)
    export_devtr.export(loaded, tmp_path / "o.onnx", SMALL)
    assert export_devtr.disagreement(network, loaded, SMALL) == 0
    assert export_devtr.disagreement(network, tmp_path / "o.onnx", SMALL) < 1e-4
    other = export_devtr.build(positions("doubled", SMALL), "gelu", SMALL)
    assert export_devtr.disagreement(other, tmp_path / "o.onnx", SMALL) > 1e-4
    model = ClipModel(str(tmp_path / "o.onnx"))
    assert model.frames == 5
    assert 0 < model([np.zeros((9, 9, 3), np.uint8)]) < 1


@needs_torch
def test_a_weight_file_has_to_tell_all_and_no_more(tmp_path: Path) -> None:
    torch = importlib.import_module("torch")
    small_weights(tmp_path / "w.pth")
    with pytest.raises(Unfit, match="no table of positions"):
        export_devtr.load(tmp_path / "w.pth", None, "relu", SMALL)
    small_weights(tmp_path / "w.pth", pe=torch.from_numpy(positions("doubled", SMALL))[None])
    held = export_devtr.load(tmp_path / "w.pth", None, "relu", SMALL)
    assert (held.positions.numpy() == positions("doubled", SMALL)).all()
    small_weights(tmp_path / "w.pth", another=torch.zeros(3))
    with pytest.raises(Unfit, match="more than this network has: another"):
        export_devtr.load(tmp_path / "w.pth", "vaswani", "relu", SMALL)
    (tmp_path / "w.pth").write_bytes(b"no weights")
    with pytest.raises(Unfit, match="no weights that can be read"):
        export_devtr.load(tmp_path / "w.pth", "vaswani", "relu", SMALL)
