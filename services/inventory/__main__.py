"""`python -m services.inventory …`."""

from services.chassis.http.prelude import prepare_process

prepare_process()

from services.chassis.cli import main  # noqa: E402  # the prelude comes first
from services.inventory.bootstrap import SERVICE  # noqa: E402

main(SERVICE)
