"""Which numbers parcels bear: those who may pack at a location have the number of their next shipment beforehand.

Invariant: no two of them ever have one number, and a number that was printed on a label stays its packer's until that
packer's shipment takes it, whoever ships before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.order.domain.lines import OrderLine

# (vendor, location). No vendor: whoever packs what lies there, whose ever it is.
Packer = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class Parcels:
    """The numbers of an order's parcels.

    Args:
        last: the highest number that was given so far.
        numbers: packer → number of their next shipment.

    """

    last: int = 0
    numbers: Mapping[Packer, int] = field(default_factory=dict)

    @property
    def locations(self) -> tuple[str, ...]:
        """Where goods of the order lay when numbers were given."""
        return tuple(dict.fromkeys(location for _, location in self.numbers))

    def for_goods(self, goods: Sequence[tuple[OrderLine, str, int]]) -> "Parcels":
        """Return them with a number for each who may pack some of these (line, location, units).

        A vendor has one of their own only where goods of others lie too.
        """
        vendors: dict[str, dict[str | None, None]] = {}
        for line, location, _ in goods:
            vendors.setdefault(location, {})[line.vendor_id] = None
        packers: list[Packer] = [(None, location) for location in vendors]
        for location, there in vendors.items():
            packers += [(vendor_id, location) for vendor_id in there if vendor_id is not None and len(there) > 1]
        new = [packer for packer in packers if packer not in self.numbers]
        given = {packer: n for n, packer in enumerate(new, self.last + 1)}
        return Parcels(self.last + len(new), {**self.numbers, **given})

    def number_of(self, vendor_id: str | None, location: str) -> int:
        """Return the number of a packer's next shipment."""
        return self.take(vendor_id, location)[0]

    def take(self, vendor_id: str | None, location: str) -> tuple[int, "Parcels"]:
        """Return the number of a shipment that is made, and what there is then: its packer has the next free one."""
        packer = (vendor_id, location) if (vendor_id, location) in self.numbers else (None, location)
        known = self if packer in self.numbers else replace(self, last=self.last + 1)
        number, following = known.numbers.get(packer, known.last), known.last + 1
        return number, Parcels(following, {**known.numbers, packer: following})
