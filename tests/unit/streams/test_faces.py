"""The worker that finds and describes faces, and what its numbers are worth on real photographs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from api.railway.face_desk import FaceOptions
from streams.workers import BadInput, NotNow
from streams.workers.faces import Found, largest_first, models_folder, open_worker, without_doubles
from tests.drivers import face_pairs
from tests.drivers.face_pairs import AS_IT_IS, PEOPLE, encoded
from tests.drivers.pictures import SAMPLE_FACES, drawn_face

photographs = pytest.mark.skipif(not SAMPLE_FACES.is_dir(), reason="no sample photographs")
THRESHOLD = FaceOptions().match_distance
SOME = (AS_IT_IS, "half as bright", "JPEG quality 30")


@functools.cache
def worker() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return open_worker({})


def look(data: bytes, purpose: str = "enrol") -> list[dict[str, Any]]:
    return worker()({"picture": data, "purpose": purpose})["faces"]


def photograph(name: str) -> bytes:
    return (SAMPLE_FACES / name).read_bytes()


def test_a_face_that_is_found_twice_is_one_and_the_surest_stays() -> None:
    sure, unsure = Found((10, 10, 110, 110), 1.5), Found((30, 30, 70, 70), 0.4)
    beside = Found((105, 10, 205, 110), 1.0)
    assert without_doubles([unsure, beside, sure]) == [sure, beside]


def test_the_largest_comes_first() -> None:
    small, large, left = Found((50, 0, 60, 10), 2), Found((0, 0, 90, 90), 1), Found((0, 0, 10, 10), 1)
    assert largest_first([small, large, left]) == [large, left, small]


def test_without_model_data_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotNow, match="cannot be read"):
        open_worker({"models": str(tmp_path)})
    monkeypatch.setattr("streams.workers.faces._PACKAGE", "no_such_package")
    with pytest.raises(NotNow, match="install the package"):
        models_folder()


def test_a_picture_without_a_face_has_no_faces() -> None:
    chance = np.random.default_rng(1)
    noise = chance.integers(0, 255, (300, 400, 3), np.uint8)
    assert look(encoded(noise)) == []
    assert look(encoded(np.full((120, 120, 3), 128, np.uint8))) == []


def test_sides_are_held_to_a_hundred_pixels_at_enrolment_only() -> None:
    small = encoded(np.full((99, 200, 3), 128, np.uint8))
    with pytest.raises(BadInput, match="Image too small"):
        look(small)
    assert look(small, "search") == []


def test_a_drawn_face_is_described() -> None:
    (found,) = look(encoded(drawn_face()))
    assert len(found["vector"]) == 512


@photographs
def test_a_face_has_a_box_a_quality_and_a_vector() -> None:
    (face,) = look(photograph("astronaut.png"))
    left, top, right, bottom = face["box"]
    assert 150 < left < 222 < right < 300
    assert 50 < top < 130 < bottom < 220
    assert face["quality"] > 1
    assert 1 < np.linalg.norm(np.frombuffer(face["vector"], "<f4")) < 2


@photographs
def test_two_people_are_two_faces_the_larger_first() -> None:
    faces = look(photograph("two_people.jpg"))
    widths = [right - left for left, _, right, _ in (one["box"] for one in faces)]
    assert len(widths) == 2
    assert widths[0] > widths[1]


@photographs
@pytest.mark.parametrize("longest", [250, 3_000, 6_000])
def test_pictures_of_any_size_show_the_same_person(longest: int) -> None:
    whole: Any = cv2.imread(str(SAMPLE_FACES / "obama.jpg"))
    factor = longest / max(whole.shape[:2])
    (other,) = look(encoded(np.asarray(cv2.resize(whole, None, fx=factor, fy=factor), np.uint8)))
    (face,) = look(photograph("obama.jpg"))
    assert _apart(face, other) < 0.25


@photographs
def test_no_two_people_match_and_all_pictures_of_a_person_do() -> None:
    """11 faces of 8 people, as they are and made worse; `sensorium bench faces` takes more variants."""
    samples = face_pairs.described(worker(), SOME)
    assert len(samples) == len(PEOPLE) * len(SOME), "every face is found"
    same, other = face_pairs.distances(samples)
    assert face_pairs.rates(same, other, THRESHOLD) == face_pairs.Rates(1.0, 0.0)
    assert min(other) - THRESHOLD > 0.1, "with room to strangers"
    for variant in SOME:
        assert max(face_pairs.from_original(samples, variant)) < (0.3 if variant != AS_IT_IS else 1e-6)


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    first, second = (np.frombuffer(face["vector"], "<f4") for face in (one, other))
    return float(np.linalg.norm(first - second))
