"""What is wrong with a body, told in rows."""

import pytest
from pydantic import ValidationError
from pydantic_core import from_json

from services.chassis.http.faults import body_faults
from services.chassis.http.models import Body


class Part(Body):
    """A member of a list."""

    name: str


class Whole(Body):
    """A body with a list that may be left out, or null."""

    parts: tuple[Part, ...] | None = None


def test_an_unknown_name_in_a_list_that_may_be_null_is_told_with_the_known_ones() -> None:
    raw = b'{"parts": [{"name": "a", "colour": "red"}]}'
    with pytest.raises(ValidationError) as found:
        Whole.model_validate_json(raw, strict=True)
    assert body_faults(found.value, from_json(raw), Whole) == [
        {"pointer": "/parts/0/colour", "code": "unknown_field", "detail": "unknown name 'colour'; known here: name"}
    ]
