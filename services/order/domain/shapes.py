"""What texts of callers look like, whether they come by REST or by Kafka."""

from typing import NamedTuple

from iso3166 import countries_by_alpha2


class Shape(NamedTuple):
    """A form that a text has to have.

    Args:
        pattern: a regular expression for the whole of it, without groups that look around.
        words: that complete "must be …".

    """

    pattern: str
    words: str


# Control characters by their numbers: whether NEL is white space, regular expressions do not agree. NUL has a check of
# its own, as in all texts.
EMAIL = Shape(
    r"^[^@\s\x01-\x1f\x7f-\x9f<>,;]+@[^@\s\x01-\x1f\x7f-\x9f<>,;]+$", "an e-mail address such as ada@shop.example"
)
COUNTRY = Shape(f"^({'|'.join(sorted(countries_by_alpha2))})$", "a country of ISO 3166-1 in two letters, such as DE")
LOCALE = Shape(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", "a language tag such as de or pt-BR")
# What a label or a mail needs of an address: something to print.
NOT_BLANK = Shape(
    r"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f][^\x00]*$", "text of more than white space, without the character NUL (U+0000)"
)
CURRENCY = Shape(r"^[A-Z]{3}$", "a currency of ISO 4217 such as EUR")
