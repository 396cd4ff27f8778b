"""A registry that says whatever a test makes it say: a real HTTP server on loopback."""

import datetime as dt
import ipaddress
import json
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from schemas import contracts
from schemas.examples import from_hex, read_json
from services.chassis.registry import RegistrySchemas
from tests.contract.schema_folder import CONTRACT

Answers = Callable[[str], tuple[int, object]]
UNKNOWN = (404, {"error_code": 40403, "message": "Schema not found"})
# An id of a schema that none of our subjects has.
FOREIGN_ID = 77
_GOLDEN = CONTRACT / "examples/order/OrderShipped"
EVENT = contracts.OrderShipped.from_avro(read_json(_GOLDEN.with_suffix(".json")))
BODY = from_hex(_GOLDEN.with_suffix(".hex"))[5:]


class StubRegistry:
    """Answers each path as `answers` says, with a status and JSON (or bytes as they are), and notes what is asked.

    With a `certificate` (and its key in the same file) it speaks TLS.
    """

    def __init__(self, answers: Answers, certificate: Path | None = None) -> None:
        self._scheme = "http" if certificate is None else "https"
        self.answers = answers
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                registry.authorizations.append(self.headers["Authorization"])
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                status, content = registry.answers(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def self_signed(path: Path) -> Path:
    """Write a certificate of 127.0.0.1, which is its own authority, with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a registry")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + secret)
    return path


def framed(schema_id: int, body: bytes = BODY) -> bytes:
    """Return a record's value under a schema id."""
    return struct.pack(">bI", 0, schema_id) + body


def registry_of(url: str, **access: str) -> RegistrySchemas:
    """Return the schemas of a registry as a service knows them."""
    return RegistrySchemas(CONTRACT, {"url": url, **access})


def looked_up(path: str) -> tuple[int, object]:
    """Answer a look-up under a subject with an id that its name decides, and know no other schema."""
    subject, _, query = path.removeprefix("/subjects/").partition("?")
    if query:
        return 200, {
            "subject": subject,
            "version": 1,
            "id": 100 + crc32(subject.encode()) % 10**9,
            "schema": '"string"',
        }
    return UNKNOWN


def knowing(schema: object) -> Any:
    """Return answers in which FOREIGN_ID is a schema."""
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return lambda path: (200, {"schema": text}) if f"/ids/{FOREIGN_ID}" in path else looked_up(path)
