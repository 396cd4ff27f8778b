"""The scenes of the story, in order: what happens, why it matters, and who plays it."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.demo.scenes import buying, crowd, noise, opening
from deploy.local.demo.settings import HOLD_SECONDS
from deploy.local.demo.shop import Shop
from deploy.local.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene: `why` is a sentence or two, `play` does it and tells its promises to the stage."""

    title: str
    why: str
    play: Callable[[Shop, Stage], None]


SCENES = (
    Scene(
        "The shop opens",
        "Variants and their first stock come in by REST. The order service learns them from Kafka; nobody reads "
        "another service's database.",
        opening.open_shop,
    ),
    Scene(
        "Somebody who will not pay",
        f"Eve orders a grinder, and the shop holds it for {HOLD_SECONDS} seconds. No timer has to survive for this: "
        "the deadline is a column. More about it in the last scene.",
        buying.hold_for_eve,
    ),
    Scene(
        "From click to doorstep",
        "Ada orders by REST. Every step is an event that the next service reacts to; no service calls another.",
        buying.deliver_to_ada,
    ),
    Scene(
        "An order by Kafka",
        "For Ben the storefront writes an OrderRequested to order.requests.v1 and reads the answer from "
        "order.events.v1.",
        buying.order_by_kafka,
    ),
    Scene(
        "Twelve buyers, five mugs",
        "All at once, eight by REST and four by Kafka. Whoever comes in time gets one, the others are told so, and "
        "nothing is sold twice.",
        crowd.rush_for_mugs,
    ),
    Scene(
        "Second thoughts",
        "Cleo pays, then cancels: what was held for her goes back on the shelf, and her money is due for refund.",
        buying.change_cleos_mind,
    ),
    Scene(
        "Everything twice",
        "Dan clicks twice, and the storefront sends a request four times. Repeating is safe: there is one order each.",
        noise.repeat_everything,
    ),
    Scene(
        "Garbage in",
        "A storefront sends JSON where Avro belongs, then nonsense. Both are answered, and the good request right "
        "behind them does not wait.",
        noise.send_garbage,
    ),
    Scene(
        "The hold runs out",
        "Eve did not pay: her order ends by itself. When her money comes after all, it is recorded and due for refund.",
        buying.let_eves_hold_expire,
    ),
)
