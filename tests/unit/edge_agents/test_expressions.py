from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from edge_agents.emotion_sensor.affect import EXPRESSIONS, strongest
from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.detection import FaceDetector, grey_of
from edge_agents.emotion_sensor.errors import ModelMissing
from edge_agents.emotion_sensor.expressions import CropRules, ExpressionModel, crop
from edge_agents.emotion_sensor.measure import expression_pictures, score, shaken_faces
from edge_agents.emotion_sensor.model_store import MODEL_NAME, model_file, weights_file
from edge_agents.emotion_sensor.motion import moved
from tests.drivers.expression_models import tiny_model
from tests.drivers.pictures import SAMPLE_FACES, drawn_face

GREY = grey_of(drawn_face())
FACE = Box(188, 105, 456, 373)


def has_weights() -> bool:
    try:
        return weights_file().is_file()
    except ModelMissing:
        return False


needs_weights = pytest.mark.skipif(
    not has_weights(), reason="the weights (requirements-weights.lock) are not installed"
)
needs_faces = pytest.mark.skipif(not SAMPLE_FACES.is_dir(), reason="the sample media is not beside the project")


def test_a_drawn_face_is_found_once_and_stays_found_while_it_moves() -> None:
    detector = FaceDetector()
    found = detector.faces(GREY)
    assert len(found) == 1
    assert found[0].overlap(FACE) > 0.8
    assert all(len(detector.faces(grey_of(moved(drawn_face(), second)))) == 1 for second in range(8))


def test_a_large_picture_is_searched_small_and_answered_in_its_own_pixels() -> None:
    large = np.kron(GREY, np.ones((2, 2), np.uint8))
    (found,) = FaceDetector().faces(large)
    assert found.overlap(FACE.scaled(2)) > 0.8


def test_a_box_inside_a_face_is_no_face() -> None:
    mouth = Box(260, 290, 380, 350)
    assert mouth.inside(FACE) == 1.0
    assert FACE.inside(mouth) < 0.2


@pytest.mark.parametrize("box", [Box(-30, -30, 60, 60), Box(600, 440, 700, 540), FACE])
def test_a_face_at_the_border_is_cut_whole(box: Box) -> None:
    assert crop(GREY, box, (64, 64), CropRules()).shape == (64, 64)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("contrast", ["none", "equalise", "clahe", "stretch"])
def test_shares_are_named_and_sum_to_one(tmp_path: Path, mirror: bool, contrast: str) -> None:
    model = ExpressionModel(tiny_model(tmp_path / "m.onnx"), CropRules(contrast=contrast, mirror=mirror))
    answers = model.shares(GREY, [FACE, FACE.grown(0.3)])
    assert len(answers) == 2
    for shares in answers:
        assert tuple(shares) == EXPRESSIONS
        assert sum(shares.values()) == pytest.approx(1)
    assert model.shares(GREY, []) == []


def test_other_layouts_and_a_fixed_batch_answer_the_same(tmp_path: Path) -> None:
    usual = ExpressionModel(tiny_model(tmp_path / "a.onnx")).shares(GREY, [FACE, FACE.grown(0.2)])
    other = tiny_model(tmp_path / "b.onnx", batch=1, channels_last=True)
    for one, two in zip(usual, ExpressionModel(other).shares(GREY, [FACE, FACE.grown(0.2)]), strict=True):
        assert two == pytest.approx(one, abs=1e-5)


def test_eight_outputs_are_taken_for_fer_plus(tmp_path: Path) -> None:
    shares = ExpressionModel(tiny_model(tmp_path / "m.onnx", outputs=8)).shares(GREY, [FACE])[0]
    assert tuple(shares) == EXPRESSIONS
    assert sum(shares.values()) == pytest.approx(1)


def test_a_model_of_unknown_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="5 outputs"):
        ExpressionModel(tiny_model(tmp_path / "m.onnx", outputs=5))


def test_a_given_model_is_used_and_a_missing_one_named(tmp_path: Path) -> None:
    given = tiny_model(tmp_path / "m.onnx")
    assert model_file(tmp_path, given) == given
    with pytest.raises(ModelMissing, match="does not exist"):
        model_file(tmp_path, tmp_path / "none.onnx")


def test_without_weights_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(ModelMissing, match=r"requirements-weights\.lock"):
        model_file(tmp_path)


@needs_weights
def test_the_model_is_built_once(tmp_path: Path) -> None:
    first = model_file(tmp_path)
    written = first.stat().st_mtime_ns
    assert first.name == MODEL_NAME
    assert model_file(tmp_path).stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_NAME]


@needs_weights
def test_other_weights_than_the_known_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "emotion_model.hdf5"
    changed.write_bytes(weights_file().read_bytes()[:-1] + b"x")
    monkeypatch.setattr("edge_agents.emotion_sensor.model_store.weights_file", lambda: changed)
    with pytest.raises(ModelMissing, match="SHA-256"):
        model_file(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@needs_weights
@needs_faces
def test_accuracy_on_the_sample_pictures_is_what_the_documents_say(tmp_path: Path) -> None:
    faces = shaken_faces(expression_pictures(SAMPLE_FACES), FaceDetector())
    told = score(faces, ExpressionModel(model_file(tmp_path)))
    assert told.right == 5
    assert told.mean >= 0.9


@needs_faces
def test_every_sample_face_is_found_and_nothing_else() -> None:
    import cv2

    found = {p.name: len(FaceDetector().faces(grey_of(cv2.imread(str(p))))) for p in SAMPLE_FACES.iterdir()}
    assert found.pop("two_people.jpg") == 2
    assert set(found.values()) == {1}


@needs_weights
def test_the_built_network_computes_what_its_layers_say(tmp_path: Path) -> None:
    """The first convolution, normalisation and the softmax, against a plain numpy computation of the same weights."""
    import h5py
    import onnx
    import onnxruntime

    model = onnx.load(model_file(tmp_path))
    model.graph.output.append(onnx.helper.make_tensor_value_info("activation_1", onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    picture = np.random.default_rng(3).uniform(-1, 1, (1, 1, 64, 64)).astype(np.float32)
    shares, first = session.run(["shares", "activation_1"], {"grey": picture})
    with h5py.File(weights_file()) as file:
        found: dict[str, np.ndarray] = {}
        file["model_weights"].visititems(
            lambda path, item: (
                found.update({path: item[...]} if item.ndim else {}) if isinstance(item, h5py.Dataset) else None
            )
        )
        kernel = next(value for path, value in found.items() if path.startswith("conv2d_1/"))
        normalisation = {p.rsplit("/", 1)[-1]: v for p, v in found.items() if p.startswith("batch_normalization_1/")}
        gamma, beta, mean, variance = (
            normalisation[f"{name}:0"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
    window = picture[0, 0, 10:13, 20:23]
    sums = np.einsum("yx,yxf->f", window, kernel[:, :, 0, :])
    expected = np.maximum((sums - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)
    assert first[0, :, 10, 20] == pytest.approx(expected, abs=1e-4)
    assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_strongest_of_nothing_is_the_first() -> None:
    assert strongest({}) == "angry"
