"""Where a listener connects from, as far as that says anything about who it is. Pure."""

import ipaddress


def public_place(address: str) -> str:
    """The public network a connection comes from: an IPv4 address, or the /64 that one IPv6 subscriber holds.

    "" for what is not public or cannot be read: behind a proxy everybody has the proxy's address, and what a header
    says in its place (`X-Forwarded-For`) anybody can write.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(found), 64), strict=False)) if found.is_global else ""
        found = found.ipv4_mapped
    return str(found) if found.is_global else ""
