from __future__ import annotations

import psycopg
from confluent_kafka.admin import AdminClient


def test_the_broker_answers(kafka_bootstrap: str) -> None:
    assert AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=5).brokers


def test_a_module_gets_a_database_that_folds_cyrillic(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select lower('ПРИВЕТ')").fetchone() == ("привет",)
