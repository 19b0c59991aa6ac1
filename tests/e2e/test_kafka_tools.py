"""Kafka's own tools and kcat read the topics of a running system and see its groups; `millrace` and the API say the same.

The numbers stand still while they are compared: no orders come in between.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import end
from system import REPOSITORY, Millrace, ask, wait_until
from test_kafka import kafka_settings

TOPICS = ("order.events", "order.events-dlq", "orders_analytics", "orders_analytics-dlq")
GROUPS = {"order-event-transformer": "order.events", "clickhouse-sink-orders": "orders_analytics"}
READER = "a-reader-with-kcat"  # a group of its own that has read a part
READ = 5
ADMIN = {"X-Admin-Id": "e2e"}


def jars():
    version = re.search(r'MILLRACE_KAFKA_VERSION "([^"]+)"', (REPOSITORY / "cmake/Kafka.cmake").read_text())[1]
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"millrace/kafka-{version}/*"


def need(name):
    found = shutil.which(name)
    assert found, f"{name} is not installed; scripts/bootstrap --test installs it"
    return found


def begin(*words):
    return subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process, seconds=240):
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0, (process.args, process.returncode, out, err)
    return out


def kcat(brokers, *words):
    return output(begin(need("kcat"), "-b", brokers, *words))


def begin_java(main_class, *words):
    return begin(need("java"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-Dlog4j2.level=ERROR", "-cp", jars(),
                 main_class, *words)


def answer(millrace, *words):
    done = millrace.run(*words, "--json")
    assert done.code == 0, (words, done.err)
    return json.loads(done.out)


def committed(millrace):
    """13 events went through both stages, and all members have all partitions."""
    groups = {group["group"]: group for group in answer(millrace, "groups")["groups"]}
    return set(groups) == set(GROUPS) and all(
        len(group["partitions"]) == 3 and group["lag"] == 0 and sum(p["committed"] or 0 for p in group["partitions"]) == 13
        for group in groups.values())


@pytest.fixture(scope="module")
def millrace():
    folder = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    instance = Millrace(folder / "shared", **kafka_settings())
    try:
        instance.start()
        orders = [instance.order() for _ in range(12)]
        assert instance.delete(orders[0]["id"]).status == 204
        wait_until(lambda: committed(instance), "everything is committed")
        kcat(instance.settings["kafka.brokers"], "-q", "-G", READER, "-X", "auto.offset.reset=earliest", "-c", READ, "order.events")
        yield instance
    finally:
        end([instance], folder)


@pytest.fixture(scope="module")
def brokers(millrace):
    return millrace.settings["kafka.brokers"]


@pytest.fixture(scope="module")
def tools(millrace, brokers):
    """What Kafka's own tools print. They start at the same time, because a Java program takes seconds to start."""
    at = ("--bootstrap-server", brokers)
    begun = {
        "topics": begin_java("org.apache.kafka.tools.TopicCommand", *at, "--describe"),
        "groups": begin_java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *at, "--describe", "--all-groups"),
        "quorum": begin_java("org.apache.kafka.tools.MetadataQuorumCommand", *at, "describe", "--status"),
        "messages": begin_java("org.apache.kafka.tools.consumer.ConsoleConsumer", *at, "--topic", "order.events", "--from-beginning",
                               "--max-messages", "13", "--timeout-ms", "60000", "--group", "a-console-reader"),
    }
    try:
        return {name: output(process) for name, process in begun.items()}
    finally:
        for process in begun.values():
            process.kill()


def by_number(topic):
    return {entry["partition"]: entry for entry in topic["partitions"]}


def test_kcat_sees_the_same_brokers_and_partitions(millrace, brokers):
    seen = json.loads(kcat(brokers, "-L", "-J"))
    cluster = answer(millrace, "cluster")
    assert cluster["eventLog"] == "kafka"
    assert {entry["id"]: entry["name"] for entry in seen["brokers"]} == \
        {entry["id"]: f'{entry["host"]}:{entry["port"]}' for entry in cluster["brokers"]}
    assert all(entry["up"] for entry in cluster["brokers"]) and len(cluster["brokers"]) == 3
    topics = {entry["topic"]: entry for entry in answer(millrace, "topics")["topics"]}
    assert set(TOPICS) <= set(topics)
    assert set(topics) == {entry["topic"] for entry in seen["topics"]}
    for entry in seen["topics"]:
        ours = by_number(topics[entry["topic"]])
        assert len(ours) == len(entry["partitions"])
        for partition in entry["partitions"]:
            mine = ours[partition["partition"]]
            assert mine["leader"] == partition["leader"]
            assert mine["replicas"] == [replica["id"] for replica in partition["replicas"]]
            assert mine["inSync"] == sorted(replica["id"] for replica in partition["isrs"])


