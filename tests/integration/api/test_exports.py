"""CSV and Parquet: everything within the window, in pages, whatever the texts are."""

from __future__ import annotations

import csv
import io

import httpx
import pyarrow.parquet as pq
import pytest

from tests.integration.api.conftest import DAY, HOSTILE, START

SESSION = "device_id={}&session_id={}".format(*DAY)


async def test_a_person_as_parquet_is_every_point_with_its_evidence(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/logs?person_id=1", headers={"Accept": "application/vnd.apache.parquet"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    file = pq.ParquetFile(io.BytesIO(answer.content))
    table = file.read()
    assert (table.num_rows, file.num_row_groups) == (30_000, 3)
    assert table.column("t_ms").to_pylist() == [START + i * 40 for i in range(30_000)]
    row = table.slice(1, 1).to_pylist()[0]
    assert row == {
        "device_id": DAY[0], "session_id": DAY[1], "session_person_id": 5, "person_id": 1, "track_id": 1,
        "t_ms": START + 40, "absolute_time": f"at {START + 40}", "valence": 0.009999, "arousal": 0.299969,
        "bbox_x1": None, "bbox_y1": None, "bbox_x2": None, "bbox_y2": None, "kafka_partition": 0, "kafka_offset": 1,
    }  # fmt: skip


async def test_a_session_as_csv_names_each_rows_person(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/v1/logs?{SESSION}&format=csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="logs.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 30_060
    assert {row["session_person_id"] for row in rows} == {"5", "2", "-9"}
    assert [int(row["t_ms"]) for row in rows] == sorted(int(row["t_ms"]) for row in rows)


@pytest.mark.parametrize(
    ("query", "n"), [("limit=7", 7), ("limit=10000&format=csv", 10_000), (f"to_ms={START + 400}", 10)]
)
async def test_an_export_can_be_cut(client: httpx.AsyncClient, query: str, n: int) -> None:
    answer = await client.get(f"/v1/logs?person_id=1&{query}", headers={"Accept": "text/csv"})
    assert len(list(csv.reader(io.StringIO(answer.text)))) == n + 1


async def test_a_spreadsheet_runs_no_device_id(client: httpx.AsyncClient) -> None:
    rows = list(csv.DictReader(io.StringIO((await client.get("/v1/sessions?format=csv")).text)))
    assert (rows[0]["device_id"], rows[0]["session_id"]) == (HOSTILE, "'=1+1")
    table = pq.read_table(io.BytesIO((await client.get("/v1/sessions?format=parquet")).content))
    assert table.column("session_id").to_pylist()[0] == "=1+1"


async def test_persons_export_in_their_order(client: httpx.AsyncClient) -> None:
    rows = list(csv.DictReader(io.StringIO((await client.get("/v1/persons?format=csv")).text)))
    assert [row["person_id"] for row in rows] == ["5", "4", "3", "2", "1"]
    rows = list(csv.DictReader(io.StringIO((await client.get(f"/v1/persons?{SESSION}&format=csv")).text)))
    assert [row["session_person_id"] for row in rows] == ["-9", "2", "5"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_nothing_is_a_file_with_columns_only(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.get(f"/v1/logs?person_id=99&format={kind}")
    assert answer.status_code == 200
    if kind == "csv":
        assert answer.text.count("\n") == 1
        assert answer.text.startswith('"device_id"')
    else:
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 0
