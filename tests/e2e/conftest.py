"""End-to-end tests run against the same servers as the integration tests."""

from __future__ import annotations

from tests.integration.conftest import database_url, kafka_bootstrap, postgres_server, server_home

__all__ = ["database_url", "kafka_bootstrap", "postgres_server", "server_home"]
