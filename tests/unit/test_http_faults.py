"""Where the faults of a body are, and what would have been right there."""

import pytest
from pydantic import ValidationError
from pydantic_core import from_json

from services.chassis.http.faults import body_faults
from services.chassis.http.models import Body


class Box(Body):
    """A line."""

    size: int


class Boxes(Body):
    """Lines that may be left out."""

    boxes: tuple[Box, ...] | None = None


def test_an_unknown_field_in_a_list_that_may_be_null_is_told_with_the_names_that_are_known() -> None:
    raw = b'{"boxes": [{"size": 1, "colour": "red"}]}'
    with pytest.raises(ValidationError) as refused:
        Boxes.model_validate_json(raw, strict=True)
    (fault,) = body_faults(refused.value, from_json(raw), Boxes)
    assert (fault["pointer"], fault["code"]) == ("/boxes/0/colour", "unknown_field")
    assert fault["detail"].endswith("known here: size")
