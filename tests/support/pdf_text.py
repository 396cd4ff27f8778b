"""Reads the lines of text off the pages of a PDF, as a viewer that copies them does: by the font's own map (ToUnicode).

For PDFs whose streams are not compressed and that have one font with such a map.
"""

import re

_SHOWN = re.compile(rb"BT (?:(?!ET).)*?\((.*)\) Tj T\* ET")
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)")
_MAPPED = re.compile(rb"<([0-9A-F]{2})> <([0-9A-F]{4})>")


def pages_of(pdf: bytes) -> list[list[str]]:
    """Return the lines of each page, in the order in which they are written; U+FFFD is what the font lacks.

    Raises:
        ValueError: there is not one font with a map of its own.

    """
    maps = re.findall(rb"beginbfchar(.*?)endbfchar", pdf, re.DOTALL)
    if len(maps) != 1:
        raise ValueError(f"{len(maps)} fonts have a map of their own")
    characters = {int(code, 16): chr(int(character, 16)) for code, character in _MAPPED.findall(maps[0])}
    streams = [_SHOWN.findall(part) for part in pdf.split(b"endstream")]
    return [[_text(line, characters) for line in lines] for lines in streams if lines]


def _text(written: bytes, characters: dict[int, str]) -> str:
    codes = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]) if len(found[1]) > 1 else found[1], written)
    return "".join(characters[code] for code in codes).replace("\0", "\N{REPLACEMENT CHARACTER}")