def test_kcat_reads_every_message_that_is_counted(millrace, brokers):
    for name in ("order.events", "orders_analytics"):
        lines = kcat(brokers, "-C", "-q", "-e", "-o", "beginning", "-J", "-t", name).splitlines()
        read = {(line["partition"], line["offset"]): line for line in map(json.loads, lines)}
        topic = answer(millrace, "topics", "show", name)
        assert len(read) == topic["messages"] == 13
        for partition in topic["partitions"]:
            offsets = [offset for number, offset in read if number == partition["partition"]]
            assert len(offsets) == partition["messages"]
            assert partition["end"] == partition["begin"] + partition["messages"]
            assert all(partition["begin"] <= offset < partition["end"] for offset in offsets)
        shown = answer(millrace, "topics", "tail", name, "--last", "100")["messages"]
        assert [message["format"] for message in shown] == ["json"] * 13
        assert {(m["partition"], m["offset"]): (m["key"], m["value"], [v for h in m["headers"] for v in (h["name"], h["value"])]) for m in shown} == \
            {place: (line["key"], json.loads(line["payload"]), line["headers"]) for place, line in read.items()}
        assert [m["time"] for m in shown] == sorted(m["time"] for m in shown)


def test_the_topic_tool_says_the_same(millrace, tools):
    described = {}
    for line in tools["topics"].splitlines():
        fields = dict(re.findall(r"(\w+): *([^\t]*)", line))
        if "TopicId" in fields:
            described[fields["Topic"]] = (fields, [])
        elif "Partition" in fields:
            described[fields["Topic"]][1].append(fields)
    assert set(TOPICS) <= set(described)
    for name in TOPICS:
        head, partitions = described[name]
        topic = answer(millrace, "topics", "show", name)
        assert (head["PartitionCount"], head["ReplicationFactor"]) == (str(topic["partitionCount"]), str(topic["replicationFactor"])) == ("3", "3")
        # The same 16 bytes, in the two alphabets of base64.
        assert head["TopicId"] == topic["topicId"]
        settings = {setting["name"]: setting["value"] for setting in topic["settings"]}
        assert settings["min.insync.replicas"] == "2"
        for setting in head["Configs"].strip().split(","):
            key, _, value = setting.partition("=")
            assert settings[key] == value
        for fields in partitions:
            mine = by_number(topic)[int(fields["Partition"])]
            assert (str(mine["leader"]), ",".join(map(str, mine["replicas"]))) == (fields["Leader"].strip(), fields["Replicas"].strip())
            assert mine["inSync"] == sorted(map(int, fields["Isr"].strip().split(",")))


def test_the_group_tool_says_the_same_lag(millrace, tools):
    rows = {}
    for line in tools["groups"].splitlines():
        words = line.split()
        if len(words) == 9 and words[0] != "GROUP":
            group, topic, partition, committed, end, lag, member, host, client = words
            rows[group, topic, int(partition)] = (committed, end, lag, member, host.lstrip("/"), client)
    seen = answer(millrace, "groups")["groups"]
    assert {group["group"] for group in seen} >= {*GROUPS, READER}

    def text(value):
        return "-" if value is None else str(value)

    for name in (*GROUPS, READER):
        group = answer(millrace, "groups", "show", name)
        assert group == next(other for other in seen if other["group"] == name)
        members = {member["id"]: member for member in group["members"]}
        ours = {}
        for p in group["partitions"]:
            member = members.get(p["memberId"], {"host": "-", "clientId": "-"})
            ours[name, p["topic"], p["partition"]] = (text(p["committed"]), text(p["end"]), text(p["lag"]), text(p["memberId"]), member["host"], member["clientId"])
        assert ours == {key: row for key, row in rows.items() if key[0] == name}
        if name == READER:
            assert (group["state"], sum(p["committed"] for p in group["partitions"])) == ("Empty", READ)
            assert group["lag"] == sum(p["end"] for p in group["partitions"]) - READ
        else:
            assert (group["state"], group["lag"], len(group["members"])) == ("Stable", 0, 1)
            assert {p["topic"] for p in group["partitions"]} == {GROUPS[name]}


def test_the_quorum_tool_names_the_same_cluster(millrace, tools):
    fields = dict(line.split(":", 1) for line in tools["quorum"].splitlines() if ":" in line)
    cluster = answer(millrace, "cluster")
    assert cluster["clusterId"] == fields["ClusterId"].strip()


def test_the_console_consumer_reads_the_same_events(millrace, tools):
    def kinds(events):
        return sorted((event["eventType"], event["orderId"]) for event in events)
    read = [json.loads(line) for line in tools["messages"].splitlines()]
    shown = answer(millrace, "topics", "tail", "order.events", "--last", "100")["messages"]
    assert kinds(read) == kinds(message["value"] for message in shown)


