"""The railway's variables: seed 003's names and defaults, and what is refused."""

from __future__ import annotations

import pytest

from ops.errors import OperatorError
from ops.railway_settings import RailwaySettings, read


def test_nothing_said_is_what_the_seed_has() -> None:
    settings = read({})
    assert settings == RailwaySettings()
    assert (settings.code_length, settings.ticket_code_length) == (100, 128)
    assert (settings.challenge_s, settings.session_s) == (30.0, 3600.0)


def test_every_variable_is_read() -> None:
    settings = read(
        {
            "AUTH_CODE_LENGTH": "64", "TICKET_CODE_LEN": "32", "AUTH_REQUEST_TIMEOUT": "5",
            "AUTH_SESSION_TIMEOUT": "60", "SYMBOLS_POOL": "abcdefghijklmnopqrstuvwxyz0123456789",
            "STATIC_PATH": "/srv/static", "FACE_MATCH_DISTANCE": "0.55", "FACE_WORKERS": "2",
            "FACE_MODELS": "/srv/models",
        }
    )  # fmt: skip
    assert (settings.code_length, settings.ticket_code_length, settings.face_workers) == (64, 32, 2)
    assert (settings.challenge_s, settings.session_s, settings.face_distance) == (5.0, 60.0, 0.55)
    assert (str(settings.static_folder), str(settings.face_models)) == ("/srv/static", "/srv/models")
    assert settings.pool == "abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_CODE_LENGTH", "191"),  # more than a key of 2048 bits can hide
        ("AUTH_CODE_LENGTH", "8"),
        ("AUTH_SESSION_TIMEOUT", "soon"),
        ("SYMBOLS_POOL", "abc"),
        ("SYMBOLS_POOL", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
        ("FACE_MATCH_DISTANCE", "nan"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(OperatorError, match=name):
        read({name: value})
