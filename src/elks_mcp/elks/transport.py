"""HTTP requests to 46elks: credentials, time limits, and what each kind of failure means.

`client` makes the free calls through it. `dispatch` makes the calls that cost, by the `Api.post` it is given.
The important question about a failed request is whether it may have reached 46elks: after `Unreachable` it
cannot have, after `NoAnswer` it may have.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property, lru_cache
from ssl import SSLContext

import httpx2

from elks_mcp.domain.subaccounts import is_subaccount
from elks_mcp.elks.credentials import DEFAULT_BASE_URL, Credentials
from elks_mcp.elks.provider_clock import ProviderClock
from elks_mcp.elks.send_gate import SendGate, SendPermission, require
from elks_mcp.elks.wire.field_types import build_unreadable
from elks_mcp.elks.wire.refusals import LONGEST_REFUSAL, parse_refusal
from elks_mcp.errors import ElksError, NoAnswer, Unreachable
from elks_mcp.runtime.addresses import is_loopback
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters

_CONNECTING = 0.4
"""The share of the time limit for connecting. TLS may take as long again, and both must end before the limit,
so that a request which reaches the limit had been started."""

_QUEUEING = 0.1
"""The share for waiting until a connection may be opened, for the same reason."""

_SHORTEST_SECRET = 4
"""In characters. 46elks' passwords have 32; removing a single letter everywhere would only garble the
text."""

_LARGEST_ANSWER = 4 * 1024 * 1024


class Api:
    """Requests to 46elks, each of which takes at most `timeout`."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: timedelta = timedelta(seconds=10),
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._counters = counters or Counters()
        self.provider_clock = ProviderClock(self._clock)
        self._credentials = credentials
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._transport = transport

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return the answer to a GET; retry once, within the limit, if the connection was cut.

        Raises:
            ProviderError: the request failed.
        """
        return await self._ask("GET", path, params=query)

    async def ask(self, path: str, form: Mapping[str, str]) -> bytes:
        """Post a form that is free and may be repeated; retry once, as `get` does.

        Raises:
            ProviderError: the request failed.
        """
        return await self._ask("POST", path, data=form)

    async def post(
        self, path: str, form: Mapping[str, str], *, permission: SendPermission | None = None
    ) -> bytes:
        """Post a form exactly once, over a new connection.

        46elks may close an idle connection at the moment it is used again, and then it would be unknown
        whether the form arrived. `permission` is checked when the connection is established, just before the
        first byte of the request, and around the form itself (see `send_gate`), so that a process which was
        frozen until then does not send.

        Raises:
            TooLate: the permission has ended.
            ProviderError: 46elks refused the form, or its outcome is unknown.
        """
        if permission:
            # The gate checks it in full once a connection is established; a request in process has none.
            require(permission.is_in_time() if self._transport is None else await permission.holds())
        async with self._measured("POST", path), self._within_limit():
            return await self._request(self._one_shot, "POST", path, data=form, permission=permission)

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        for name in ("_pooled", "_one_shot"):
            if client := self.__dict__.pop(name, None):
                await client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> bytes:
        async with self._measured(method, path), self._within_limit():
            try:
                return await self._request(self._pooled, method, path, params=params, data=data)
            except _ConnectionCut:
                return await self._request(self._one_shot, method, path, params=params, data=data)

    @asynccontextmanager
    async def _measured(self, method: str, path: str) -> AsyncIterator[None]:
        """Count and time a request by the first part of its path; the rest may hold an id."""
        began, outcome = self._clock.counted(), "cancelled"
        try:
            yield
            outcome = "ok"
        except ElksError as error:
            outcome = error.code
            raise
        finally:
            what = {"method": method.lower(), "endpoint": path.strip("/").partition("/")[0]}
            seconds = self._clock.counted() - began
            self._counters.observe("elks_mcp_provider_request_duration_seconds", seconds, **what)
            self._counters.count("elks_mcp_provider_requests_total", **what, outcome=outcome)

    @asynccontextmanager
    async def _within_limit(self) -> AsyncIterator[None]:
        try:
            with self._clock.fail_after(self._timeout):
                yield
        except TimeoutError:
            raise self._no_answer() from None

    def _no_answer(self) -> NoAnswer:
        return NoAnswer(f"46elks did not answer within {self._timeout.total_seconds():g} seconds.")

    async def _request(
        self,
        client: httpx2.AsyncClient,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        permission: SendPermission | None = None,
    ) -> bytes:
        extensions = {"trace": SendGate(permission)} if permission else None
        url = _parse_url(self.base_url + path)
        try:
            async with client.stream(
                method, url, params=params, data=data, extensions=extensions
            ) as response:
                self.provider_clock.read(response.headers.get("date", ""))
                body = await (_read(response) if response.is_success else _read_refusal(response))
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise Unreachable(f"46elks cannot be reached: {_reason(error)}.") from None
        except httpx2.TimeoutException:
            raise self._no_answer() from None
        except httpx2.DecodingError:
            raise build_unreadable("it cannot be decompressed") from None
        except (httpx2.HTTPError, OSError):  # httpx2 does not wrap every error of TLS; they are OSErrors
            raise _ConnectionCut("The connection to 46elks was cut before its answer was complete.") from None
        # Only 200 has been seen, but any 2xx is a success: 201 must not count as a refusal.
        if response.is_success:
            return body
        capped = is_subaccount(self._credentials.username)
        raise parse_refusal(response.status_code, response.headers, body, self._secrets, of_subaccount=capped)

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        """The strings that are removed from answers: the password, and the header with it."""
        password = self._credentials.password.get_secret_value()
        pair = b64encode(f"{self._credentials.username}:{password}".encode()).decode()
        return (pair.rstrip("="), password) if len(password) >= _SHORTEST_SECRET else ()

    @cached_property
    def _pooled(self) -> httpx2.AsyncClient:
        return self._open(keepalive=5)

    @cached_property
    def _one_shot(self) -> httpx2.AsyncClient:
        return self._open(keepalive=0)

    @cached_property
    def _tls(self) -> SSLContext:
        """The trusted certificates, read once, at the first request: reading them is slow."""
        return httpx2.create_ssl_context(trust_env=self._trust_env)

    @cached_property
    def is_on_this_machine(self) -> bool:
        """Whether the base URL points at this machine: no proxy belongs in between then."""
        return is_loopback(self.base_url)

    @property
    def _trust_env(self) -> bool:
        return not self.is_on_this_machine

    def _open(self, *, keepalive: int) -> httpx2.AsyncClient:
        username, password = self._credentials.username, self._credentials.password.get_secret_value()
        seconds = self._timeout.total_seconds()
        try:
            return httpx2.AsyncClient(
                auth=httpx2.BasicAuth(username, password),
                # Writing and reading have no separate limits: `_within_limit` covers the whole request.
                timeout=httpx2.Timeout(None, connect=seconds * _CONNECTING, pool=seconds * _QUEUEING),
                limits=httpx2.Limits(max_connections=100, max_keepalive_connections=keepalive),
                headers={"accept": "application/json, text/plain"},
                follow_redirects=False,
                verify=self._tls if self._transport is None else True,
                trust_env=self._trust_env,
                transport=self._transport,
            )
        except (ValueError, OSError, ImportError, httpx2.InvalidURL):
            # The original message can contain the proxy's password.
            raise Unreachable(
                "46elks cannot be reached: the proxy or the certificates in the environment cannot be used.",
                hint="Check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR of the server's process.",
            ) from None


class _ConnectionCut(NoAnswer):
    """The connection broke; a free request may be repeated immediately."""


@lru_cache(maxsize=64)
def _parse_url(url: str) -> httpx2.URL:
    """Return a parsed URL, cached: parsing one takes as long as reading an answer."""
    return httpx2.URL(url)


async def _read(response: httpx2.Response) -> bytes:
    """Return the whole body, unless it is larger than any answer of 46elks."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise build_unreadable("it is too large, more than 4 MB")
    return bytes(body)


async def _read_refusal(response: httpx2.Response) -> bytes:
    """Return the start of a refusal's body; its status counts even if the body is cut off."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LONGEST_REFUSAL:
                break
    except (httpx2.HTTPError, OSError):
        pass
    return bytes(body)


def _reason(error: httpx2.TransportError) -> str:
    """Return why no connection was made, without any address or secret."""
    if known := _REASONS.get(type(error)):
        return known
    message = str(error).lower()
    if "certificate" in message:
        return "its certificate is not trusted here"
    if "ssl" in message:
        return "no secure connection could be made"
    if "name" in message or "getaddrinfo" in message or "nodename" in message:
        return "its name cannot be looked up"
    return "no connection could be made"


_REASONS: dict[type[httpx2.TransportError], str] = {
    httpx2.PoolTimeout: "too many requests are under way",
    httpx2.ConnectTimeout: "connecting took too long",
    httpx2.ProxyError: "the proxy refused the connection",
}
