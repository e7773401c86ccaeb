"""Who asks is said by the proxies that are one's own, however they write it, and by nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from server.kit.proxies import BehindProxies

OWN = ("127.0.0.1", "10.1.0.0/16", "2001:db8::/32")
pytestmark = pytest.mark.anyio


async def asker(peer: str, *headers: tuple[str, str], kind: str = "http") -> Any:
    """Return whom the application takes for the one who asks."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get("client"))

    named = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "client": (peer, 40_000), "headers": named}
    await BehindProxies(app, OWN)(scope, None, None)  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("203.0.113.1:51234", "203.0.113.1"),
        (" 203.0.113.1 ", "203.0.113.1"),
        ('"203.0.113.1:51234"', "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("[::ffff:203.0.113.1]:51234", "203.0.113.1"),
        ("2001:4860::8888", "2001:4860::8888"),
        ("2001:4860:0:0::8888", "2001:4860::8888"),
        ("[2001:4860::8888]", "2001:4860::8888"),
        ("[2001:4860::8888]:443", "2001:4860::8888"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
async def test_one_asker_is_one_however_a_proxy_writes_the_address(written: str, read: str) -> None:
    assert await asker("127.0.0.1", ("X-Forwarded-For", written)) == (read, 40_000)
    assert (await asker("::ffff:127.0.0.1", ("X-Forwarded-For", written)))[0] == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("198.51.100.7, 203.0.113.1", "203.0.113.1"),
        ("10.1.2.3, 203.0.113.1, 10.1.2.3:80, 2001:db8::5", "203.0.113.1"),
        ("198.51.100.7,,10.1.2.3", "10.1.2.3"),
        ("198.51.100.7, unknown, 10.1.2.3", "10.1.2.3"),
        ("198.51.100.7, 203.0.113.1:x:y", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("10.1.0.9, 10.1.0.8", "10.1.0.9"),
        ("é" * 4_000, "127.0.0.1"),
    ],
)
async def test_what_the_asker_wrote_before_it_does_not_count(written: str, read: str) -> None:
    assert (await asker("127.0.0.1", ("X-Forwarded-For", written)))[0] == read


async def test_several_headers_are_one_list_in_their_order() -> None:
    both = ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "203.0.113.1")
    assert (await asker("127.0.0.1", *both))[0] == "203.0.113.1"


async def test_nobody_else_is_believed_and_no_other_header() -> None:
    assert (await asker("192.0.2.9", ("X-Forwarded-For", "203.0.113.1")))[0] == "192.0.2.9"
    others = ("Forwarded", "for=203.0.113.1"), ("X-Real-IP", "203.0.113.1")
    assert (await asker("127.0.0.1", *others))[0] == "127.0.0.1"
    assert (await asker("a socket", ("X-Forwarded-For", "203.0.113.1")))[0] == "a socket"
    assert (await asker("127.0.0.1", ("X-Forwarded-For", "203.0.113.1"), kind="lifespan"))[0] == "127.0.0.1"
