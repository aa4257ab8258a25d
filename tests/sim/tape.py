"""Traces made by hand, a line a row, for tests of what the checks say of them."""

import json

from tests.sim.decode import event_of
from vectorkit.replication import majority
from vectorkit.sim import ClusterOptions
from vectorkit.sim.checks import Evidence
from vectorkit.sim.world.trace import Trace, TraceRow
from vectorkit.sim.world.trace_events import AnswerSent, FaultChanged, RecordAppended
from vectorkit.units import ms_to_ns

FIRST = 1 << 16
"""The epoch of node-0 with which a cluster begins."""
SECOND = 2 << 16 | 1
"""An epoch of node-1."""
THIRD = 3 << 16 | 2
"""An epoch of node-2."""

SAFE = ClusterOptions(replicas=2, write_concern=majority())
"""Three nodes, n = 1, stage flushed."""
WEAK = ClusterOptions(replicas=2)
"""Three nodes that replicate asynchronously."""


def hash_of(epoch, offset):
    return f"hash {epoch}.{offset}"


class Tape:
    """Events in the order in which they are written; each method returns the tape."""

    def __init__(self, options=SAFE):
        self.options = options
        self.events = []

    def add(self, ms, event, node="", peer="", kind="", number=0, value=0, text=""):
        row = TraceRow(ms_to_ns(ms), event, node, peer, kind, number, value, text)
        self.events.append(event_of(row))
        return self

    def fault(self, ms, fault, *, phase="start", number=0):
        self.events.append(FaultChanged(ms_to_ns(ms), phase, number, fault))
        return self

    def trace(self):
        trace = Trace()
        for event in self.events:
            trace.add(event)
        return trace

    def evidence(self, *, samples=(), stats=None):
        return Evidence(self.options, self.events, samples, stats or {})

    # History

    def append(
        self, ms, node, epoch, *offsets, kind="Upsert", text=None, request=None, client="client-0"
    ):
        """Records of a master: of a client's request, or by other hands."""
        writer = (client, request) if request is not None else ("", None)
        for offset in offsets:
            digest = hash_of(epoch, offset) if text is None else text
            written = ms_to_ns(ms), node, kind, offset, epoch, digest
            self.events.append(RecordAppended(*written, *writer))
        return self

    def apply(self, ms, node, epoch, *offsets, by="stream", text=None):
        for offset in offsets:
            digest = hash_of(epoch, offset) if text is None else text
            self.add(ms, "apply", node, kind=by, number=offset, value=epoch, text=digest)
        return self

    def flush(self, ms, node, mark, size_bytes=100):
        return self.add(ms, "flush", node, number=mark, value=size_bytes)

    def ack(self, ms, node, master, epoch, flushed, *, received=None, applied=None, visible=None):
        parts = [flushed if each is None else each for each in (received, applied, visible)]
        text = " ".join(map(str, parts))
        return self.add(ms, "ack", node, master, number=flushed, value=epoch, text=text)

    def confirm(self, ms, node, epoch, offset):
        return self.add(ms, "confirm", node, number=offset, value=epoch)

    def role(self, ms, node, kind, epoch, *, forced=0):
        return self.add(ms, "role", node, kind=kind, number=epoch, value=forced)

    def begin(self):
        """node-0 serves the first epoch, whose first record is on its disk."""
        self.add(0, "start", "node-0", kind="first", number=1)
        self.apply(0, "node-0", FIRST, 1, by="replay")
        return self.role(0, "node-0", "master", FIRST)

    def promote(self, ms, node, epoch, offset, *, forced=0):
        """A node begins an epoch with a record at an offset."""
        self.role(ms, node, "master", epoch, forced=forced)
        return self.append(ms, node, epoch, offset, kind="EpochStart")

    def crash(self, ms, node, *, kind=""):
        return self.add(ms, "crash", node, kind=kind)

    def start(self, ms, node, boot=2):
        return self.add(ms, "start", node, kind="restart", number=boot)

    # Clients

    def answer(self, ms, node, request, epoch, offset, *, outcome="ok", client="client-0"):
        """A node sends an answer."""
        told = ms_to_ns(ms), node, client, outcome, request, offset, epoch
        self.events.append(AnswerSent(*told))
        return self

    def invoke(self, ms, request, kind, *, client="client-0", node="node-0", key="a", **told):
        text = json.dumps({"key": key, "policy": "", "token": [0, 0], **told})
        return self.add(ms, "invoke", client, node, kind, request, text=text)

    def complete(
        self, ms, request, outcome, epoch=0, offset=0, *, client="client-0", node="node-0", **told
    ):
        text = json.dumps({"epoch": epoch, "error": "", "hash": "", "value": 0, **told})
        return self.add(ms, "complete", client, node, outcome, request, offset, text)

    def write(self, ms, request, epoch, offset, *, kind="write", outcome="ok", **where):
        """A write that is asked for, appended and acknowledged within two milliseconds."""
        client, node = where.get("client", "client-0"), where.get("node", "node-0")
        key = where.get("key", "a")
        self.invoke(ms, request, kind, client=client, node=node, key=key)
        self.append(ms + 1, node, epoch, offset, request=request, client=client)
        return self.complete(ms + 2, request, outcome, epoch, offset, client=client, node=node)

    def read(self, ms, request, epoch, offset, value, *, policy="nearest", **where):
        """A read that is asked for and answered within two milliseconds."""
        client, node = where.get("client", "client-0"), where.get("node", "node-0")
        told = {"bound_ms": where["bound_ms"]} if "bound_ms" in where else {}
        key = where.get("key", "a")
        self.invoke(ms, request, "read", client=client, node=node, key=key, policy=policy, **told)
        self.complete(ms + 2, request, "ok", epoch, offset, client=client, node=node, value=value)
        return self
