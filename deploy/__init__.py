"""How the services are put to run: on one machine, and the pieces that every way of running shares."""
