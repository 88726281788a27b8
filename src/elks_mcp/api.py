"""The one road to 46elks: credentials, time limits, and what each way of failing means.

Only `client` (what is free) and `dispatch` (what costs) may use it. What matters about a failed
request is whether it may have reached 46elks: `Unreachable` says surely not, `NoAnswer` maybe.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from urllib.parse import urlsplit

import anyio
import httpx2
from pydantic import SecretStr

from elks_mcp.errors import NoAnswer, ProviderError, Unreachable
from elks_mcp.wire import parse_refusal

DEFAULT_BASE_URL = "https://api.46elks.com/a1"

_CONNECTING = 0.4
"""The share of the time limit for connecting; TLS may take as much again, and both must fit in
before the hard limit, so that running into the limit means that the request was under way."""

_LARGEST_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """API username and password of a 46elks account; not those of its web site."""

    username: str
    password: SecretStr


class Api:
    """Requests to 46elks. Each takes `timeout` at most, whatever the other side does."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: timedelta = timedelta(seconds=10),
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._credentials = credentials
        self._base_url = base_url.rstrip("/")
        self._seconds = timeout.total_seconds()
        self._transport = transport

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Ask for something; once more if the connection was cut, within the same time limit.

        Raises:
            ProviderError: it did not come.
        """
        async with self._within_limit():
            try:
                return await self._request(self._kept, "GET", path, params=query)
            except _Cut:
                return await self._request(self._kept, "GET", path, params=query)

    async def post(self, path: str, form: Mapping[str, str]) -> bytes:
        """Post a form, once and never again, over a connection of its own.

        An idle connection may be closed by the other side just when it is used again, and then
        nobody could say whether the form arrived.

        Raises:
            ProviderError: it was refused, or nobody knows.
        """
        async with self._within_limit():
            return await self._request(self._fresh, "POST", path, data=form)

    async def aclose(self) -> None:
        """Close what is open."""
        for name in ("_kept", "_fresh"):
            if client := self.__dict__.pop(name, None):
                await client.aclose()

    @asynccontextmanager
    async def _within_limit(self) -> AsyncIterator[None]:
        try:
            with anyio.fail_after(self._seconds):
                yield
        except TimeoutError:
            raise NoAnswer(f"46elks did not answer within {self._seconds:g} seconds.") from None

    async def _request(
        self,
        client: httpx2.AsyncClient,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> bytes:
        try:
            async with client.stream(method, path, params=params, data=data) as response:
                body = await _read(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise Unreachable(f"46elks cannot be reached: {_reason(error)}.") from None
        except httpx2.TimeoutException:
            raise NoAnswer(f"46elks did not answer within {self._seconds:g} seconds.") from None
        except httpx2.HTTPError:
            raise _Cut("The connection to 46elks was cut before its answer was complete.") from None
        if response.status_code == httpx2.codes.OK:
            return body
        raise self._refusal(response, body)

    def _refusal(self, response: httpx2.Response, body: bytes) -> ProviderError:
        """Read a refusal, without our own secrets should it repeat them."""
        for secret in self._secrets:
            body = body.replace(secret, b"***")
        return parse_refusal(response.status_code, response.headers, body)

    @cached_property
    def _secrets(self) -> tuple[bytes, ...]:
        password = self._credentials.password.get_secret_value()
        pair = f"{self._credentials.username}:{password}"
        return (b64encode(pair.encode()), password.encode()) if password else ()

    @cached_property
    def _kept(self) -> httpx2.AsyncClient:
        return self._open(keepalive=5)

    @cached_property
    def _fresh(self) -> httpx2.AsyncClient:
        return self._open(keepalive=0)

    def _open(self, *, keepalive: int) -> httpx2.AsyncClient:
        """Open a client. Made when first needed: reading the system's certificates takes a while."""
        password = self._credentials.password.get_secret_value()
        return httpx2.AsyncClient(
            base_url=self._base_url,
            auth=httpx2.BasicAuth(self._credentials.username, password),
            timeout=httpx2.Timeout(self._seconds, connect=self._seconds * _CONNECTING),
            limits=httpx2.Limits(max_connections=100, max_keepalive_connections=keepalive),
            headers={"accept": "application/json, text/plain"},
            follow_redirects=False,
            trust_env=not is_loopback(self._base_url),
            transport=self._transport,
        )


class _Cut(NoAnswer):
    """The connection broke; a free request may be made again at once."""


def is_loopback(url: str) -> bool:
    """Tell whether a URL points at this machine, where no proxy belongs in between."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


async def _read(response: httpx2.Response) -> bytes:
    """Read an answer whole, unless it is larger than any of 46elks'."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise httpx2.ReadError("answer too large")
    return bytes(body)


def _reason(error: httpx2.TransportError) -> str:
    """Say why no connection came about, in words that carry no address or secret."""
    if isinstance(error, httpx2.ConnectTimeout):
        return "connecting took too long"
    if isinstance(error, httpx2.ProxyError):
        return "the proxy did not let it through"
    words = str(error).lower()
    if "certificate" in words or "ssl" in words:
        return "its certificate is not trusted here"
    if "name" in words or "getaddrinfo" in words or "nodename" in words:
        return "its name cannot be looked up"
    return "no connection could be made"
