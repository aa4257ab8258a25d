"""Explanation of one write, as text and as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from vectorkit.display import paragraph, rows_table
from vectorkit.errors import InvalidInput
from vectorkit.sim.analysis.write_history import WriteHistory, write_histories
from vectorkit.sim.checks import Evidence
from vectorkit.sim.checks.acknowledged import lost_writes
from vectorkit.sim.checks.history import LogPosition
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.sim.world.trace_events import ConcernDegraded, ConcernTimedOut, RecordAppended
from vectorkit.tabular import Schema, frame_of_rows
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

EXPLANATION: Final[Schema] = {
    "time_ms": "float64",
    "stage": "str",
    "node": "str",
    "detail": "str",
}
"""Columns and dtypes of `Explanation.to_frame()`."""


class HasEvidence(Protocol):
    """A run, or any other object with the data that the checks read."""

    @property
    def evidence(self) -> Evidence:
        """The data that the checks read."""
        ...


class ExplanationStep(NamedTuple):
    """One step of a write; `time_ms` is virtual."""

    time_ms: float
    stage: str
    node: str
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Describe what happened to one write; `print` shows it as text.

    >>> from vectorkit import sim
    >>> cluster = sim.Cluster(sim.ClusterOptions(replicas=1))
    >>> _ = cluster.store.create_collection("words", dim=2)
    >>> cluster.advance(ms=100)
    >>> print(cluster.finish().explain(2))
    Offset 2 of node-0@1 (CreateCollection) is kept: the final history holds it.
           0.000 ms  written    node-0    CreateCollection
           0.000 ms  applied    node-0    by append
           1.000 ms  flushed    node-0    its disk holds it
           1.000 ms  confirmed  node-0    the write concern holds
           9.000 ms  flushed    node-1    its disk holds it
           9.000 ms  applied    node-1    by snapshot
           9.000 ms  acked      node-1    to its master
    """

    headline: str
    is_kept: bool
    steps: tuple[ExplanationStep, ...]

    def to_frame(self) -> DataFrame:
        """Return one row per step, ordered by time: `time_ms`, `stage`, `node` and `detail`."""
        return frame_of_rows(self.steps, EXPLANATION)

    def __str__(self) -> str:
        lines = [
            f"{step.time_ms:12,.3f} ms  {step.stage:<10} {step.node:<9} {step.detail}".rstrip()
            for step in self.steps
        ]
        return "\n".join([self.headline, *lines])

    def __repr__(self) -> str:
        return f"Explanation({self.headline})"

    def _repr_html_(self) -> str:
        rows = [(f"{s.time_ms:,.3f}", s.stage, s.node, s.detail) for s in self.steps]
        return paragraph(self.headline) + rows_table(("time (ms)", "stage", "node", "detail"), rows)


def explain(run: HasEvidence, offset: int, *, epoch: int | None = None) -> Explanation:
    """Explain the record at a log offset: its stages in order of time, and its fate.

    Args:
        run: a finished run.
        offset: log offset of the record.
        epoch: the epoch whose history holds the record; None for the final history.

    Returns:
        The explanation. `is_kept` says whether the final history holds the record.

    Raises:
        InvalidInput: that history has no record at `offset`.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> sim.explain(run, 1).is_kept
    True
    """
    return explain_evidence(run.evidence, offset, epoch=epoch)


def explain_evidence(evidence: Evidence, offset: int, *, epoch: int | None = None) -> Explanation:
    """Explain a record as `explain` does, from the evidence of a run."""
    history = evidence.history
    tip = history.final if epoch is None else (epoch, offset)
    place = history.at(tip, offset)
    lives = write_histories(evidence)
    if place not in lives or (epoch is None and offset > tip[1]):
        others = [each for each in lives if each[1] == offset]
        raise InvalidInput(
            "the run has no such record",
            got=f"offset {offset}" + ("" if epoch is None else f" of epoch {epoch}"),
            wanted=f"an offset that a master has written, up to {history.final[1]}",
            remedy="; ".join(f"pass epoch={each[0]}" for each in others)
            or "look at run.operations",
        )
    life = lives[place]
    steps = sorted(
        [*_asked(life), *_copied(life), *_answered(evidence, life)], key=lambda step: step.time_ms
    )
    reads = [each for each in evidence.requests if _tells(each, life)]
    if reads:
        first = min(reads, key=lambda each: each.completed_index or 0)
        steps.append(_read(first))
    headline, last = _fate(evidence, life)
    steps = sorted([*steps, *last], key=lambda step: step.time_ms)
    others = [each for each in lives if each[1] == offset and each != place]
    if others:
        headline += " Other histories have another write there: " + ", ".join(
            evidence.epoch_name(each[0]) for each in others
        )
        headline += "."
    return Explanation(headline, life.is_kept, tuple(steps))


