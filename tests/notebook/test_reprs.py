"""Whatever a cell ends with is one line, and a small table that no id can break out of."""

import re
from html import unescape

import numpy as np
import pytest

import vectorkit as vk
from tests.notebook.runs import failover
from vectorkit import replication, sim
from vectorkit.collections import Row
from vectorkit.collections.results import BatchMatches, Matches, WriteResult
from vectorkit.datasets import Dataset
from vectorkit.notebook.dashboard import Dashboard
from vectorkit.notebook.fault_lab import FaultLab
from vectorkit.notebook.update_lab import UpdateLab
from vectorkit.notebook.widgets import Still

SCRIPT = "<script>alert('x')</script>"
SMALL = sim.Scenario(sim.ClusterOptions(replicas=1), duration_ms=100)


def words(kind=vk.CpuCollection, **options):
    made = kind(dim=8, name=SCRIPT, **options)
    made.insert([SCRIPT, "b"], np.eye(2, 8))
    return made


def store():
    made = vk.VectorStore()
    made.create_collection(SCRIPT, dim=2).insert([SCRIPT], [[1, 0]], [{SCRIPT: SCRIPT}])
    return made


def cluster():
    made = sim.Cluster(sim.ClusterOptions(replicas=1), seed=7)
    made.advance(ms=100)
    return made


def cluster_of_scripts():
    made = cluster()
    made.store.create_collection(SCRIPT, dim=2).upsert([SCRIPT], [[1, 0]])
    made.advance(ms=100)
    return made


MAKERS = {
    "Row": lambda: Row(SCRIPT, np.arange(500, dtype=np.float32), {SCRIPT: SCRIPT}),
    "WriteResult": lambda: WriteResult(1, 2, 3, 4),
    "Matches": lambda: Matches((SCRIPT, "b"), np.ones(2, np.float32), "dot"),
    "BatchMatches": lambda: BatchMatches(
        np.array([[SCRIPT]], object), np.ones((1, 1), np.float32), np.ones(1, np.int32), "dot"
    ),
    "CpuCollection": words,
    "ShardedCollection": lambda: words(vk.ShardedCollection),
    "QuantizedCollection": lambda: words(vk.QuantizedCollection, codec="int8"),
    "CodecReport": lambda: words(vk.QuantizedCollection, codec="int8").codec_report(),
    "Memory": lambda: words().memory(),
    "Snapshot": lambda: words().snapshot(),
    "VectorStore": store,
    "StoreSnapshot": lambda: store().snapshot(),
    "QueryCache": vk.QueryCache,
    "CacheStats": lambda: vk.QueryCache().stats(),
    "Dataset": lambda: Dataset(SCRIPT, (SCRIPT,), np.ones((1, 2), np.float32), ({},)),
    "Cluster": cluster,
    "Run": failover,
    "Findings": lambda: failover().check(),
    "Finding": lambda: sim.Finding("lag", "broken", True, 1, (SCRIPT,) * 9),
    "Explanation": lambda: sim.explain(cluster_of_scripts().finish(), 3),
    "StuckNode": lambda: sim.simulate(
        sim.ClusterOptions(replicas=1, link=sim.Link(loss=1.0)), duration_ms=100
    ).stuck[0],
    "Scenario": lambda: SMALL,
    "Workload": lambda: sim.Workload(writes_per_s=5, payload_bytes=7),
    "PlannedRequest": lambda: sim.PlannedRequest(at_ms=5),
    "KeptSeed": lambda: sim.KeptSeed(seed=7, check="lag", evidence=(SCRIPT,), scenario=SMALL),
    "ClusterOptions": lambda: SMALL.options,
    "Link": sim.Link,
    "Disk": sim.Disk,
    "Failover": lambda: sim.Failover(deadline_ms=7),
    "WriteConcern": sim.majority,
    "ReplicationOptions": lambda: replication.ReplicationOptions(heartbeat_ms=7),
    "Pause": lambda: sim.Pause(at_ms=5, node=SCRIPT),
    "Partition": lambda: sim.Partition(at_ms=5, isolate=[f"{n}{SCRIPT}" for n in range(30)]),
    "ReplicationStats": lambda: cluster().stats("node-0"),
    "ReplicaInfo": lambda: cluster().replicas()[0],
    "NodeStatus": lambda: cluster().status("node-0"),
    "Promotion": lambda: cluster().promote("node-1"),
}
"""What has a table, by the name of its type."""
LIVE = {
    "Dashboard": lambda: Dashboard(failover()),
    "FaultLab": lambda: FaultLab(SMALL),
    "UpdateLab": UpdateLab,
}
LONG = {"ReplicationStats", "ReplicaInfo", "NodeStatus", "Partition", "KeptSeed"}
"""Records of many figures, and of many names: their line is long, their table is not."""


