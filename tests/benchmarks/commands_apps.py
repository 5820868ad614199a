"""What commands are measured against: a FastAPI route that inserts a row and returns it. `... commands_apps PORT`."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

from ops import http_server

PATH: Final = "/item"
CONNECTIONS: Final = 6
"""As many as the query API has."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS bare_items (
    id uuid PRIMARY KEY, store_id uuid NOT NULL, name text NOT NULL, description text NOT NULL, logo_url text NOT NULL,
    balance bigint, price_penny bigint NOT NULL, category text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
)
"""
_INSERT: Final = """
INSERT INTO bare_items (id, store_id, name, description, logo_url, balance, price_penny, category)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


class NewItem(BaseModel):
    """The body of POST /store/item."""

    name: str = Field(max_length=50)
    description: str = Field("", max_length=255)
    logo_url: str = Field("", max_length=255)
    balance: int | None = Field(None, ge=0)
    price_penny: int = Field(ge=0)
    category: str = Field("", max_length=100)


def bare(database_url: str) -> FastAPI:
    """One row, one transaction, one answer."""
    pool = AsyncConnectionPool[Any](database_url, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False)
    store_id = uuid.uuid4()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @app.post(PATH)
    async def add(new: NewItem) -> dict[str, Any]:
        item_id = uuid.uuid4()
        told = new.model_dump()
        async with pool.connection() as connection:
            await connection.execute(_INSERT, (item_id, store_id, *told.values()))
        return told | {"id": str(item_id)}

    return app


def main() -> None:
    """Serve it with the product's own uvicorn settings until interrupted."""
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLE)
    http_server.server(bare(url)).run(sockets=[http_server.listen("127.0.0.1", int(sys.argv[1]))])


if __name__ == "__main__":
    main()
