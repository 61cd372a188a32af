"""Who a client is behind proxies: ``X-Forwarded-For`` counts only from proxies that the settings name."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_Address = IPv4Address | IPv6Address

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
"""An IPv6 address in brackets, or an IPv4 address, with a port, as some proxies write it."""


class TrustedProxies:
    """Finds the address of a client by what trusted proxies say.

    Args:
        networks: the addresses of the proxies.
    """

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)

    def client(self, peer: str, forwarded: Sequence[bytes]) -> str:
        """Return the address of a client.

        Each proxy appends the address that it is connected to. So the addresses are read from the last one
        back, for as long as a trusted proxy wrote them; what a client sends itself is in front of those. A
        value that is not an address ends the search.

        Args:
            peer: the address that the request comes from.
            forwarded: the values of ``X-Forwarded-For``, each a list with commas.
        """
        if not self._networks or not forwarded:
            return peer
        found, addresses = _parse(peer), b",".join(forwarded).decode("latin-1").split(",")
        while addresses and found and self._trusts(found):
            before = _parse(addresses.pop().strip())
            if before is None:
                break
            found = before
        return str(found) if found else peer

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _parse(text: str) -> _Address | None:
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
