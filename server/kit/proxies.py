"""Who asks, where a proxy of one's own stands before the server: its word is taken, and nobody else's.

Each proxy adds the address that it saw at the end of `X-Forwarded-For`. So the list is read from its end, past the
proxies that are one's own, to the first other address; what stands before that is whatever the asker has written. Some
proxies write a port beside the address, and IPv4 as a part of IPv6. `Forwarded` (RFC 7239) and `X-Real-IP` are not
read: a proxy that sets one leaves the other two as the asker wrote them.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

_HEADER = b"x-forwarded-for"
Address = IPv4Address | IPv6Address


class BehindProxies:
    """An application whose requests have the address of who asked as their `client`, by the word of `trusted`."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(one) for one in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope.get("client"):
            named = [value.decode("latin-1") for key, value in scope["headers"] if key == _HEADER]
            scope["client"] = (self._asker(scope["client"][0], ",".join(named)), scope["client"][1])
        await self._app(scope, receive, send)

    def _asker(self, peer: str, forwarded: str) -> str:
        at = address_of(peer)
        for hop in reversed(forwarded.split(",")):
            if at is None or not self._is_trusted(at):
                break
            named = address_of(hop)
            if named is None:
                # Nobody's address: the proxy that wrote it is the last one known.
                break
            at = named
        return peer if at is None else str(at)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def address_of(text: str) -> Address | None:
    """Return an address as a proxy writes it: bare, with a port, in brackets; None for what is none."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped
