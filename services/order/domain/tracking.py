"""The link by which anybody who has it follows an order: a token that names the order and proves that we made it."""

import base64
import binascii
from hashlib import blake2b
from hmac import compare_digest

_ID_BYTES = _PROOF_BYTES = 16


def token_of(order_id: str, key: bytes) -> str:
    """Return an order's token: its id and a keyed hash of it (BLAKE2b, RFC 7693), in letters that a URL takes."""
    named = bytes.fromhex(order_id.replace("-", ""))
    return base64.urlsafe_b64encode(named + _proof(named, key)).decode().rstrip("=")


def order_of(token: str, key: bytes) -> str | None:
    """Return the order that a token is of, None where it is none that was made with this key."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    named, proof = raw[:_ID_BYTES], raw[_ID_BYTES:]
    if len(proof) != _PROOF_BYTES or not compare_digest(proof, _proof(named, key)):
        return None
    text = named.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _proof(named: bytes, key: bytes) -> bytes:
    return blake2b(named, key=key, digest_size=_PROOF_BYTES, person=b"tracking").digest()
