"""HTTP for every service: one set of manners on Flask, OpenAPI 3.1, gunicorn and gevent.

A service writes an `Api` of endpoints (`endpoint`), with models (`models`), answers (`answers`) and lists (`lists`).
`app` makes the Flask application, `server` runs it; `prelude` must run before anything else is imported.
This file imports nothing, so that `prelude` is really the first.
"""