def test_the_api_says_what_the_command_line_says(millrace):
    for path, words in (("cluster", ["cluster"]), ("topics/order.events", ["topics", "show", "order.events"])):
        assert json.loads(millrace.http("GET", f"/api/kafka/{path}").text) == answer(millrace, *words)
    mine = {topic["topic"]: topic for topic in answer(millrace, "topics")["topics"]}
    for topic in millrace.get("/api/kafka/topics")["topics"]:
        assert topic["internal"] or topic == mine[topic["topic"]]
    groups = {group["group"]: group for group in answer(millrace, "groups")["groups"]}
    for name in GROUPS:
        group = json.loads(millrace.http("GET", f"/api/kafka/groups/{name}").text)
        trend = group.pop("trend")
        assert group == {key: value for key, value in groups[name].items() if key != "trend"}
        assert trend["direction"] in ("unknown", "steady", "growing", "shrinking")
        assert all(sample["lag"] >= 0 for sample in trend["samples"])
    last = millrace.http("GET", "/api/kafka/topics/order.events/messages?last=3", headers=ADMIN)
    assert json.loads(last.text) == answer(millrace, "topics", "tail", "order.events", "--last", "3")


def test_the_api_refuses_what_it_cannot_answer(millrace):
    base = "/api/kafka/topics/order.events/messages"
    assert millrace.http("GET", base).status == 400
    for query in ("last=0", "last=201", "last=x", "partition=-1", "partition=x", "text=2"):
        assert millrace.http("GET", f"{base}?{query}", headers=ADMIN).status == 400, query
    for path in (f"{base}?partition=3", "/api/kafka/topics/no.such.topic", "/api/kafka/topics/no.such.topic/messages", "/api/kafka/groups/no-such-group",
                 "/api/kafka/topics/a%20b"):
        refused = millrace.http("GET", path, headers=ADMIN)
        assert refused.status == 404, path
        assert refused.problem()
    for body in ("", "[]", '{"topic": "a b", "partitions": 1}', '{"topic": "a", "partitions": 0}', '{"topic": "a"}'):
        assert millrace.http("POST", "/api/kafka/topics", body, ADMIN).status == 400, body
    assert millrace.http("POST", "/api/kafka/topics", {"topic": "a", "partitions": 1}).status == 400


def test_commands_say_in_one_line_what_is_wrong(millrace):
    for words, code, says in ((("topics", "show", "no.such.topic"), 3, "no.such.topic"), (("groups", "show", "no-such-group"), 3, "no-such-group"),
                              (("topics", "tail", "order.events", "--partition", "3"), 3, "partitions 0 to 2"),
                              (("topics", "create", "order.events", "--partitions", "4"), 4, "3 partitions"),
                              (("topics", "create", "a b", "--partitions", "1"), 2, "a b")):
        done = millrace.run(*words)
        assert done.code == code, (words, done)
        assert says in done.complaint()
    nobody = millrace.run("cluster", "--event-log-kind", "kafka", "--kafka-brokers", "127.0.0.1:1", own_settings=False)
    assert nobody.code == 5 and "127.0.0.1:1 (kafka.brokers)" in nobody.complaint(), nobody


def test_a_topic_is_made_once_and_shown(millrace):
    for says in ("was created", "already exists"):
        done = millrace.run("topics", "create", "made.by.hand", "--partitions", "2")
        assert done.code == 0 and says in done.out, done
    wait_until(lambda: millrace.run("topics", "show", "made.by.hand").code == 0, "the topic is known")
    table = millrace.run("topics")
    assert "made.by.hand" in table.out and "__consumer_offsets" not in table.out, table
    assert millrace.run("topics", "tail", "made.by.hand").out == "made.by.hand holds no message\n"


def test_orders_go_on_while_no_broker_answers_and_the_view_comes_back(millrace):
    nodes = [pid for pid, command in millrace.processes().items() if "/server.properties" in command]
    assert len(nodes) == 3
    for pid in nodes:
        os.kill(pid, signal.SIGSTOP)
    try:
        away = wait_until(lambda: next((a for a in [ask(millrace.api_port, "GET", "/api/kafka/groups")] if a.status == 503), None), "the view says that no broker answers")
        assert away.problem() and away.headers["retry-after"]
        created = millrace.order()
    finally:
        for pid in nodes:
            os.kill(pid, signal.SIGCONT)
    for path in ("cluster", "topics", "groups"):
        wait_until(lambda: millrace.http("GET", f"/api/kafka/{path}").status == 200, f"the view of {path} is back")
    wait_until(lambda: millrace.warehouse_order(created["id"]) == ("PENDING", "0", "CREATED"), "the order arrives")
