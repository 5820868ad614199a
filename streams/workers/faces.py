"""The capability `faces`: who can be seen in a picture, as numbers. For a child process: decodes, finds, describes.

Request: `picture` (bytes of an encoded file) and `purpose` (`enrol` holds the sides to 100..10,000 pixels, anything
else is a search). Answer: `faces`, the largest first, each with `box` (left, top, right, bottom in pixels of the
picture as it stands), `quality` (the detector's confidence, 0.25 and more, 1 and more is a clear face) and `vector`
(128 little-endian float32), and `width`, `height`. Nobody in the picture: no faces.

dlib's frontal detector (histograms of gradients), five landmarks, and its residual network of 2017: the same person is
0.3 to 0.5 apart, others 0.6 and more (Euclidean).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from streams.workers import BadInput, NotNow
from streams.workers.pictures import Bounds, Picture, check, header_of, pixels_of, scaled

SIZE: Final = 128
LONGEST: Final = 2_000
"""Pictures are unfolded to about this; a face is described by 150 x 150 pixels of it."""
SEARCHED: Final = ((1_000, 1.0), (1_600, 2.0))
"""(longest side, enlargement at most) of each search: the second, dearer one is for when nobody was found.

The detector knows faces of 80 pixels and more."""
LEAST_QUALITY: Final = 0.25
_PACKAGE: Final = "face_recognition_models"
_LANDMARKS: Final = "shape_predictor_5_face_landmarks.dat"
_NETWORK: Final = "dlib_face_recognition_resnet_model_v1.dat"

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Found:
    """A face in a searched picture."""

    box: Box
    quality: float


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Give the worker. Options: `models` (a folder), `least_side`, `most_side`, `most_pixels` (see `Bounds`).

    The worker raises BadInput for what is no usable picture; opening raises NotNow without model data.
    """
    describer = Describer(Path(options["models"]) if options.get("models") else models_folder())
    most = {name: int(options[name]) for name in ("most_side", "most_pixels") if name in options}
    bounds = {"enrol": Bounds(int(options.get("least_side", 100)), **most), "search": Bounds(**most)}

    def work(request: Mapping[str, Any]) -> dict[str, Any]:
        data: bytes = request["picture"]
        header = header_of(data)
        check(header, bounds["enrol" if request["purpose"] == "enrol" else "search"])
        picture = pixels_of(data, header, LONGEST)
        height, width = picture.shape[:2]
        return {"width": width, "height": height, "faces": describer.faces(picture)}

    return work


def models_folder() -> Path:
    """Where dlib's model data lies: in a package of data files, which is not imported. Raises NotNow without it."""
    found = importlib.util.find_spec(_PACKAGE)
    for place in (found.submodule_search_locations if found else None) or ():
        folder = Path(place) / "models"
        if all((folder / name).is_file() for name in (_LANDMARKS, _NETWORK)):
            return folder
    raise NotNow(f"dlib's model data is not here: install the package {_PACKAGE}, or name a folder in FACE_MODELS.")


class Describer:
    """dlib's three models. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Load them. Raises NotNow when a file is missing or damaged."""
        import dlib  # heavy, and part of an extra: only who describes faces needs it

        library: Any = dlib  # it has no types
        self._rectangle = library.rectangle
        self._detector = library.get_frontal_face_detector()
        self._chip = library.get_face_chip
        try:
            self._landmarks = library.shape_predictor(str(folder / _LANDMARKS))
            self._network = library.face_recognition_model_v1(str(folder / _NETWORK))
        except RuntimeError as damaged:
            raise NotNow(f"dlib's model data in {folder} cannot be read: {damaged}") from damaged

    def faces(self, picture: Picture) -> list[dict[str, Any]]:
        """Everybody in a picture, the largest first."""
        colours = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        return [self._described(colours, one) for one in self.found(colours)]

    def found(self, colours: Picture) -> list[Found]:
        """The faces of a picture (red, green, blue), the largest first."""
        for longest, most in SEARCHED:
            searched = scaled(colours, longest, most)
            rectangles, qualities, _ = self._detector.run(searched, 0, LEAST_QUALITY)
            factor = colours.shape[1] / searched.shape[1]
            found = [
                Found(_box(one, factor), float(quality)) for one, quality in zip(rectangles, qualities, strict=True)
            ]
            if found:
                return largest_first(without_doubles(found))
        return []

    def _described(self, colours: Picture, found: Found) -> dict[str, Any]:
        shape = self._landmarks(colours, self._rectangle(*found.box))
        numbers = self._network.compute_face_descriptor(self._chip(colours, shape, 150, 0.25))
        vector = np.asarray(numbers, "<f4")
        if vector.shape != (SIZE,) or not np.isfinite(vector).all():
            raise BadInput("The face cannot be described")
        return {"box": list(found.box), "quality": found.quality, "vector": vector.tobytes()}


def without_doubles(found: Sequence[Found]) -> list[Found]:
    """Each face once: of boxes that overlap by half of the smaller one, the surest stays."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda face: -face.quality):
        if all(_shared(one.box, other.box) <= 0.5 for other in kept):
            kept.append(one)
    return kept


def largest_first(found: Sequence[Found]) -> list[Found]:
    """In order of area; of equal ones the left one first."""
    return sorted(found, key=lambda face: (-_area(face.box), face.box))


def _box(rectangle: Any, factor: float) -> Box:
    left, top = round(rectangle.left() * factor), round(rectangle.top() * factor)
    return left, top, round(rectangle.right() * factor), round(rectangle.bottom() * factor)


def _area(box: Box) -> int:
    left, top, right, bottom = box
    return max(0, right - left) * max(0, bottom - top)


def _shared(one: Box, other: Box) -> float:
    """How much of the smaller box lies in the other, 0 to 1."""
    common = (max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))
    smaller = min(_area(one), _area(other))
    inside = common if common[0] < common[2] and common[1] < common[3] else (0, 0, 0, 0)
    return _area(inside) / smaller if smaller else 1.0
