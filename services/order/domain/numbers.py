"""Order numbers: unique by construction, and not guessable in sequence.

A database sequence counts 0, 1, 2 …; a keyed permutation of the numbers with LENGTH digits turns each into another
one. The permutation is a Feistel network over Z_a and Z_b (J. Black, P. Rogaway, "Ciphers with Arbitrary Finite
Domains", CT-RSA 2002, method 3): each round adds a keyed hash of one half to the other, which can be undone, so no
two counts give one number.
"""

from hashlib import blake2b

_ROUNDS = 6


def order_number(count: int, key: bytes, prefix: str, length: int) -> str:
    """Return the order number of the `count`-th order.

    Args:
        count: from the sequence, ≥ 0.
        key: made once for the database's life, 16 to 64 bytes.
        prefix: put in front of the digits.
        length: digits; once all its numbers are used, it grows by one.

    """
    while count >= (used := int(10**length)):
        count -= used
        length += 1
    return f"{prefix}{_permuted(count, key, length):0{length}d}"


def _permuted(number: int, key: bytes, length: int) -> int:
    left_size, right_size = int(10 ** ((length + 1) // 2)), int(10 ** (length // 2))
    left, right = number // right_size, number % right_size
    for round_number in range(_ROUNDS):
        if round_number % 2:
            right = (right + _hash(key, length, round_number, left)) % right_size
        else:
            left = (left + _hash(key, length, round_number, right)) % left_size
    return left * right_size + right


def _hash(key: bytes, length: int, round_number: int, half: int) -> int:
    message = length.to_bytes(2) + round_number.to_bytes(1) + half.to_bytes(16)
    return int.from_bytes(blake2b(message, key=key, digest_size=16).digest())
