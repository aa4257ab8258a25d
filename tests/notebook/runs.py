"""Runs whose traces are made by hand: what is shown of them is known to the last value."""

from tests.sim.tape import FIRST, SECOND, WEAK, Tape
from vectorkit import sim
from vectorkit.sim.analysis.observer import HealthSample, LogSample


def run_of(tape, *, duration_ms, samples=(), log_samples=()):
    """The run of a tape."""
    return sim.Run(
        options=tape.options,
        seed=7,
        faults=(),
        trace=tape.trace(),
        samples=tuple(samples),
        stats={},
        replicas=(),
        duration_ms=duration_ms,
        event_count=len(tape.events),
        log_samples=tuple(log_samples),
    )


def health(time_ms, node, status, *, lag_ms=0.0, lag_ms_true=0.0):
    return HealthSample(
        time_ms, node, "replica", status, True, False, lag_ms, lag_ms_true, 0, 0, 0, 0, None
    )


def window(time_ms, node, first_offset, head_offset):
    return LogSample(time_ms, node, first_offset, head_offset)


def fault(tape, start_ms, end_ms, number, text):
    """A fault, from when to when; its events stand where they are written."""
    tape.add(start_ms, "fault", kind="start", number=number, text=text)
    return lambda: tape.add(end_ms, "fault", kind="end", number=number, text=text)


def failover():
    """Three nodes: the master writes twice and crashes at 100 ms, node-1 takes over at 150 ms.

    One message gets there, one is held, one is lost at once. A client asks three times.
    """
    tape = Tape(WEAK)
    for node in WEAK.node_ids:
        tape.add(0, "start", node, kind="first", number=1)
    tape.add(0, "role", "node-0", kind="master", number=FIRST)
    for node in ("node-1", "node-2"):
        tape.add(1, "role", node, kind="replica", number=FIRST)
        tape.add(1, "status", "node-0", node, kind="Connected")
    tape.add(10, "invoke", "client-0", "node-0", kind="write", number=1, text='{"key": "a"}')
    tape.append(10, "node-0", FIRST, 1).flush(11, "node-0", 1)
    tape.add(12, "send", "node-0", "node-1", "Records", 1, 50)
    tape.add(12, "send", "node-0", "node-2", "Records", 1, 50)
    tape.add(12, "lost", "node-0", "node-2", "Records", 1, 50, "loss")
    tape.add(16, "deliver", "node-1", "node-0", "Records", 1, 50)
    tape.add(16.5, "complete", "client-0", "node-0", "ok", 1, 1)
    tape.flush(17, "node-1", 1).apply(17, "node-1", FIRST, 1)
    tape.ack(17, "node-1", "node-0", FIRST, 1)
    tape.add(20, "invoke", "client-0", "node-0", kind="write", number=2, text='{"key": "b"}')
    tape.append(20, "node-0", FIRST, 2)
    tape.add(90, "send", "node-0", "node-1", "Records", 2, 50)
    crash = '{"kind":"Crash","at_ms":100,"for_ms":200,"node":"node-0"}'
    end_crash = fault(tape, 100, 300, 0, crash)
    tape.add(100, "crash", "node-0")
    for node in WEAK.node_ids:
        tape.add(100, "status", "", node, kind="Disconnected")
    cut = '{"kind":"Partition","at_ms":120,"for_ms":80,"isolate":["node-2"]}'
    end_cut = fault(tape, 120, 200, 1, cut)
    tape.add(140, "role", "node-1", kind="candidate", number=SECOND)
    tape.add(141, "promise", "node-1", number=SECOND)
    tape.add(150, "role", "node-1", kind="master", number=SECOND)
    end_cut()
    tape.add(220, "invoke", "client-0", "node-1", kind="read", number=3, text='{"key": "a"}')
    tape.add(230, "complete", "client-0", "node-1", "refused", 3)
    end_crash()
    tape.add(300, "start", "node-0", kind="restart", number=2)
    tape.apply(300, "node-0", FIRST, 1, by="replay")
    tape.add(301, "role", "node-0", kind="replica", number=SECOND)
    tape.add(310, "deliver", "node-1", "node-0", "Records", 2, 50)
    samples = [
        health(0, "node-1", "Syncing"),
        health(0, "node-2", "Syncing"),
        health(1, "node-1", "Connected"),
        health(1, "node-2", "Connected"),
        health(50, "node-2", "Lagging", lag_ms=40.0, lag_ms_true=38.5),
        *(health(100, node, "Disconnected") for node in WEAK.node_ids),
        health(320, "node-0", "Connected"),
    ]
    windows = [window(0, "node-0", 1, 0), window(50, "node-0", 2, 2)]
    return run_of(tape, duration_ms=400.0, samples=samples, log_samples=windows)
