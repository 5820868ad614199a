"""GET /static: pictures of one folder, and nothing else of the machine."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from api.railway import static_files
from tests.drivers.desk import app_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    served = tmp_path / "static"
    (served / "logos" / "items").mkdir(parents=True)
    (served / "logos" / "items" / "чай 1.JPG").write_bytes(b"\xff\xd8")
    (served / "logos" / "1.png").write_bytes(PNG)
    (served / "logos" / ".hidden.png").write_bytes(PNG)
    (served / "logos" / "page.html").write_bytes(b"<script>")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (served / "link.png").symlink_to(tmp_path / "secret.png")
    (served / "folder.png").mkdir()
    return served


async def asked(folder: Path | None, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app_of(static_files.build(folder)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.request(method, path, headers=headers)


async def test_a_picture_is_served_with_its_type_and_kept(folder: Path) -> None:
    answer = await asked(folder, "/static/logos/1.png")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")
    assert "max-age" in answer.headers["cache-control"]
    again = await asked(folder, "/static/logos/1.png", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    (folder / "logos" / "1.png").write_bytes(PNG + b"!")
    new = await asked(folder, "/static/logos/1.png", **{"If-None-Match": answer.headers["etag"]})
    assert new.content == PNG + b"!"
    jpeg = await asked(folder, "/static/logos/items/%D1%87%D0%B0%D0%B9%201.JPG")
    assert (jpeg.status_code, jpeg.headers["content-type"]) == (200, "image/jpeg")


async def test_head_has_no_body(folder: Path) -> None:
    answer = await asked(folder, "/static/logos/1.png", "HEAD")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(PNG)))
    assert (await asked(folder, "/static/logos/1.png", "POST")).status_code == 405


@pytest.mark.parametrize(
    "path",
    ["", "logos", "logos/", "logos/2.png", "logos/page.html", "logos/.hidden.png", "link.png", "folder.png",
     "..%2fsecret.png", "logos/..%2f..%2fsecret.png", "%2e%2e/secret.png", "..%5csecret.png", "logos//1.png",
     "%2fetc/passwd.png", "1%00.png", "logos/1.png/", "logos/1.png%00", "x" * 5000 + ".png", "a/" * 3000 + "1.png"],
)  # fmt: skip
async def test_everything_else_is_not_there(folder: Path, path: str) -> None:
    answer = await asked(folder, "/static/" + path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_without_a_folder_there_is_nothing(folder: Path) -> None:
    assert (await asked(None, "/static/logos/1.png")).status_code == 404
    assert (await asked(folder.parent / "nowhere", "/static/logos/1.png")).status_code == 404
