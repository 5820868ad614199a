"""The composition root's part for security: what its routes answer from, over the front's own parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ops.settings import Settings
from schemas.envelope import KeyRing

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.app import Api
    from api.railway.face_desk import Describe
    from producers.admission import Admission
    from producers.commands import Writer


def install(
    settings: Settings,
    keyring: KeyRing,
    app: FastAPI,
    answers: Api,
    writer: Writer,
    admission: Admission,
    describe: Describe,
) -> Callable[[], Awaitable[None]]:
    """Put security's routes into an app, at their own path and under `/api`; what closes them."""
    from api.admitting import admits
    from api.routes import security_alerts, security_cameras, security_devices, security_people
    from api.security import Security
    from api.security_feed import Feed
    from producers.pictures import Pictures

    parts = Security(
        answers.database,
        writer,
        keyring,
        Feed(answers.database, answers.hub),
        admin=admits(admission),
        biometrics=admits(admission, only_named=True),
        describe=describe,
        pictures=Pictures(settings.audio_folder, days=30.0),
        zone=settings.site_timezone,
    )
    for routes in (security_devices, security_cameras, security_people, security_alerts):
        router = routes.build(parts)
        app.include_router(router)
        app.include_router(router, prefix="/api", include_in_schema=False)
    return parts.close
