"""The scenes of the story, in order: what happens, why it matters, and who plays it."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.demo.scenes import buying, crowd, life, noise, opening
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
        "Variants and their first stock come in by REST; the order service learns them from Kafka, for no service "
        "reads another's database.",
        opening.open_shop,
    ),
    Scene(
        "Somebody who will not pay",
        f"Eve orders a grinder: the shop holds it for {HOLD_SECONDS} seconds, by a deadline that no restart forgets.",
        buying.hold_for_eve,
    ),
    Scene(
        "From click to doorstep",
        "Ada orders by REST, and each step to her door is an event that the next service reacts to.",
        buying.deliver_to_ada,
    ),
    Scene(
        "Two makers, one order",
        "Greta asks what it would cost, and pays just that; the pottery and the tea house each send their own part, "
        "and see nothing of the other's.",
        life.send_two_parcels,
    ),
    Scene(
        "One mug arrives broken",
        "She sends it back, and a tea that she does not like: the warehouse looks at both, and the payment side pays.",
        life.take_half_back,
    ),
    Scene(
        "An order by Kafka",
        "For Ben the storefront writes to order.requests.v1 and reads the answer from order.events.v1: no API needed.",
        buying.order_by_kafka,
    ),
    Scene(
        "Twelve buyers, five mugs",
        "Eight by REST and four by Kafka, all at once: who comes in time gets one, the others are told, and nothing "
        "is sold twice.",
        crowd.rush_for_mugs,
    ),
    Scene(
        "Second thoughts",
        "Cleo pays, then cancels: what was held for her goes back on the shelf, and her money is due for refund.",
        buying.change_cleos_mind,
    ),
    Scene(
        "Everything twice",
        "Dan clicks twice, and the storefront repeats a request in every way: there is one order each.",
        noise.repeat_everything,
    ),
    Scene(
        "Garbage in",
        "A storefront sends JSON where Avro belongs, then nonsense: both are answered, and the good request behind "
        "them does not wait.",
        noise.send_garbage,
    ),
    Scene(
        "The hold runs out",
        "Eve has not paid, so her order ends by itself; when her money comes after all, it is not lost.",
        buying.let_eves_hold_expire,
    ),
)
