"""The pinned schemas as a read-only Confluent Schema Registry (its REST API, v1). Reads `schemas.catalogue` only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Body, Response

from schemas.catalogue import SCHEMAS, Schema

MEDIA: Final = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY: Final = "FULL_TRANSITIVE"

SUBJECTS: Final[Mapping[str, dict[int, Schema]]] = {
    subject: {one.version: one for one in sorted(SCHEMAS.values(), key=lambda s: s.version) if one.subject == subject}
    for subject in sorted({schema.subject for schema in SCHEMAS.values()})
}
Document = Annotated[dict[str, Any], Body()]


def _ok(payload: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(payload), status_code=status, media_type=MEDIA)


def _error(code: int, message: str) -> Response:
    """The registry's error shape: five digits, of which the first three are the HTTP status."""
    return _ok({"error_code": code, "message": message}, int(str(code)[:3]))


def _no_subject(subject: str) -> Response:
    return _error(40401, f"Subject '{subject}' not found.")


def _version_of(subject: str, version: str) -> Schema | Response:
    versions = SUBJECTS.get(subject)
    if versions is None:
        return _no_subject(subject)
    if version in {"latest", "-1"}:
        return versions[max(versions)]
    if not version.isdecimal():
        return _error(42202, f"The specified version '{version}' is not a valid version id.")
    return versions.get(int(version)) or _error(40402, f"Version {version} not found.")


def _described(schema: Schema) -> dict[str, Any]:
    return {"subject": schema.subject, "version": schema.version, "id": schema.id, "schema": schema.text}


def _same(subject: str, document: Mapping[str, Any]) -> Schema | Response:
    """The version of a subject whose schema equals the one sent, as JSON."""
    if subject not in SUBJECTS:
        return _no_subject(subject)
    try:
        sent = json.loads(document.get("schema", ""))
    except (TypeError, ValueError):
        return _error(42201, "The schema is not JSON.")
    found = [one for one in SUBJECTS[subject].values() if json.loads(one.text) == sent]
    return found[0] if found else _error(40403, "Schema not found")


def build() -> APIRouter:
    """The routes; nothing outside the catalogue is needed."""
    router = APIRouter(prefix="/registry", tags=["schema registry"])
    _by_id(router)
    _by_subject(router)
    _settings(router)
    return router


def _by_id(router: APIRouter) -> None:
    @router.get("/schemas/types")
    async def get_types() -> Response:
        return _ok(["AVRO"])

    @router.get("/schemas/ids/{schema_id}")
    async def get_schema(schema_id: int) -> Response:
        schema = SCHEMAS.get(schema_id)
        return _ok({"schema": schema.text}) if schema else _error(40403, f"Schema {schema_id} not found")

    @router.get("/schemas/ids/{schema_id}/schema")
    async def get_schema_text(schema_id: int) -> Response:
        schema = SCHEMAS.get(schema_id)
        if schema is None:
            return _error(40403, f"Schema {schema_id} not found")
        return Response(schema.text, media_type=MEDIA)

    @router.get("/schemas/ids/{schema_id}/versions")
    async def get_schema_versions(schema_id: int) -> Response:
        schema = SCHEMAS.get(schema_id)
        if schema is None:
            return _error(40403, f"Schema {schema_id} not found")
        return _ok([{"subject": schema.subject, "version": schema.version}])


def _by_subject(router: APIRouter) -> None:
    @router.get("/subjects")
    async def get_subjects() -> Response:
        return _ok(list(SUBJECTS))

    @router.get("/subjects/{subject}/versions")
    async def get_versions(subject: str) -> Response:
        return _ok(list(SUBJECTS[subject])) if subject in SUBJECTS else _no_subject(subject)

    @router.get("/subjects/{subject}/versions/{version}")
    async def get_version(subject: str, version: str) -> Response:
        found = _version_of(subject, version)
        return _ok(_described(found)) if isinstance(found, Schema) else found

    @router.get("/subjects/{subject}/versions/{version}/schema")
    async def get_version_text(subject: str, version: str) -> Response:
        found = _version_of(subject, version)
        return Response(found.text, media_type=MEDIA) if isinstance(found, Schema) else found

    @router.post("/subjects/{subject}")
    async def look_up(subject: str, document: Document) -> Response:
        found = _same(subject, document)
        return _ok(_described(found)) if isinstance(found, Schema) else found

    @router.post("/subjects/{subject}/versions")
    async def register(subject: str, document: Document) -> Response:
        """What is here already gets its id, as clients that register on their own expect; anything else is refused."""
        found = _same(subject, document)
        if isinstance(found, Schema):
            return _ok({"id": found.id})
        return _error(42205, f"Subject {subject} is in read-only mode: schemas are pinned in the repository")


def _settings(router: APIRouter) -> None:
    @router.get("/")
    async def get_root() -> Response:
        return _ok({})

    @router.get("/config")
    async def get_config() -> Response:
        return _ok({"compatibilityLevel": COMPATIBILITY})

    @router.get("/config/{subject}")
    async def get_subject_config(subject: str) -> Response:
        return _ok({"compatibilityLevel": COMPATIBILITY}) if subject in SUBJECTS else _no_subject(subject)

    @router.get("/mode")
    async def get_mode() -> Response:
        return _ok({"mode": "READONLY"})
