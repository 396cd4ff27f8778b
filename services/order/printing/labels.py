"""Labels as PDF, 100 by 150 mm a page: ship-from, ship-to, and the shipment's number as a Code 128 barcode (ISO 15417).

Invariant: the same labels give the same bytes: no clock, no random id. Not safe for two threads at once, since the
library's fonts are not; `chassis.http.threads` runs one thing at a time.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

from anyascii import anyascii
from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from ttf_opensans import OPENSANS_REGULAR

from services.order.domain.labels import Label

WIDTH, HEIGHT = 100 * mm, 150 * mm
_MARGIN = 6 * mm
_INNER = WIDTH - 2 * _MARGIN
# Has Latin, Greek and Cyrillic. What it lacks would be a box each, which no courier reads; a transliteration is not the
# local spelling, and can be read aloud.
_FONT = "OpenSans"
# Scanners read modules from about 0.19 mm on; the quiet zones are ten modules each.
_WIDEST_MODULE = 0.45 * mm
_BAR_HEIGHT = 26 * mm
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def render(labels: Sequence[Label]) -> bytes:
    """Return labels as a PDF, a page each."""
    _register_font()
    out = BytesIO()
    canvas = Canvas(out, pagesize=(WIDTH, HEIGHT), invariant=1, pageCompression=0)
    canvas.setTitle(", ".join(label.number for label in labels))
    for label in labels:
        _draw(canvas, label)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@lru_cache(maxsize=1)
def _register_font() -> None:
    pdfmetrics.registerFont(TTFont(_FONT, str(OPENSANS_REGULAR.path)))


def _draw(canvas: Canvas, label: Label) -> None:
    y = _block(canvas, "FROM", label.ship_from, HEIGHT - _MARGIN, size=8)
    canvas.line(_MARGIN, y, WIDTH - _MARGIN, y)
    _block(canvas, "TO", label.ship_to, y - 3 * mm, size=14)
    facts = [
        f"Order {label.order_number}",
        f"{label.units} {'unit' if label.units == 1 else 'units'} from {label.location}",
        label.carrier,
    ]
    if label.tracking_number:
        facts.append(label.tracking_number)
    rule = _MARGIN + _BAR_HEIGHT + 25 * mm
    canvas.line(_MARGIN, rule, WIDTH - _MARGIN, rule)
    _text(canvas, " · ".join(facts[:2]), rule - 5 * mm, 9)
    _text(canvas, " · ".join(facts[2:]), rule - 10 * mm, 9)
    _barcode(canvas, label.number)


def _block(canvas: Canvas, title: str, rows: Sequence[str], top: float, size: float) -> float:
    """Write a titled block below `top` and return where the next one begins."""
    y = top - 6
    _text(canvas, title, y, 6)
    for row in rows:
        y -= size * 1.25
        _text(canvas, row, y, size)
    return y - size * 0.6


def _text(canvas: Canvas, text: str, y: float, size: float) -> None:
    """Write a line of text, smaller where it would not fit."""
    clean = _in_font(_CONTROLS.sub(" ", text))
    width = pdfmetrics.stringWidth(clean, _FONT, size)
    canvas.setFont(_FONT, size if width <= _INNER else size * _INNER / width)
    canvas.drawString(_MARGIN, y, clean)


def _in_font(text: str) -> str:
    font: Any = pdfmetrics.getFont(_FONT)
    glyphs = font.face.charToGlyph
    # Composed first: the font has letters with their accents, and no accents of their own.
    composed = unicodedata.normalize("NFC", text)
    return "".join(char if ord(char) in glyphs else anyascii(char) for char in composed)


def _barcode(canvas: Canvas, number: str) -> None:
    modules = Code128(number, barWidth=1, quiet=False).width
    module = min(_WIDEST_MODULE, (WIDTH - 2 * mm) / (modules + 20))
    code = Code128(number, barWidth=module, barHeight=_BAR_HEIGHT, quiet=True, lquiet=10 * module, rquiet=10 * module)
    code.drawOn(canvas, (WIDTH - code.width) / 2, _MARGIN + 7 * mm)
    canvas.setFont(_FONT, 12)
    canvas.drawCentredString(WIDTH / 2, _MARGIN + 1 * mm, number)
