"""Servers a robot can be led around on: the real railway in memory, with a sign-in, pictures and a security desk."""

from __future__ import annotations

import base64
import json
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from numpy.typing import NDArray

from edge_agents.robot.settings import RobotSettings
from tests.drivers.railway_office import AS_ROBOT, Faces, railway_of, server_of
from tests.drivers.railway_shops import AS_SHOP, SHOP, Shops

DATE = "2026-03-01T14:30:00Z"
ENGINEER = {"login": "eva", "password": "not-a-secret"}
GOODS = (("Чай", "food", 5000), ("Печенье", "food", 7550), ("Магнит", "city_souvenirs", 9900))
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
Lost = Callable[[httpx.Request], bool]


class AnyFace(Faces):
    """Knows whom it is told to see."""

    sees: str | None = None

    async def search(self, image: str, by: str | None) -> str | None:
        assert by is not None
        assert cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), cv2.IMREAD_COLOR) is not None
        return self.sees


class Desk(httpx.AsyncBaseTransport):
    """All servers. `lose` names answers that get lost on their way; `down`: nothing is reached at all."""

    def __init__(self) -> None:
        self.shops, self.faces = Shops(), AnyFace()
        self._front: httpx.ASGITransport | None = None
        self.keys: dict[str, str] = {}
        self.challenges: dict[str, tuple[str, str]] = {}
        self.tokens: set[str] = set()
        self.registrations: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.reports: dict[str, dict[str, Any]] = {}
        self.sightings: list[dict[str, Any]] = []
        self.lose: Lost = lambda _: False
        self.down = False
        self.busy: dict[str, int] = {}

    @property
    def front(self) -> httpx.ASGITransport:
        """The railway's servers, made when they are first asked."""
        self._front = self._front or httpx.ASGITransport(server_of(railway_of(self.shops, faces=self.faces)))
        return self._front

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("no route to host")
        await request.aread()
        self.calls[f"{request.method} {request.url.path}"] += 1
        lost = self.lose(request)
        answer = await self._answered(request)
        await answer.aread()
        if lost:
            raise httpx.ReadError("the answer is lost")
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if (status := self.busy.get(path)) is not None:
            return httpx.Response(status, json={"detail": "later"})
        if "/auth/robot/" in path:
            return self._sign_in(path.rsplit("/", 1)[1], json.loads(request.content), request)
        if path.startswith("/static/"):
            assert "authorization" not in request.headers
            return httpx.Response(200, content=drawn_picture(path))
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return httpx.Response(401, json={"detail": "Invalid credentials"})
        if path == "/v1/deviance":
            self.reports[request.headers["idempotency-key"]] = json.loads(request.content)
            return httpx.Response(202, json={"status": "ok"})
        if path == "/v1/security/sightings":
            self.sightings.append(json.loads(request.content))
            return httpx.Response(202, json={"status": "ok"})
        headers = {**request.headers, "authorization": AS_ROBOT["Authorization"]}
        return await self.front.handle_async_request(
            httpx.Request(request.method, request.url, headers=headers, content=request.content)
        )

    def _sign_in(self, route: str, body: dict[str, Any], request: httpx.Request) -> httpx.Response:
        if route == "new_login":
            if {key: body[key] for key in ENGINEER} != ENGINEER:
                return httpx.Response(401, json={"detail": "Invalid credentials"})
            once = request.headers.get("idempotency-key", uuid.uuid4().hex)
            robot_id = self.registrations.setdefault(once, str(uuid.uuid4()))
            self.keys[robot_id] = body["public_key"]
            return httpx.Response(200, json={"id": robot_id, "robot_model_id": body["robot_model_id"]})
        if route == "login":
            return httpx.Response(200, json=self._challenge(body["id"]))
        robot_id, text = self.challenges.pop(body["request_id"], ("", ""))
        if not robot_id or not self._met(robot_id, text, body):
            return httpx.Response(401, json={"detail": "Invalid credentials"})
        token = str(uuid.uuid4())
        self.tokens.add(token)
        return httpx.Response(200, json={"token": token})

    def _challenge(self, robot_id: str) -> dict[str, str]:
        request_id, text = str(uuid.uuid4()), uuid.uuid4().hex
        if robot_id not in self.keys:
            return {"request_id": request_id, "data": base64.b64encode(bytes(256)).decode()}
        self.challenges[request_id] = (robot_id, text)
        key = load_pem_public_key(self.keys[robot_id].encode())
        if isinstance(key, rsa.RSAPublicKey):
            return {"request_id": request_id, "data": base64.b64encode(key.encrypt(text.encode(), OAEP)).decode()}
        return {"request_id": request_id, "data": text}

    def _met(self, robot_id: str, text: str, body: dict[str, str]) -> bool:
        key = load_pem_public_key(self.keys[robot_id].encode())
        if isinstance(key, rsa.RSAPublicKey):
            return body["data"] == text
        assert isinstance(key, Ed25519PublicKey)
        lines = ("sensorium component sign-in 1", "ROBOT", robot_id, body["request_id"], text)
        key.verify(base64.b64decode(body["data"]), "\n".join(lines).encode())
        return True

    async def furnished(self) -> dict[str, Any]:
        """A passenger with a ticket, places at her destination, things in the shop; the ids."""
        async with httpx.AsyncClient(transport=self.front, base_url="http://t") as http:
            anna = (await http.post("/base_api/admin/user", json={"name": "Анна"})).json()
            seat = {"train_number": 1012, "wagon_number": 5, "place_number": 12, "station_id": "MOSCOW"}
            ticket = seat | {"user_id": anna["id"], "destination": "SPB", "date": DATE, "start_date": DATE}
            issued = (await http.post("/base_api/admin/ticket", json=ticket)).json()
            for kind, name in (("hotel", "Астория"), ("attraction", "Эрмитаж")):
                place = {"name": name, "description": f"{name} ждёт вас. " * 8, "logo_url": f"/static/{kind}.png"}
                assert (await http.post(f"/base_api/admin/destination/SPB/{kind}", json=place)).status_code == 200
            items: dict[str, str] = {}
            for name, category, cost in GOODS:
                told = {"name": name, "description": f"{name}, вкусный", "logo_url": "a b.jpg", "category": category}
                told |= {"balance": 2, "price_penny": cost}
                items[name] = (await http.post("/store_api/store/item", json=told, headers=AS_SHOP)).json()["id"]
        self.faces.sees = anna["id"]
        return {"user": anna["id"], "ticket": issued, "items": items}


