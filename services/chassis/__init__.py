"""What every service needs and none owns: events, database, outbox, inbox, consumer, parking, deadlines, HTTP.

Nothing in here knows an event, a table or a route of a service; services hand theirs in through `service.Service`.
"""
