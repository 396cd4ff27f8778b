"""Serves the toy service with the real gunicorn: `python -m tests.support.toy_server api PORT`."""

from services.chassis.http.prelude import prepare_process

if __name__ == "__main__":
    prepare_process()

    import sys

    from services.chassis import logs
    from services.chassis.http.server import serve_app
    from tests.support.toy_service import make_app

    logs.configure("toys", "1.0", "INFO", {})
    serve_app(make_app, host="127.0.0.1", port=int(sys.argv[2]), workers=2)
