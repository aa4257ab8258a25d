"""The checks on whole runs: sound ones in which nothing is broken, and ones with planted bugs.

Each planted bug takes a safeguard out of the protocol; the check that is there for it notices.
"""

import ast
from dataclasses import replace as with_changes
from pathlib import Path

import pytest

from vectorkit.replication import ReplicaStatus, ReplicationOptions
from vectorkit.replication.master.peer import Peer
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.messages import Ack
from vectorkit.replication.replica.replica import ReplicaRole
from vectorkit.sim import Cluster, ClusterOptions, Failover, Link, Workload, checks, majority
from vectorkit.sim.checks.run_all import CHECKS

SAFE = ClusterOptions(replicas=2, write_concern=majority())
LOAD = Workload(
    writes_per_s=20,
    reads_per_s=30,
    clients=2,
    source="uniform:6x4",
    insert_share=0.3,
    delete_share=0.2,
    client_timeout_ms=2_000,
    avoid_ms=500,
)


def broken(run):
    return {each.name: each.evidence for each in run.check().broken}


def with_failover(options=SAFE, load=LOAD, *, seed=7, policy="master"):
    """The master crashes, another is promoted, the first one comes back."""
    load = with_changes(load, read_policy=policy)
    cluster = Cluster(options, seed=seed, workload=load)
    cluster.advance(ms=1_000)
    cluster.crash("node-0")
    cluster.advance(ms=300)
    cluster.promote("node-1")
    cluster.advance(ms=1_000)
    cluster.restart("node-0")
    cluster.advance(ms=1_500)
    return cluster.finish()


