"""Numbers of things, as people write them."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, given in the singular, whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
