"""A Kafka broker as somebody else runs it: one node, with a plain listener for Kafka's own tools and one with TLS and SASL for us."""
import os
import subprocess
from pathlib import Path

from system import MARK, ask_socket, free_port, wait_until

USER = "millrace"
JARS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "millrace/kafka-4.3.1"


class OwnKafka:
    def __init__(self, home, mark, password):
        self.home = Path(home)
        self.home.mkdir(parents=True)
        self.mark = mark
        self.plain, self.secure, self.controller = free_port(), free_port(), free_port()
        self.process = None
        key, certificate = self.home / "key.pem", self.home / "ca.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        (self.home / "both.pem").write_text(key.read_text() + certificate.read_text())
        (self.home / "log4j2.properties").write_text("rootLogger.level=WARN\nrootLogger.appenderRefs=c\nrootLogger.appenderRef.c.ref=c\n"
                                                     "appender.c.type=Console\nappender.c.name=c\n")
        jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        (self.home / "server.properties").write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{self.controller}\n"
            f"listeners=PLAIN://127.0.0.1:{self.plain},SECURE://127.0.0.1:{self.secure},CONTROLLER://127.0.0.1:{self.controller}\n"
            f"advertised.listeners=PLAIN://127.0.0.1:{self.plain},SECURE://127.0.0.1:{self.secure}\n"
            "listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT\n"
            "inter.broker.listener.name=PLAIN\ncontroller.listener.names=CONTROLLER\n"
            "sasl.enabled.mechanisms=SCRAM-SHA-256\n"
            f"listener.name.secure.scram-sha-256.sasl.jaas.config={jaas}\n"
            f"listener.name.secure.ssl.keystore.type=PEM\nlistener.name.secure.ssl.keystore.location={self.home}/both.pem\n"
            f"log.dirs={self.home}/data\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=2\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\ndefault.replication.factor=1\n"
            "min.insync.replicas=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n"
            "log.cleaner.dedupe.buffer.size=8388608\n")
        self.run("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", self.home / "server.properties",
                 "--add-scram", f"SCRAM-SHA-256=[name={USER},password={password}]")

    def words(self, main, *words):
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={self.home}/log4j2.properties",
                "-cp", f"{JARS}/*", main, *map(str, words)]

    def run(self, main, *words):
        """One of Kafka's tools."""
        done = subprocess.run(self.words(main, *words), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (main, words, done.stdout, done.stderr)
        return done.stdout

    def tool(self, main, *words):
        return self.run(main, "--bootstrap-server", f"127.0.0.1:{self.plain}", *words)

    def set_password(self, password):
        self.tool("kafka.admin.ConfigCommand", "--alter", "--entity-type", "users", "--entity-name", USER, "--add-config",
                  f"SCRAM-SHA-256=[password={password}]")

    def partitions(self, topic):
        described = self.tool("org.apache.kafka.tools.TopicCommand", "--describe", "--topic", topic)
        return int(described.split("PartitionCount:")[1].split()[0])

    def start(self):
        with (self.home / "kafka.log").open("ab") as log:
            self.process = subprocess.Popen(self.words("kafka.Kafka", self.home / "server.properties"), stdout=log, stderr=log,
                                            start_new_session=True, env={**os.environ, MARK: self.mark})
        wait_until(lambda: ask_socket(self.secure), "the broker listens")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def settings(self, password):
        return {"event_log.kind": "kafka", "kafka.brokers": f"127.0.0.1:{self.secure}", "kafka.replication_factor": 1,
                "kafka.min_in_sync": 1,
                "kafka.client": f"security.protocol=SASL_SSL;sasl.mechanisms=SCRAM-SHA-256;sasl.username={USER};"
                                f"sasl.password={password};ssl.ca.location={self.home}/ca.pem"}
