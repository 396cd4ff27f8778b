"""`python -m services.order …`."""

from services.chassis.cli import main
from services.order.bootstrap import SERVICE

main(SERVICE)
