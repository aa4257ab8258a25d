"""A plot of nothing says why it is empty, and what to do about it."""

import pytest
from matplotlib.figure import Figure

from vectorkit import frames, measure, plot, sim
from vectorkit.plot.loss import LOSS
from vectorkit.plot.runbook import RUNBOOK

SAID = {
    "plot_health": (frames.HEALTH, "replicas=1 or more"),
    "plot_lag": (frames.HEALTH, "replicas=1 or more"),
    "plot_recall": (frames.RECALL, "a workload and ClusterOptions(recall_every_ms=500)"),
    "plot_staleness": (frames.READS, "Workload(reads_per_s=50)"),
    "plot_operation_life": (frames.OPERATIONS, "Workload(writes_per_s=50)"),
    "plot_timeline": (frames.MESSAGES, "change from_ms and to_ms"),
    "plot_loss": (LOSS, "rows of concern, seed, acknowledged and lost"),
    "plot_runbook": (RUNBOOK, "rows of kind, step, operation, rows and recall"),
    "plot_update_spread": (measure.UPDATE_LATENCY, "measure.update_latency rows and batches"),
    "plot_update_latency": (measure.UPDATE_LATENCY, "measure.update_latency rows and batches"),
    "plot_recall_latency": (measure.RECALL_LATENCY, "measure.recall_latency kinds and queries"),
}


def said(ax):
    return [" ".join(text.get_text().split()) for text in ax.texts]


@pytest.mark.parametrize("name", SAID)
def test_a_plot_of_nothing_says_why_and_what_to_do(name):
    schema, remedy = SAID[name]
    frame = frames.of_rows([], schema)
    ax = getattr(plot, name)(frame, ax=Figure(figsize=(5, 3)).subplots())
    (text,) = [each for each in said(ax) if remedy in each]
    assert text.endswith(".")


def test_a_run_without_recall_says_which_option_to_set():
    load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    run = sim.simulate(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500)
    assert "recall_every_ms=500" in said(run.plot_recall(ax=Figure().subplots()))[0]


def test_a_node_that_was_never_compared_is_named():
    load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    options = sim.ClusterOptions(replicas=1, recall_every_ms=100)
    run = sim.simulate(options, workload=load, duration_ms=500)
    assert said(run.plot_recall(node="node-0", ax=Figure().subplots())) == [
        "node-0 was never compared with its master: give a node that was a replica."
    ]
    assert said(run.plot_recall(node="node-1", ax=Figure().subplots())) == []


def test_a_plot_of_something_says_nothing():
    run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    axes = Figure().subplots(2)
    assert said(run.plot_lag(ax=axes[0])) == []
    assert said(run.plot_timeline(ax=axes[1])) == run.roles["epoch"].dropna().tolist()
