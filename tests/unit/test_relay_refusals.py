"""What a relay makes of a batch's reports: it is acknowledged only where nothing is refused and nothing open."""

import pytest
from confluent_kafka import KafkaError, Message

from services.chassis.errors import BrokerUnavailable
from services.chassis.relay import Refusals, RefusedByBroker

PERMANENT, PASSING = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), KafkaError(KafkaError.NOT_ENOUGH_REPLICAS)


def refusals(*errors: KafkaError | None) -> Refusals:
    found = Refusals()
    for error in errors:
        found.take(error, Message(topic="order.events.v1"))
    return found


@pytest.mark.parametrize("errors", [(), (None,), (None, None)])
def test_a_batch_of_which_nothing_is_refused_and_nothing_open_is_acknowledged(errors: tuple[None, ...]) -> None:
    refusals(*errors).check(0)


@pytest.mark.parametrize(
    ("errors", "unanswered", "missing"), [((), 3, 3), ((PASSING,), 0, 1), ((PASSING, None, PASSING), 1, 3)]
)
def test_a_batch_that_is_open_or_refused_for_now_is_tried_again(
    errors: tuple[KafkaError | None, ...], unanswered: int, missing: int
) -> None:
    with pytest.raises(BrokerUnavailable, match=f"^{missing} records not acknowledged"):
        refusals(*errors).check(unanswered)


@pytest.mark.parametrize("unanswered", [0, 5])
def test_a_record_that_is_refused_for_good_holds_its_topic_whatever_else_is_open(unanswered: int) -> None:
    with pytest.raises(RefusedByBroker) as refused:
        refusals(PASSING, PERMANENT).check(unanswered)
    assert refused.value.topic == "order.events.v1"
