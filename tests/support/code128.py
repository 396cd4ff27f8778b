"""Reads a Code 128 barcode off a PDF page's drawing operators, as a scanner would: widths of bars and gaps.

The table is that of ISO 15417, copied by hand: nothing of the library that draws is used to check what it drew.
"""

import re
from itertools import pairwise

_PATTERNS = [
    "212222",
    "222122",
    "222221",
    "121223",
    "121322",
    "131222",
    "122213",
    "122312",
    "132212",
    "221213",
    "221312",
    "231212",
    "112232",
    "122132",
    "122231",
    "113222",
    "123122",
    "123221",
    "223211",
    "221132",
    "221231",
    "213212",
    "223112",
    "312131",
    "311222",
    "321122",
    "321221",
    "312212",
    "322112",
    "322211",
    "212123",
    "212321",
    "232121",
    "111323",
    "131123",
    "131321",
    "112313",
    "132113",
    "132311",
    "211313",
    "231113",
    "231311",
    "112133",
    "112331",
    "132131",
    "113123",
    "113321",
    "133121",
    "313121",
    "211331",
    "231131",
    "213113",
    "213311",
    "213131",
    "311123",
    "311321",
    "331121",
    "312113",
    "312311",
    "332111",
    "314111",
    "221411",
    "431111",
    "111224",
    "111422",
    "121124",
    "121421",
    "141122",
    "141221",
    "112214",
    "112412",
    "122114",
    "122411",
    "142112",
    "142211",
    "241211",
    "221114",
    "413111",
    "241112",
    "134111",
    "111242",
    "121142",
    "121241",
    "114212",
    "124112",
    "124211",
    "411212",
    "421112",
    "421211",
    "212141",
    "214121",
    "412121",
    "111143",
    "111341",
    "131141",
    "114113",
    "114311",
    "411113",
    "411311",
    "113141",
    "114131",
    "311141",
    "411131",
    "211412",
    "211214",
    "211232",
]
_STOP = "2331112"
_SWITCHES = {"A": {98: None, 99: "C", 100: "B"}, "B": {99: "C", 101: "A"}, "C": {100: "B", 101: "A"}}
_BAR = re.compile(rb"n ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re f\*")


def barcodes(pdf: bytes) -> list[str]:
    """Return what the barcode of each page says.

    Raises:
        ValueError: it is none, or its check character is wrong.

    """
    pages = [part for part in pdf.split(b"endstream") if _BAR.search(part)]
    return [_decode(_widths(page)) for page in pages]


def _widths(page: bytes) -> str:
    """Return the widths of bars and gaps in modules."""
    bars = sorted((float(x), float(width)) for x, _, width, _ in _BAR.findall(page))
    module = min(width for _, width in bars)
    edges = [edge for x, width in bars for edge in (x, x + width)]
    return "".join(str(round((after - before) / module)) for before, after in pairwise(edges))


def _decode(widths: str) -> str:
    if not widths.endswith(_STOP):
        raise ValueError(f"no stop: {widths}")
    body = widths[: -len(_STOP)]
    values = [_PATTERNS.index(body[at : at + 6]) for at in range(0, len(body), 6)]
    *data, check = values
    if (data[0] + sum(n * value for n, value in enumerate(data[1:], 1))) % 103 != check:
        raise ValueError(f"check character {check} is wrong for {data}")
    charset, text = {103: "A", 104: "B", 105: "C"}[data[0]], ""
    for value in data[1:]:
        switch = _SWITCHES[charset].get(value)
        if switch is not None:
            charset = switch
        else:
            text += f"{value:02}" if charset == "C" else chr(32 + value)
    return text
