"""`python -m services.notification …`."""

from services.chassis.cli import main
from services.notification.bootstrap import SERVICE

main(SERVICE)