@pytest.mark.parametrize("name", MAKERS | LIVE)
def test_a_repr_is_one_line_that_names_its_type(name):
    shown = repr((MAKERS | LIVE)[name]())
    assert shown.startswith(f"{name}(")
    assert shown.endswith(")")
    assert "\n" not in shown
    assert " at 0x" not in shown
    assert len(shown) <= 180 or name in LONG


@pytest.mark.parametrize("name", MAKERS)
def test_a_table_is_small_escaped_and_always_the_same(name):
    made = MAKERS[name]()
    html = made._repr_html_()
    assert html == made._repr_html_()
    assert html.startswith(("<table>", "<p>"))
    assert "<script" not in html.lower()
    assert (
        re.sub(r"</?(table|thead|tbody|tr|th|td|p)( colspan=\"\d+\")?>", "", html).count("<") == 0
    )
    assert len(html) < 12_000


HOSTILE = [
    "Row", "Matches", "BatchMatches", "CpuCollection", "ShardedCollection", "QuantizedCollection",
    "Snapshot", "VectorStore", "StoreSnapshot", "Dataset", "Finding", "Pause", "Partition",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is(name):
    assert "<script>alert(" in unescape(MAKERS[name]()._repr_html_())


def test_a_still_is_a_line_and_html():
    assert "\n" not in repr(Still(SCRIPT, ""))
    assert "<script" not in Still(SCRIPT, "")._repr_html_()


def test_options_tell_what_differs_from_the_defaults_and_records_tell_everything():
    link = sim.Link(loss=0.25, sample_ms=(1, 2, 3))
    assert link._repr_html_() == (
        "<table><tr><th>type</th><td>Link</td></tr><tr><th>loss</th><td>0.25</td></tr>"
        "<tr><th>sample_ms</th><td>(1, 2, 3)</td></tr></table>"
    )
    assert sim.Link()._repr_html_() == (
        "<table><tr><th>type</th><td>Link</td></tr>"
        "<tr><th></th><td>all as by default</td></tr></table>"
    )
    assert WriteResult(1, 2, 3, 4)._repr_html_().count("<tr>") == 1 + 4


def test_a_long_scenario_is_cut_short():
    faults = [sim.Pause(at_ms=n, for_ms=1, node="node-1") for n in range(50)]
    scenario = sim.Scenario(sim.ClusterOptions(replicas=1), faults=faults, seed=7)
    shown = repr(scenario)
    assert shown.startswith("Scenario(options=ClusterOptions(replicas=1), faults=(Pause(at_ms=0, ")
    assert shown.endswith("…)")
    assert len(shown) == 150
    assert repr(sim.Scenario(seed=7)) == "Scenario(seed=7)"


def test_a_long_value_is_cut_short_in_a_table():
    row = Row("a", np.zeros(2, np.float32), {"text": "x" * 10_000})
    assert len(row._repr_html_()) < 600
    assert "x…" in row._repr_html_()


def test_collections_of_a_store_have_a_row_each():
    made = vk.VectorStore()
    made.create_collection("words", dim=2, metric="dot").insert(["a"], [[1, 0]])
    made.create_collection("more", dim=3)
    cells = re.findall(r"<td>(.*?)</td>", made._repr_html_())
    assert cells == [
        "words", "CpuCollection", "1", "2", "dot", "1",
        "more", "CpuCollection", "0", "3", "cosine", "0",
    ]  # fmt: skip
    assert repr(made.snapshot()) == "StoreSnapshot({'words': 1, 'more': 0})"


def test_a_write_s_life_is_a_table_of_its_steps():
    made = cluster()
    made.store.create_collection("words", dim=2)
    made.advance(ms=100)
    told = made.finish().explain(2)
    assert repr(told) == f"Explanation({told.headline})"
    assert told._repr_html_().startswith(f"<p>{told.headline}</p><table>")
    assert told._repr_html_().count("<tr>") == 1 + len(told.steps)
