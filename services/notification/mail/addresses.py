"""Mail addresses, parsed strictly: what does not look like one address never reaches a header or the mail server.

Narrower than RFC 5322 on purpose: quoted local parts, comments and lists are refused, and so is every character that
could end a header or a command.
"""

import re
from email.headerregistry import Address

# RFC 5321, 4.5.3.1.3, without the angle brackets.
_LENGTH_MAX = 254
_ATOM = r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029()<>\[\]:;@\\,\".]+"
_DOT_ATOM = rf"{_ATOM}(?:\.{_ATOM})*"
_ADDR_SPEC = re.compile(rf"({_DOT_ATOM})@({_DOT_ATOM})")
_SENDER = re.compile(r"(?:(?P<name>[^<>\x00-\x1f\x7f]*)<(?P<angled>[^<>]+)>|(?P<bare>[^<>]+))")


def recipient_of(text: str) -> Address:
    """Return the address that `text` is.

    Raises:
        ValueError: it is not exactly one address; the message does not repeat it.

    """
    found = _ADDR_SPEC.fullmatch(text)
    if found is None or len(text) > _LENGTH_MAX:
        raise ValueError("this is not one mail address such as ada@customer.example")
    return Address(username=found[1], domain=found[2])


def sender_of(text: str) -> Address:
    """Return the address of `orders@shop.example` or `Shop <orders@shop.example>`; ASCII but for the name.

    Raises:
        ValueError: it is neither.

    """
    found = _SENDER.fullmatch(text)
    spec = (found["angled"] or found["bare"]).strip() if found else ""
    if found is None or not spec.isascii():
        raise ValueError("must be orders@shop.example or Shop <orders@shop.example>, the address in ASCII")
    address = recipient_of(spec)
    return Address((found["name"] or "").strip(), address.username, address.domain)
