"""One table of everything that projects the log: a new read model is a file in projectors/ and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from projections.projectors import (
    devices,
    emotion_logs,
    emotion_moments,
    faces,
    person_emotions,
    railway_access,
    railway_accounts,
    railway_passengers,
    railway_places,
    railway_stores,
    sales_audio,
    sales_dialogues,
    scenarios,
    security,
    users,
)
from projections.read_model import ReadModel

READ_MODELS: Final[Mapping[str, ReadModel]] = {
    module.READ_MODEL.name: module.READ_MODEL
    for module in (
        emotion_logs,
        person_emotions,
        emotion_moments,
        sales_audio,
        sales_dialogues,
        devices,
        users,
        faces,
        railway_access,
        railway_passengers,
        railway_places,
        railway_stores,
        railway_accounts,
        scenarios,
        security,
    )
}
