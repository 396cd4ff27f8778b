"""`python deploy/containers/ready.py PORT`: the healthcheck of a container; exit 0 while `/readyz` says 200.

The standard library only, and of it what starts fast: it runs in every container every few seconds. `http.client`
looks at no proxy settings, which a container may have been given.
"""

import http.client
import sys

_ANSWER_SECONDS = 3.0


def missing(port: int) -> str | None:
    """Return why the process at this port is not ready, or None when it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer at port {port}: {error}"
    finally:
        connection.close()
    return None if answer.status == 200 else f"/readyz says {answer.status}: {text}"


if __name__ == "__main__":
    sys.exit(missing(int(sys.argv[1])))
