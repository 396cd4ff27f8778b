"""What the demo claims, with the figure that shows whether it is so."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """A claim in words, whether the system kept it, and the figure that says so."""

    text: str
    kept: bool
    figure: str = ""


class StoryBroken(Exception):
    """A scene cannot go on: an answer was not the expected one, or did not come in time."""


def all_kept(promises: Iterable[Promise]) -> bool:
    """Tell whether there are promises, and every one of them was kept."""
    told = list(promises)
    return bool(told) and all(promise.kept for promise in told)
