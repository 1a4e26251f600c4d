"""E-mail and IP addresses, alone and in texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote

# RFC 5321 allows 64 characters before the @; without a bound long texts take quadratic time.
# Packages and releases (app@1.2.3-rc.beta) are none.
_DOMAIN = r"(?!\d+\.\d)[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})"
_EMAIL = re.compile(
    rf"\w[\w.+'-]{{0,63}}@{_DOMAIN}"
    # In a URL; what is before it may be an escape, like %3D.
    rf"|(?<!%)(?<!%[\da-fA-F])\w(?:[\w.+'-]|%2[Bb]){{0,63}}%40{_DOMAIN}"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
# Browsers call themselves Chrome/142.0.0.0; no host's address ends in three zeros.
_IPV4 = re.compile(rf"(?<![\w.])(?!\d+\.0\.0\.0\b){_OCTET}(?:\.{_OCTET}){{3}}(?![A-Za-z_\d]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[\da-fA-F]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-fA-F]{0,4})"
    r"(?!\w|:[\da-fA-F:])"
)
# Begins with a set of characters, which `re` looks for fast; true wherever one of the above is.
MAYBE_ADDRESS = re.compile(
    r"[@%.:](?:(?<=[\w.+%'-]@)\w|(?<=%)40|(?<=\d\.)\d{1,3}\.\d{1,3}\.\d|(?<=:)[\da-fA-F]{0,4}:)"
)
_IP_CHARACTERS = re.compile(r"\d+(?:\.\d+){3}|[\da-fA-F]*:[\da-fA-F:]*:[\da-fA-F:.]*")


def without_addresses(text: str, mask: Callable[[str], str]) -> str:
    """The text with every e-mail and IP address in it masked."""
    if not MAYBE_ADDRESS.search(text):
        return text
    text = _EMAIL.sub(lambda match: mask(unquote(match[0])), text)
    text = _IPV4.sub(lambda match: mask(match[0]), text)
    return _IPV6.sub(lambda match: mask(match[0]) if _is_ipv6(match[0]) else match[0], text)


def is_address(value: str) -> bool:
    """Whether a value looks like an e-mail or IP address."""
    return "@" in value or _IP_CHARACTERS.fullmatch(value.strip()) is not None


def is_address_alone(text: str) -> bool:
    """Whether a text is an e-mail or IP address and nothing else."""
    return bool(
        _EMAIL.fullmatch(text)
        or _IPV4.fullmatch(text)
        or (_IPV6.fullmatch(text) and _is_ipv6(text))
    )


def _is_ipv6(text: str) -> bool:
    """Whether a text is an address and not a time, a C++ or Rust name, or `::`."""
    try:
        address = IPv6Address(text)
    except ValueError:
        return False
    first, *others = text.split(":")
    is_short_for_one = any(map(str.isdigit, first)) and any(others)
    return "::" not in text or address.ipv4_mapped is not None or is_short_for_one


def normalised(value: str) -> str:
    """What is hashed: the same for all spellings of an e-mail or IP address."""
    value = value.strip()
    if "@" in value:
        return value.lower()
    try:
        address = ip_address(value)
    except ValueError:
        return value
    return str(getattr(address, "ipv4_mapped", None) or address)
