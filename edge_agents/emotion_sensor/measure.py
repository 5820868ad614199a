"""Says how good detector and model are on pictures whose names tell the expression, and on a video."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from edge_agents.emotion_sensor.affect import EXPRESSIONS, affect, strongest
from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.detection import DetectionRules, FaceDetector, Picture, grey_of
from edge_agents.emotion_sensor.expressions import CropRules, ExpressionModel
from edge_agents.emotion_sensor.sources import PICTURES

NAMES: Mapping[str, str] = {**{name: name for name in EXPRESSIONS}, "surprised": "surprise", "fearful": "fear"}
CASCADES = ("default", "alt", "alt2")
Faces = Mapping[str, Sequence[tuple[Picture, Box | None]]]
SHAKEN = 30  # versions of each picture: the picture itself and 29 moved ones


@dataclass(frozen=True, slots=True)
class Score:
    """How a variant did: the picture as it is, and the share right over all its shaken versions."""

    plain: Mapping[str, tuple[str, float]]
    shaken: Mapping[str, float]

    @property
    def right(self) -> int:
        """Pictures whose expression was named right as they are."""
        return sum(name == said for name, (said, _) in self.plain.items())

    @property
    def mean(self) -> float:
        """Mean over the expressions of the share of shaken versions named right."""
        return float(np.mean(list(self.shaken.values())))


def expression_pictures(folder: Path) -> dict[str, Picture]:
    """Grey pictures of `folder` by the expression that their file name states."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.stem in NAMES)
    return {NAMES[path.stem]: grey_of(np.asarray(cv2.imread(str(path)), dtype=np.uint8)) for path in paths}


def crops() -> Iterator[CropRules]:
    """All ways to cut a face out that are compared."""
    for rules in product(
        (-0.1, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3), ("none", "stretch", "clahe", "equalise"), (False, True)
    ):
        yield CropRules(*rules)


def shaken_faces(pictures: Mapping[str, Picture], detector: FaceDetector) -> Faces:
    """Each picture and its shaken versions, with the largest face found in each."""
    shaken = {name: [shake(picture, seed) for seed in range(SHAKEN)] for name, picture in pictures.items()}
    return {name: [(one, largest(detector.faces(one))) for one in versions] for name, versions in shaken.items()}


def score(faces: Faces, model: ExpressionModel) -> Score:
    """Name the expression of every face; a face not found is a wrong answer."""
    answers = {name: [model.shares(p, [b])[0] if b else {} for p, b in versions] for name, versions in faces.items()}
    plain = {name: (strongest(told[0]), told[0].get(name, 0.0)) for name, told in answers.items()}
    right = {name: sum(bool(s) and strongest(s) == name for s in told) / SHAKEN for name, told in answers.items()}
    return Score(plain, right)


def largest(boxes: Sequence[Box]) -> Box | None:
    """The box of the greatest area."""
    return max(boxes, key=lambda box: box.area, default=None)


def shake(picture: Picture, seed: int) -> Picture:
    """The picture (seed 0), or one turned up to 5 degrees, zoomed up to 20 %, moved up to 8 px, in other light."""
    if seed == 0:
        return picture
    chance = np.random.default_rng(seed)
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), chance.uniform(-5, 5), chance.uniform(0.8, 1.2))
    matrix[:, 2] += chance.uniform(-8, 8, 2)
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    return np.clip(moved * chance.uniform(0.8, 1.2) + chance.uniform(-15, 15), 0, 255).astype(np.uint8)


def report_pictures(folder: Path, model: Path) -> Iterator[str]:
    """Lines: what the sensor, as it is set, says of each picture."""
    faces, network = shaken_faces(expression_pictures(folder), FaceDetector()), ExpressionModel(model)
    told = score(faces, network)
    for name, (said, share) in told.plain.items():
        picture, box = faces[name][0]
        valence, arousal = affect(network.shares(picture, [box])[0] if box else {})
        answer = f"{name:9} named {said:9} right share {share:.2f}, valence {valence:+.2f}, arousal {arousal:+.2f}"
        yield f"{answer}, shaken {told.shaken[name]:.0%} right"
    yield f"{told.right} of {len(faces)} right; {told.mean:.1%} of {SHAKEN} shaken versions each"


def report_variants(folder: Path, model: Path) -> Iterator[str]:
    """Lines: every variant, best first. Takes a minute or two."""
    pictures = expression_pictures(folder)
    scores: list[tuple[Score, str]] = []
    for cascade, scale in product(CASCADES, (1.1, 1.2)):
        detector = FaceDetector(DetectionRules(f"haarcascade_frontalface_{cascade}.xml", scale=scale))
        faces = shaken_faces(pictures, detector)
        where = f"{cascade} x{scale}"
        scores.extend((score(faces, ExpressionModel(model, crop)), f"{where}, {_words(crop)}") for crop in crops())
    for told, words in sorted(scores, key=lambda pair: -pair[0].mean):
        yield f"{told.mean:6.1%} shaken, {told.right}/{len(pictures)} plain: {words}"


def _words(crop: CropRules) -> str:
    return f"margin {crop.margin:+.0%}, contrast {crop.contrast}{', mirrored too' if crop.mirror else ''}"


def report_video(video: Path) -> Iterator[str]:
    """Lines: per cascade, the share of frames with a face, faces a frame, and the time a frame takes."""
    for cascade, scale in product(CASCADES, (1.1, 1.2)):
        detector = FaceDetector(DetectionRules(f"haarcascade_frontalface_{cascade}.xml", scale=scale))
        capture = cv2.VideoCapture(str(video))
        counts: list[int] = []
        spent = 0.0
        while (grabbed := capture.read())[0]:
            grey = grey_of(np.asarray(grabbed[1], dtype=np.uint8))
            began = time.perf_counter()
            counts.append(len(detector.faces(grey)))
            spent += time.perf_counter() - began
        capture.release()
        found, mean, cost = np.mean([count > 0 for count in counts]), np.mean(counts), spent / len(counts) * 1000
        yield f"{cascade} x{scale}: a face in {found:.1%} of {len(counts)} frames, {mean:.2f} a frame, {cost:.0f} ms"
