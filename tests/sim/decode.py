"""The other way round: the event that a row of a trace encodes."""

import json

from vectorkit.sim import fault_from_dict
from vectorkit.sim.world import trace_events as events


def _noted(row):
    return row.time_ns, row.node, row.number


def _ack(row):
    received, applied, visible = map(int, row.text.split())
    told = row.value, received, row.number, applied, visible
    return events.AckSent(row.time_ns, row.node, row.peer, row.kind == "heartbeat", *told)


def _sync(row):
    phase, _, reason = row.text.partition(" ")
    return events.SyncReported(row.time_ns, row.node, row.peer, row.kind, phase, reason)


def _invoke(row):
    told = {"key": "", "policy": "", "token": (0, 0), **json.loads(row.text or "{}")}
    asked = told["key"], told["policy"], tuple(told["token"]), told.get("bound_ms")
    return events.RequestInvoked(row.time_ns, row.node, row.peer, row.kind, row.number, *asked)


def _complete(row):
    told = {"epoch": 0, "hash": "", "value": 0, "error": "", **json.loads(row.text or "{}")}
    found = row.value, told["epoch"], told["hash"], told["value"], told["error"]
    return events.RequestCompleted(row.time_ns, row.node, row.peer, row.kind, row.number, *found)


def _fault(row):
    fault = fault_from_dict(json.loads(row.text))
    return events.FaultChanged(row.time_ns, row.kind, row.number, fault)


def _append(row):
    history, _, request = row.text.partition("|")
    told = row.time_ns, row.node, row.kind, row.number, row.value, history
    return events.RecordAppended(*told, row.peer, int(request) if request else None)


def _placed(kind):
    return lambda row: kind(row.time_ns, row.node, row.kind, row.number, row.value, row.text)


_EVENT_OF = {
    "send": lambda row: events.MessageSent(*row[:1], *row[2:]),
    "lost": lambda row: events.MessageLost(*row[:1], *row[2:]),
    "deliver": lambda row: events.MessageDelivered(
        row.time_ns, row.peer, row.node, row.kind, row.number, row.value
    ),
    "append": _append,
    "answer": lambda row: events.AnswerSent(*row[:1], *row[2:7], int(row.text)),
    "flush_taken": lambda row: events.FlushTaken(*_noted(row)),
    "apply": _placed(events.HistoryApplied),
    "digest": _placed(events.DigestTaken),
    "flush": lambda row: events.DiskFlushed(*_noted(row), row.value, row.kind == "waiting"),
    "visible": lambda row: events.HistoryShown(*_noted(row)),
    "ack": _ack,
    "confirm": lambda row: events.OffsetConfirmed(*_noted(row), row.value),
    "degrade": lambda row: events.ConcernDegraded(*_noted(row), row.value),
    "timeout": lambda row: events.ConcernTimedOut(*_noted(row), row.value),
    "discard": lambda row: events.RecordsDiscarded(*_noted(row), row.value),
    "quarantine": lambda row: events.RecordQuarantined(*_noted(row), row.text),
    "start": lambda row: events.NodeStarted(row.time_ns, row.node, row.kind, row.number),
    "crash": lambda row: events.NodeCrashed(row.time_ns, row.node, row.kind, row.number),
    "role": lambda row: events.RoleTaken(
        row.time_ns, row.node, row.kind, row.number, bool(row.value), row.text
    ),
    "promise": lambda row: events.EpochPromised(*_noted(row)),
    "lost_state": lambda row: events.StateLost(*_noted(row), row.text),
    "retire": lambda row: events.IndexRetired(*_noted(row)),
    "sync": _sync,
    "status": lambda row: events.HealthChanged(row.time_ns, row.node, row.peer, row.kind),
    "invoke": _invoke,
    "complete": _complete,
    "fault": _fault,
}


def event_of(row):
    """The typed event; raises KeyError for an unknown kind."""
    return _EVENT_OF[row.event](row)
