"""The whole system on one machine, without Docker and without root.

Real PostgreSQL and real Apache Kafka from packages, the three services as processes, and a mail sink. Used by
`make up`, by the demo, and by the tests, which address each process by its name to stop, freeze or kill it.
"""
