"""Shapes of strings: a pattern for the validator and the OpenAPI document, and words for whoever sent another one.

A regular expression tells a caller nothing, and pydantic's error knows no more than that; so the words are looked up by
the pattern that did not fit.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

NO_NUL = r"^[^\x00]*$"
_WORDS: dict[str, str] = {}


def shape(pattern: str, words: str, *, least: int | None = None, most: int | None = None) -> StringConstraints:
    """Return the constraints of a string.

    Args:
        pattern: of Rust's regex crate; without groups that look around.
        words: that complete "must be …".
        least: characters.
        most: characters.

    """
    _WORDS[pattern] = words
    return StringConstraints(pattern=pattern, min_length=least, max_length=most)


def text(*, least: int | None = None, most: int | None = None) -> StringConstraints:
    """Return the constraints of any text that PostgreSQL can hold, which is every character but NUL."""
    return shape(NO_NUL, "text without the character NUL (U+0000)", least=least, most=most)


def statement(*, most: int) -> StringConstraints:
    """Return the constraints of text that must not be blank, such as a reason."""
    words = "text that says something, without the character NUL (U+0000)"
    return shape(r"^[^\x00]*[^\s\x00][^\x00]*$", words, least=1, most=most)


def words_for(pattern: str) -> str | None:
    """Return the words of a pattern, None where it was not given any."""
    return _WORDS.get(pattern)


# A decimal string: a JSON number would have been a float on its way.
Money = Annotated[
    str,
    shape(r"^\d{1,12}(\.\d{1,4})?$", 'a decimal string such as "19.99"'),
    Field(examples=["19.99"], description="decimal string"),
]
Currency = Annotated[str, shape(r"^[A-Z]{3}$", "a currency of ISO 4217 such as EUR")]
