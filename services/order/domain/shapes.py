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
# What a label or a mail needs of an address: something to print. Beside white space and control characters these print
# nothing: Unicode's Default_Ignorable_Code_Point, such as the zero-width space, below the supplementary planes.
_UNSEEN = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
NOT_BLANK = Shape(
    rf"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f{_UNSEEN}][^\x00]*$",
    "text with something to print, not white space alone, without the character NUL (U+0000)",
)
CURRENCY = Shape(r"^[A-Z]{3}$", "a currency of ISO 4217 such as EUR")
