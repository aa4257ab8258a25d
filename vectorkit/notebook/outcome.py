"""The outcome of a run in the numbers that matter after faults: loss, silence, lag, checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from vectorkit.display import facts_table
from vectorkit.sim import Findings
from vectorkit.sim.checks.acknowledged import lost_writes
from vectorkit.sim.sweeps.summary import masterless_ns
from vectorkit.units import ms_to_ns, ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run

_SURVIVAL = "acknowledged_writes_survive"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Summary of the writes, the nodes and the checks of a run."""

    asked: int
    answered: int
    failed: int
    lost: int
    """The number of acknowledged writes that the final history lacks."""
    is_promised: bool
    """Whether the options promise that no acknowledged write is lost."""
    silence_ms_max: float
    """The longest time without an answered write while clients sent writes."""
    masterless_ms: float
    """The total time without a master."""
    lag_ms_max: dict[str, float]
    """The largest true lag of each sampled node."""
    findings: Findings
    trace_hash: str


def outcome_of(run: Run) -> Outcome:
    """Return the outcome of a run.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=10, source="uniform:20x4")
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), workload=load, duration_ms=1_000)
    >>> outcome_of(run).answered, outcome_of(run).lost
    (10, 0)
    """
    writes = [each for each in run.evidence.requests if each.is_write]
    answered_ns = sorted(
        each.completed_ns for each in writes if each.is_ok and each.completed_ns is not None
    )
    asked_ns = [each.invoked_ns for each in writes]
    lags: dict[str, float] = {}
    for each in run.samples:
        lags[each.node] = max(lags.get(each.node, 0.0), each.lag_ms_true)
    found = run.check()
    return Outcome(
        asked=len(writes),
        answered=len(answered_ns),
        failed=sum(each.completed_ns is not None for each in writes) - len(answered_ns),
        lost=len(lost_writes(run.evidence)),
        is_promised=found[_SURVIVAL].is_promised,
        silence_ms_max=_silence_ms(asked_ns, answered_ns),
        masterless_ms=ns_to_ms(masterless_ns(run.evidence, ms_to_ns(run.duration_ms))),
        lag_ms_max={node: lags[node] for node in run.options.node_ids if node in lags},
        findings=found,
        trace_hash=run.trace_hash,
    )


def outcome_html(outcome: Outcome) -> str:
    """Return the numbers as an HTML table, and below it the checks that saw a violation."""
    lags = ", ".join(f"{node} {lag_ms:,.0f} ms" for node, lag_ms in outcome.lag_ms_max.items())
    promise = "durability promised" if outcome.is_promised else "durability not promised"
    facts = [
        ("writes", f"{outcome.asked:,} sent, {outcome.answered:,} answered"),
        ("failed or unknown", f"{outcome.asked - outcome.answered:,}"),
        ("acknowledged but lost", f"{outcome.lost:,} ({promise})"),
        ("longest silence", f"{outcome.silence_ms_max:,.0f} ms without an answered write"),
        ("without a master", f"{outcome.masterless_ms:,.0f} ms"),
        ("largest true lag", lags),
        ("checks", repr(outcome.findings)),
        ("trace hash", f"{outcome.trace_hash[:12]}…"),
    ]
    said = [each for each in outcome.findings if each.verdict == "broken" or each.observed_count]
    return facts_table(facts) + (Findings(said)._repr_html_() if said else "")


def _silence_ms(asked_ns: Sequence[int], answered_ns: Sequence[int]) -> float:
    if not asked_ns:
        return 0.0
    ends_ns = [asked_ns[0], *answered_ns]
    ends_ns.append(max(ends_ns[-1], asked_ns[-1]))
    return ns_to_ms(max(after - before for before, after in pairwise(ends_ns)))
