"""The composition root's part for security: what its routes answer from, over the front's own parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ops import railway_wiring
from ops.railway_wiring import Trains
from ops.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.app import Api
    from producers.commands import Writer


def install(
    settings: Settings, app: FastAPI, answers: Api, writer: Writer, trains: Trains
) -> Callable[[], Awaitable[None]]:
    """Put security's routes into an app, at their own path and under `/api`; what closes them.

    Faces are found by the railway's children, and whoever may see the railway's faces may see alerts.
    """
    from api.railway.sessions import near_or_robot
    from api.routes import security_alerts, security_cameras, security_devices, security_people
    from api.security import Security
    from api.security_feed import Feed
    from producers.pictures import Pictures

    railway = trains.parts
    parts = Security(
        answers.database,
        writer,
        railway.keyring,
        Feed(answers.database, answers.hub),
        devices=near_or_robot(railway),
        admin=railway.admin,
        biometrics=railway.biometrics or railway.admin,
        describe=railway_wiring.describer(trains.children),
        pictures=Pictures(settings.audio_folder, days=settings.vision.picture_days),
        zone=settings.site_timezone,
    )
    for routes in (security_devices, security_cameras, security_people, security_alerts):
        router = routes.build(parts)
        app.include_router(router)
        app.include_router(router, prefix="/api", include_in_schema=False)
    return parts.close