def drawn_picture(path: str) -> bytes:
    """A picture that depends on its address."""
    picture = np.full((200, 300, 3), sum(path.encode()) % 200, np.uint8)
    cv2.putText(picture, path[-9:], (10, 110), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (255, 255, 255), 3)
    return bytes(cv2.imencode(".png", picture)[1])


def code_picture(text: str, canvas: tuple[int, int] = (640, 480)) -> NDArray[np.uint8]:
    """A camera's frame (BGR) with a ticket's QR code held into it."""
    code = np.asarray(cv2.QRCodeEncoder.create().encode(text), np.uint8)
    scale = max(1, 330 // code.shape[0])
    code = np.pad(np.kron(code, np.ones((scale, scale), np.uint8)), 30, constant_values=255)
    frame = np.full((canvas[1], canvas[0], 3), 128, np.uint8)
    y, x = (canvas[1] - code.shape[0]) // 2, (canvas[0] - code.shape[1]) // 2
    frame[y : y + code.shape[0], x : x + code.shape[1]] = code[..., np.newaxis]
    return np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.uint8)


def settings_at(home: Path, **changed: Any) -> RobotSettings:
    """A robot at home in a folder, beside servers at http://t."""
    told: dict[str, Any] = {
        "base_api_url": "http://t/base_api/v1", "store_api_url": "http://t/store_api/v1", "resource_url": "http://t",
        "key_path": home / "private", "login_file_path": home / "private" / "login_data", "home": home / "robot",
        "engineer_login": ENGINEER["login"], "engineer_password": ENGINEER["password"],
        "default_store": SHOP, "key_kind": "ed25519", "patience": 2.0, "fps": 60.0, "language": "en",
    }  # fmt: skip
    return RobotSettings(**(told | changed))
