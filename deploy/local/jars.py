"""The jars of Apache Kafka, by pinned coordinates and checksums, kept in the user's cache directory.

`kafka-jars.txt` names every jar. A jar enters the cache only after its SHA-256 was checked, in one step, so that an
interrupted or parallel download leaves no half file; and it is checked again at every start.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests
import tenacity

from deploy.local.errors import StackError

LIST = Path(__file__).with_name("kafka-jars.txt")
_THREADS = 8
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: its Maven coordinates and the SHA-256 of its bytes in hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Return the name of its file, which tells jars of one name and different groups apart."""
        return f"{self.group}.{self.artifact}-{self.version}.jar"

    def is_intact(self, path: Path) -> bool:
        """Tell whether the file is there and is this jar."""
        if not path.exists():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def listed(file: Path = LIST) -> list[Jar]:
    """Read the list: lines of `group:artifact:version sha256`, comments behind `#`."""
    jars = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def cache_directory() -> Path:
    """Return where downloads of this product are kept: XDG_CACHE_HOME, else ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "order-management" / "kafka-jars"


def provide(jars: Sequence[Jar], cache: Path) -> list[Path]:
    """Return the paths of all jars, fetching the missing and the damaged ones; raise StackError if one is not had."""
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        intact = pool.map(lambda jar: jar.is_intact(cache / jar.filename), jars)
        missing = [jar for jar, is_there in zip(jars, intact, strict=True) if not is_there]
    if missing:
        _fetch(missing, cache)
    return [cache / jar.filename for jar in jars]


def _fetch(jars: Sequence[Jar], cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as download:
        pool = ThreadPoolExecutor(_THREADS)
        try:
            list(pool.map(lambda jar: _fetch_one(jar, Path(download), cache), jars))
        finally:
            pool.shutdown(cancel_futures=True)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(requests.RequestException),
    stop=tenacity.stop_after_attempt(_ATTEMPTS),
    wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=5),
    reraise=True,
)
def _fetch_one(jar: Jar, download: Path, cache: Path) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415 - slow to import, and only needed the first time

    context = MavenContext(repo_cache=download)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    artifact = component.artifact()
    if artifact.cached_path is not None:
        artifact.cached_path.unlink(missing_ok=True)  # what a broken attempt left would pass for the jar
    path = artifact.resolve()
    if not jar.is_intact(path):
        raise StackError(f"{jar.group}:{jar.artifact}:{jar.version} came with another SHA-256 than {LIST.name} names")
    path.replace(cache / jar.filename)
