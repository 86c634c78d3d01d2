"""Apache Kafka on one machine: a single KRaft node that is broker and controller, reached on 127.0.0.1 only.

    configuration(...)  -> write it to a file
    format_command(...) -> run it once, on a folder without data; formatted before, it does nothing
    start_command(...)  -> run it for as long as the broker shall live; SIGTERM ends it in good order

`deploy/kafka/fetch.sh` fetches the jars.
"""
from __future__ import annotations

from pathlib import Path

CLUSTER = "MDAwMDAwMDAwMDAwMDAwMQ"   # Kafka wants an id; there is one cluster on this machine
HEAP = "512m"


def configuration(folder: Path, port: int, controller_port: int) -> str:
    """The properties file. Everything is kept under `folder`; topics exist only when somebody has made them."""
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "log.dirs": folder / "topics",
        "auto.create.topics.enable": "false",
        "min.insync.replicas": 1,
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 10,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "broker.heartbeat.interval.ms": 500,    # after a crash, the node waits until it is sure that it is dead:
        "broker.session.timeout.ms": 3000,      # not for nine seconds
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def format_command(jars: Path, properties: Path) -> list[str]:
    return [*_java(jars), "kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted",
            "--cluster-id", CLUSTER, "--config", str(properties)]


def start_command(jars: Path, properties: Path) -> list[str]:
    return [*_java(jars, f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"),
            "kafka.Kafka", str(properties)]


def _java(jars: Path, *flags: str) -> list[str]:
    return ["java", *flags, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*"]
