"""The demo: a shop's day on real servers, shown while it happens and proved afterwards.

Everything that it claims is read from the running system the way its users read it: REST, Kafka topics, metrics and
the mails in the mail sink. Invariant: a promise is shown as kept only where such a fact says so.
"""
