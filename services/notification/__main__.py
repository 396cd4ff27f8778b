"""`python -m services.notification …`."""

from services.chassis.http.prelude import prepare_process

prepare_process()

from services.chassis.cli import main  # noqa: E402  # the prelude comes first
from services.notification.bootstrap import SERVICE  # noqa: E402

main(SERVICE)
