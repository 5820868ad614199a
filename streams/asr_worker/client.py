"""The worker's side of the HTTP protocol: asks, tells, and says by exceptions what the server's answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from streams.workers.remote_work_protocol import LEASES, Failure, Heartbeat, Lease, LeaseRequest, Result
from streams.workers.transcripts import AsrPass

_OVER: Final = (404, 409, 410)
_REFUSED: Final = (400, 413, 422)


class Unreachable(Exception):
    """The server does not answer as it should; the same may work later. `retry_after_s`: if the server said when."""

    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class LeaseOver(Exception):
    """The task is not ours any more."""


class Refused(Exception):
    """The server will never take this body."""


class Client:
    """Speaks to one server. Belongs to one event loop."""

    def __init__(
        self,
        base_url: str,
        internal_token: str,
        *,
        timeout_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout_s` bounds each wait for the network, beyond the time asked of the server; `transport`: for tests."""
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            headers={"Authorization": f"Bearer {internal_token}"},
            timeout=timeout_s,
            transport=transport,
        )

    async def lease(self, worker: str, models: Mapping[AsrPass, str], wait_s: float) -> Lease | None:
        """Work, waiting for it so long; None: there is none. Raises Unreachable, Refused."""
        body = LeaseRequest(worker=worker, models=dict(models), wait_s=wait_s)
        answer = await self._post(LEASES, body, self._timeout_s + wait_s)
        if answer.status_code == 204:
            return None
        try:
            return msgspec.json.decode(answer.content, type=Lease)
        except msgspec.MsgspecError as error:
            raise Unreachable(f"{LEASES} answers with what is no lease: {error}") from error

    async def heartbeat(self, lease: Lease, elapsed_s: float) -> None:
        """Keep a lease. Raises Unreachable, LeaseOver, Refused."""
        await self._post(f"{LEASES}/{lease.lease_id}/heartbeat", Heartbeat(elapsed_s=elapsed_s), self._timeout_s)

    async def result(self, lease: Lease, result: Result) -> None:
        """Hand in what was heard; it is safe when this returns. Raises Unreachable, LeaseOver, Refused."""
        await self._post(f"{LEASES}/{lease.lease_id}/result", result, self._timeout_s)

    async def failure(self, lease: Lease, failure: Failure) -> None:
        """Say why there is none. Raises Unreachable, LeaseOver, Refused."""
        await self._post(f"{LEASES}/{lease.lease_id}/failure", failure, self._timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, path: str, body: msgspec.Struct, timeout_s: float) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        try:
            answer = await self._client.post(
                path, content=msgspec.json.encode(body), headers=headers, timeout=timeout_s
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self._client.base_url}: {type(error).__name__} {error}".strip()) from error
        if answer.status_code in (200, 204):
            return answer
        detail = f"{path} answers {answer.status_code}: {_detail(answer)}"
        if answer.status_code in _REFUSED:
            raise Refused(detail)
        if answer.status_code in _OVER and path != LEASES:
            raise LeaseOver(detail)
        raise Unreachable(detail, _seconds(answer.headers.get("retry-after")))


def _detail(answer: httpx.Response) -> str:
    try:
        found: Any = answer.json()
        return str(found["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def _seconds(header: str | None) -> float | None:
    return min(float(header), 300.0) if header and header.isdigit() else None
