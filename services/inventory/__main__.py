"""`python -m services.inventory …`."""

from services.chassis.cli import main
from services.inventory.bootstrap import SERVICE

main(SERVICE)
