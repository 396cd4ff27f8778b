"""The event contract: topics, Avro schemas, ids, golden examples, and the tool that guards them.

`python -m schemas` generates and checks; `schemas/README.md` says how to add an event.
"""