def _asked(life: WriteHistory) -> list[ExplanationStep]:
    steps = [ExplanationStep(ns_to_ms(life.written_ns), "written", life.master, life.operation)]
    if (request := life.request) is not None:
        detail = f"{request.kind} {request.number} of {request.key!r}, to {request.node}"
        steps.insert(
            0, ExplanationStep(ns_to_ms(request.invoked_ns), "asked", request.client, detail)
        )
    return steps


def _copied(life: WriteHistory) -> list[ExplanationStep]:
    steps = [
        ExplanationStep(ns_to_ms(time_ns), "flushed", node, "its disk holds it")
        for node, time_ns in life.flushed_ns.items()
    ]
    steps += [
        ExplanationStep(ns_to_ms(time_ns), "applied", node, f"by {source}")
        for node, (time_ns, source) in life.applied_ns.items()
    ]
    steps += [
        ExplanationStep(ns_to_ms(time_ns), "acked", node, "to its master")
        for node, time_ns in life.acked_ns.items()
    ]
    return steps


def _answered(evidence: Evidence, life: WriteHistory) -> list[ExplanationStep]:
    steps = []
    if life.confirmed_ns is not None:
        detail = "the write concern holds"
        steps.append(ExplanationStep(ns_to_ms(life.confirmed_ns), "confirmed", life.master, detail))
    offset, begin = life.place[1], evidence.history.appended[life.place].index
    for event in evidence.trace[begin + 1 :]:
        match event:
            case RecordAppended(node=life.master, offset=again) if again <= offset:
                break  # The same master began another epoch: later events concern other records.
            case ConcernDegraded(node=life.master, offset=late) if late == offset:
                steps.append(_late(event, "degraded"))
            case ConcernTimedOut(node=life.master, offset=late) if late == offset:
                steps.append(_late(event, "timed out"))
            case _:
                pass
    if (request := life.request) is not None and request.completed_ns is not None:
        end_ms = ns_to_ms(request.completed_ns)
        if life.answered_ns is not None:
            detail = f"{request.outcome}, by {request.node}"
            steps.append(ExplanationStep(end_ms, "answered", request.client, detail))
        elif life.outcome == "silent":
            steps.append(
                ExplanationStep(end_ms, "given up", request.client, "no answer came in time")
            )
        else:
            detail = f"{request.outcome}, by {request.node}: not about this record of a late copy"
            steps.append(ExplanationStep(end_ms, "answered", request.client, detail))
    return steps


def _late(event: ConcernDegraded | ConcernTimedOut, stage: str) -> ExplanationStep:
    detail = f"{event.replica_count} replicas had confirmed it"
    return ExplanationStep(ns_to_ms(event.time_ns), stage, event.node, detail)


def _tells(read: ObservedRequest, life: WriteHistory) -> bool:
    request = life.request
    return (
        request is not None
        and request.kind == "write"
        and not read.is_write
        and read.is_ok
        and read.value == request.number
    )


def _read(read: ObservedRequest) -> ExplanationStep:
    detail = f"first read of it, at {read.node}"
    return ExplanationStep(ns_to_ms(read.completed_ns or 0), "read", read.client, detail)


def _fate(evidence: Evidence, life: WriteHistory) -> tuple[str, list[ExplanationStep]]:
    what = f"Offset {life.place[1]} of {evidence.epoch_name(life.place[0])} ({life.operation})"
    if life.is_kept:
        return f"{what} is kept: the final history holds it.", []
    history = evidence.history
    own = set(history.epochs(life.place))
    other = next((epoch for epoch in history.epochs(history.final) if epoch not in own), 0)
    if not other:
        return f"{what} is lost: the final history ends before it.", []
    promise = _promise(evidence, life.place)
    shared = history.shared(history.final, life.place)
    name, node = evidence.epoch_name(other), history.master_of[other]
    detail = f"{name} began from offset {shared}"
    step = ExplanationStep(ns_to_ms(history.began_ns(other)), "lost", node, detail)
    return f"{what} is lost: {name} began without it. {promise}", [step]


def _promise(evidence: Evidence, place: LogPosition) -> str:
    lost = next((each for each in lost_writes(evidence) if each.place == place), None)
    if lost is None:
        return "It had not been acknowledged."
    if lost.is_degraded:
        return "It had been acknowledged as degraded, which promises nothing."
    guarantee = evidence.guarantee
    if guarantee.is_in_force(lost.lost_ns):
        return "It had been acknowledged, and was promised to stay."
    return (
        f"It had been acknowledged; not promised: {guarantee.unpromised or guarantee.void_reason}."
    )