POLICIES = {
    "linearizable": {"linearizable", "read_your_writes", "monotonic_reads", "writes_follow_reads"},
    "read_your_writes": {"read_your_writes"},
    "bounded_staleness": {"bounded_staleness"},
    "sticky": {"monotonic_reads"},
    "confirmed": set(),
    "nearest": set(),
    "master": set(),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_broken_by_a_failover_and_what_is_promised_is_held(policy):
    found = with_failover(policy=policy).check()
    assert found.broken == ()
    always = {"acknowledged_writes_survive", "nodes_converge", "reads_match_their_history"}
    for name in POLICIES[policy] | always | {"acknowledged_writes_share_a_branch"}:
        assert (found[name].verdict, found[name].is_promised) == ("held", True), found[name]


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_broken_by_lost_disks_cuts_and_torn_logs_on_lossy_links(seed):
    options = ClusterOptions(
        replicas=3,
        write_concern=majority(),
        failover=Failover(),
        link=Link(delay_ms=2, jitter_ms=5, loss=0.05),
        replication=ReplicationOptions(checkpoint_operations=20, refresh_ms=50),
    )
    cluster = Cluster(options, seed=seed, workload=LOAD)
    cluster.advance(ms=1_000)
    cluster.crash("node-0", lose_disk=True)
    cluster.advance(ms=6_000)
    cluster.cut("node-1")
    cluster.crash("node-2", lose_unsynced=False)
    cluster.restart("node-0")
    cluster.advance(ms=2_000)
    cluster.heal()
    cluster.restart("node-2")
    cluster.advance(ms=3_000)
    found = cluster.finish().check()
    assert found.broken == ()
    assert found["acked_is_durable"].verdict == "held"


def test_an_asynchronous_cluster_that_loses_writes_is_counted_and_not_blamed():
    cluster = Cluster(ClusterOptions(replicas=2), seed=7)
    cluster.store.create_collection("words", dim=2)
    cluster.advance(ms=500)
    cluster.cut("node-0")
    for name in ("king", "queen", "page"):
        cluster.store.upsert("words", [name], [[1, 0]])
    cluster.advance(ms=10)
    cluster.promote("node-1")
    run = cluster.finish()
    found = run.check()
    lost = found["acknowledged_writes_survive"]
    assert found.broken == ()
    assert (lost.verdict, lost.is_promised, lost.observed_count) == ("seen_not_promised", False, 3)
    assert lost.evidence[0] == "not promised: the write concern asks for no replica"
    assert run.operations["fate"].value_counts().to_dict() == {"kept": 3, "lost": 3}
    assert run.explain(3, epoch=1 << 16).headline.endswith(
        "not promised: the write concern asks for no replica. "
        "Other histories have another write there: node-1@2."
    )


# Planted bugs


def promote_the_laggard(monkeypatch):
    """One answer is enough for a promotion: a node that lacks acknowledged writes can win."""
    monkeypatch.setattr(Member, "quorum", 1)
    cluster = Cluster(SAFE, seed=7)
    cluster.store.create_collection("words", dim=2)
    cluster.confirm()
    cluster.cut("node-1")
    cluster.store.upsert("words", ["king"], [[1, 0]])
    cluster.confirm()
    cluster.promote("node-1")
    return cluster.finish()


def ack_before_the_disk(monkeypatch):
    """A replica names all that it has received as flushed."""

    def ack(self, generation):
        received = self.received_offset
        here = self.log.head
        return Ack(generation, here, received, received, self.applied_offset, self.visible_offset)

    def extend(self, records, hashes):
        original(self, records, hashes)
        if isinstance(self.role, ReplicaRole):
            self.role._send_ack()

    original = Member.extend
    monkeypatch.setattr(Member, "ack", ack)
    monkeypatch.setattr(Member, "extend", extend)
    return with_failover()


def show_more_than_is_applied(monkeypatch):
    """A replica says that readers see an operation that it has not got."""

    def ack(self, generation):
        here, offset = self.flushed, self.flushed.offset
        return Ack(generation, here, self.received_offset, offset, offset, offset + 1)

    monkeypatch.setattr(Member, "ack", ack)
    cluster = Cluster(SAFE, seed=7)
    cluster.store.create_collection("words", dim=2)
    cluster.advance(ms=100)
    return cluster.finish()


def always_connected(monkeypatch):
    """A master takes every replica for healthy."""
    monkeypatch.setattr(Peer, "status", lambda *_: ReplicaStatus.CONNECTED)
    cluster = Cluster(SAFE, seed=7, workload=LOAD)
    cluster.advance(ms=500)
    cluster.cut("node-1")
    cluster.advance(ms=9_000)
    return cluster.finish()


def full_syncs_for_nothing(monkeypatch):
    """A master answers every handshake with all that it has."""
    monkeypatch.setattr(
        "vectorkit.replication.protocol.log.ReplicationLog.refusal", lambda *_: "too_old"
    )
    cluster = Cluster(SAFE, seed=7)
    cluster.store.create_collection("words", dim=2)
    cluster.advance(ms=500)
    cluster.crash("node-1")
    cluster.restart("node-1")
    cluster.advance(ms=500)
    return cluster.finish()


def stale_linearizable_reads(monkeypatch):
    """Any node answers a linearizable read from what it has."""
    monkeypatch.setattr("vectorkit.replication.reads.MASTER_POLICIES", ())
    monkeypatch.setattr("vectorkit.replication.routing._ROUTES", {"linearizable": _second_node})
    options = with_changes(SAFE, replication=ReplicationOptions(refresh_ms=500))
    load = with_changes(LOAD, read_policy="linearizable")
    cluster = Cluster(options, seed=7, workload=load)
    cluster.advance(ms=3_000)
    return cluster.finish()


def _second_node(view):
    return "node-1"


PLANTED = {
    promote_the_laggard: "acknowledged_writes_survive",
    ack_before_the_disk: "acked_is_durable",
    show_more_than_is_applied: "positions_are_in_order",
    always_connected: "status_is_honest",
    full_syncs_for_nothing: "full_syncs_have_a_cause",
    stale_linearizable_reads: "linearizable",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant, monkeypatch):
    assert PLANTED[plant] in broken(plant(monkeypatch))


# The checks themselves


def test_checks_import_nothing_of_the_protocol():
    paths = sorted(Path(checks.__file__).parent.glob("*.py"))
    assert len(paths) > 10
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("vectorkit.replication") for name in names), path


def test_each_check_is_told_once_and_in_the_same_order():
    run = with_failover()
    names = [each.name for each in run.check()]
    assert len(names) == len(set(names)) == 37
    assert len(CHECKS) == 33
    assert names[0] == "acknowledged_writes_survive"
    assert run.check()[names[0]] == run.check()[0]


def test_acks_that_come_with_heartbeats_are_acks_too():
    cluster = Cluster(SAFE, seed=7)
    cluster.advance(ms=2_500)
    acks = [row for row in cluster.finish().trace.rows if row.event == "ack"]
    assert {row.kind for row in acks} == {"", "heartbeat"}
    assert {row.number for row in acks if row.kind == "heartbeat"} == {1}


def test_the_docs_name_every_check():
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text("utf-8")
    table = page[page.index("| check | what it looks at |") :].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in row.replace("`", "").replace(",", "").split()}
    assert told == {each.name for each in Cluster(SAFE).finish().check()}
