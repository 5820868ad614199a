"""Makes a real schema registry (SCHEMA_REGISTRY_URL) hold our schemas under our pinned ids, and refuses a mismatch."""

from __future__ import annotations

import json
from typing import Any

import httpx

from ops.errors import OperatorError
from schemas.catalogue import SCHEMAS, Schema

_TIMEOUT_S = 10.0
_TYPE = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


def agree(url: str, transport: httpx.BaseTransport | None = None) -> int:
    """Check every schema against the registry at `url` and import those it lacks, under the same ids.

    Messages carry pinned ids, so writing never asks the registry; this only makes sure that readers who do will be
    told the truth. The import uses the registry's IMPORT mode
    (https://docs.confluent.io/platform/current/schema-registry/develop/api.html#mode).

    Returns:
        The number of schemas that had to be imported.

    Raises:
        OperatorError: the registry is away, or has another schema under one of our ids.
    """
    with httpx.Client(base_url=url, timeout=_TIMEOUT_S, transport=transport, headers=_TYPE) as client:
        try:
            missing = [schema for schema in SCHEMAS.values() if not _is_there(client, schema)]
            for schema in missing:
                _import(client, schema)
        except httpx.HTTPError as error:
            raise OperatorError(
                f"The schema registry at {url} does not answer as expected ({error}). Nothing was changed in the log; "
                "check SCHEMA_REGISTRY_URL, or unset it to use the built-in registry at /registry."
            ) from error
    return len(missing)


def _is_there(client: httpx.Client, schema: Schema) -> bool:
    answer = client.get(f"/schemas/ids/{schema.id}")
    if answer.status_code == 404:
        return False
    answer.raise_for_status()
    theirs: Any = json.loads(answer.json()["schema"])
    if theirs != json.loads(schema.text):
        name = theirs.get("name", theirs) if isinstance(theirs, dict) else theirs
        raise OperatorError(
            f"The schema registry has {name} under id {schema.id}, which our log uses for {schema.full_name}. "
            "Messages would be read wrongly, so nothing was started; use a registry of its own for Sensorium."
        )
    return True


def _import(client: httpx.Client, schema: Schema) -> None:
    mode = f"/mode/{schema.subject}"
    client.put(mode, json={"mode": "IMPORT"}, params={"force": "true"}).raise_for_status()
    try:
        body = {"schema": schema.text, "schemaType": "AVRO", "id": schema.id, "version": schema.version}
        client.post(f"/subjects/{schema.subject}/versions", json=body).raise_for_status()
    finally:
        client.put(mode, json={"mode": "READWRITE"}).raise_for_status()
