"""Let recorders in by their token, and note that they were seen. Writes `DeviceSeen` to `audio.chunks`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from producers.answers import Headers, Refused, refusal, unavailable
from producers.appending import Appender
from producers.device_tokens import Device, DeviceDirectory
from schemas.errors import SensoriumError
from schemas.serde import encode

log = logging.getLogger(__name__)

TOPIC: Final = "audio.chunks"
SEEN_EVERY_S: Final = 60.0
_MOST_DEVICES: Final = 65_536
_SCHEME: Final = b"Bearer "


class DeviceAuth:
    """Tokens to devices, with the contract's refusals. `append` of a `DeviceSeen` is not waited for."""

    def __init__(
        self, directory: DeviceDirectory, appender: Appender, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.directory = directory
        self._appender = appender
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    async def devices(self, headers: Headers) -> tuple[Device, ...]:
        """The devices that the request's token stands for; one of them, unless a token was given twice.

        Raises:
            Refused: 401 with the contract's words; 503 while it is not known what has been registered.
        """
        token = _token(headers)
        found = self.directory.find(token) if self.directory.ready else ()
        if not found:
            if not self.directory.ready or not await self.directory.catch_up():
                raise unavailable("Device tokens cannot be checked now")
            found = self.directory.find(token)
        if not found:
            raise _not_let_in("Invalid or disabled device token")
        if len(found) == 1:
            self.see(found[0], headers)
        return found

    def choose(self, devices: Sequence[Device], sent: tuple[str, str, str], headers: Headers) -> Device:
        """The device that (device_id, point_id, register_id) of a body names. Raises `Refused`: 422."""
        device_id, point_id, register_id = sent
        device = next((one for one in devices if one.device_id == device_id), None)
        if device is None:
            raise refusal(422, "device_id does not match authenticated device")
        self.see(device, headers)
        if (device.point_id, device.register_id) != (point_id, register_id):
            raise refusal(422, "point_id or register_id does not match device registration")
        return device

    def see(self, device: Device, headers: Headers) -> None:
        """Append a `DeviceSeen`, once a minute; the request does not wait for it."""
        now = self._clock()
        if now - self._seen.get(device.device_id, -SEEN_EVERY_S) < SEEN_EVERY_S:
            return
        self._seen[device.device_id] = now
        self._seen.move_to_end(device.device_id)
        if len(self._seen) > _MOST_DEVICES:
            self._seen.popitem(last=False)
        value = encode("DeviceSeen", {"device_id": device.device_id, "seen_us": time.time_ns() // 1000})
        draft = self._appender.draft("DeviceSeen", TOPIC, device.device_id, value, headers)
        try:
            sent = self._appender.publisher.send(draft.message)
        except SensoriumError as error:
            self._unsee(device, error)
        else:
            sent.add_done_callback(lambda done: self._noted(device, done))

    def _noted(self, device: Device, done: asyncio.Future[tuple[int, int]]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._unsee(device, error)

    def _unsee(self, device: Device, error: BaseException) -> None:
        """The next request says it again."""
        log.info("that %s was seen is not in the log: %s", device.device_id, error)
        self._seen.pop(device.device_id, None)


def _token(headers: Headers) -> bytes:
    sent = headers.get(b"authorization")
    if sent is None:
        raise _not_let_in("Missing Authorization header")
    if not sent.startswith(_SCHEME):
        raise _not_let_in("Invalid authorization scheme")
    token = sent[len(_SCHEME) :]
    if not token.strip():
        raise _not_let_in("Empty token")
    return token


def _not_let_in(detail: str) -> Refused:
    refused = refusal(401, detail)
    refused.answer.headers = [*refused.answer.headers, (b"www-authenticate", b"Bearer")]
    return refused
