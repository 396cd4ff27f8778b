"""`python -m services.order …`."""

from services.chassis.http.prelude import prepare_process

prepare_process()

from services.chassis.cli import main  # noqa: E402  # the prelude comes first
from services.order.bootstrap import SERVICE  # noqa: E402

main(SERVICE)
