"""The saga comes to rest rightly from every interleaving: the real handlers and domains, in memory.

Topics, commands, deadlines, duplicates, full replays, failing handlers and messages that nobody sent are mixed freely;
each topic keeps its order per key, except for a cancel that overtakes its OrderPlaced. After every step the services
are compared with an independent reference model, and at rest with what is promised.

`SAGA_MODEL_EXAMPLES=20000` looks at so many random courses; without it the courses are always the same.
"""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.saga_model import SHOP, SIDES, Step
from tests.support.saga_promises import check_at_rest
from tests.support.saga_steps import (
    CARTS,
    METHODS,
    NEXT,
    PAYMENTS,
    Advance,
    Cancel,
    CatchUp,
    Confirm,
    Deliver,
    Discard,
    Expire,
    GoOn,
    Lose,
    Overtake,
    Place,
    Receive,
    Repeat,
    Replay,
    Retry,
    Stray,
    Stumble,
    TimeOut,
    a_saga,
)
from tests.support.saga_tables import ANSWER_CELLS, RESERVATION_CELLS

EXAMPLES = int(os.environ.get("SAGA_MODEL_EXAMPLES", "0"))
PROFILE = settings(
    deadline=None, database=None, derandomize=not EXAMPLES, print_blob=bool(EXAMPLES), max_examples=EXAMPLES or 500
)
# How many orders back from the last one: mostly one of the latest, so that a course gets somewhere with them.
BACK = (0, 0, 0, 1, 1, 2, 3)
FLAGS = (True, False)
WHICH = range(6)
UNITS = range(1, 4)

PLACES: Sequence[Step] = [Place(*how) for how in product(CARTS, METHODS)]
# Every step that can happen, and how often it does in comparison.
KINDS: Sequence[tuple[int, Sequence[Step]]] = [
    (14, [GoOn(back) for back in BACK]),
    (1, PLACES),
    (2, [Confirm(*how) for how in product(BACK, PAYMENTS)]),
    (1, [Cancel(*how) for how in product(BACK, FLAGS, FLAGS, FLAGS)]),
    (1, [Advance(*how) for how in product(NEXT.values(), BACK)]),
    (2, [Deliver(*how) for how in product(SIDES, BACK)]),
    (1, [CatchUp(side) for side in SIDES]),
    (2, [Overtake(back) for back in BACK]),
    (1, [Repeat(*how) for how in product(SIDES, BACK, WHICH)]),
    (1, [Replay(side) for side in SIDES]),
    (1, [TimeOut(back) for back in BACK]),
    (1, [Expire(back) for back in BACK]),
    (1, [Stumble(*how) for how in product(SIDES, BACK)]),
    (1, [Retry(*how) for how in product(SIDES, BACK)]),
    (1, [Discard(*how) for how in product(SIDES, BACK)]),
    (4, [Stray(*how) for how in product(SIDES, BACK, WHICH)]),
    (1, [Receive(*how) for how in product(SHOP, UNITS)]),
    (1, [Lose(*how) for how in product(SHOP, UNITS)]),
]
WEIGHTED = [steps for weight, steps in KINDS for _ in range(weight)]
# Two small numbers a step: Hypothesis draws from small ranges evenly, which it does not from large ones.
STEP = st.tuples(st.sampled_from(WEIGHTED), st.integers(0, max(map(len, WEIGHTED)) - 1)).map(
    lambda drawn: drawn[0][drawn[1] % len(drawn[0])]
)


@st.composite
def courses(draw: st.DrawFn) -> list[Step]:
    """Draw a course: an order is placed, and then anything may happen, in any order, up to 70 times."""
    at_least = draw(st.sampled_from([0, 15, 30, 45]))
    return [draw(st.sampled_from(PLACES)), *draw(st.lists(STEP, min_size=at_least, max_size=70))]


@pytest.mark.timeout(300 + EXAMPLES // 5)
def test_from_every_course_the_saga_comes_to_rest_as_promised_and_every_cell_was_reached() -> None:
    reached: Counter[tuple[str, str]] = Counter()

    @PROFILE
    @given(auto_confirm=st.booleans(), course=courses())
    def every_course(auto_confirm: bool, course: list[Step]) -> None:
        saga = a_saga(*course, auto_confirm=auto_confirm)
        saga.come_to_rest()
        check_at_rest(saga)
        reached.update(saga.expected.reached)

    every_course()
    print(*(f"- {count:6} {event} by {column}" for (event, column), count in sorted(reached.items())), sep="\n")
    assert {cell for cell in ANSWER_CELLS | RESERVATION_CELLS if not reached[cell]} == set()
