"""Nodes of one cluster joined by hand: a test says whose disk writes and whose mail arrives."""

import numpy as np

from vectorkit.operations import Delete, UpdateVectors, Upsert
from vectorkit.replication import Node, Persist, ReplicationOptions, Send
from vectorkit.replication.protocol.messages import ClientRead, ClientReply, ClientWrite
from vectorkit.types import KEEP
from vectorkit.units import NS_PER_MS

CLIENT = "client-0"


class Hands:
    """So many nodes with disks. Mail of `cut` nodes is lost, disks of `slow` ones do not write."""

    def __init__(self, nodes=3, **options):
        ids = [f"node-{number}" for number in range(nodes)]
        self.options = ReplicationOptions(**options)
        self.nodes = {
            each: Node(each, node_ids=ids, now_ns=0, options=self.options) for each in ids
        }
        self.mail, self.replies = [], []
        self.unwritten = {each: [] for each in ids}
        self.cut, self.slow = set(), set()
        self.now_ns = 0
        for node_id, node in self.nodes.items():
            self.take(node_id, node.start(0))
        self.settle()
        self.advance(ms=1)  # Replicas shake hands.
        self.master.store.create_collection("words", dim=2)
        self.flush()

    @property
    def master(self):
        return self.nodes["node-0"]

    def take(self, node_id, effects):
        for effect in effects:
            if isinstance(effect, Persist):
                self.unwritten[node_id].append(effect.number)
            elif isinstance(effect, Send) and effect.target in self.nodes:
                self.mail.append((node_id, effect.target, effect.message))
            elif isinstance(effect, Send):
                assert isinstance(effect.message, ClientReply)
                self.replies.append(effect.message)

    def flush(self):
        self.take("node-0", self.master.flush(self.now_ns))
        self.settle()

    def settle(self):
        """Let all happen that is not held up."""
        is_busy = True
        while is_busy:
            is_busy = False
            for node_id, numbers in self.unwritten.items():
                if numbers and node_id not in self.slow:
                    is_busy, last = True, numbers[-1]
                    numbers.clear()
                    self.take(node_id, self.nodes[node_id].persisted(last, self.now_ns))
            mail, self.mail = self.mail, []
            for source, target, message in mail:
                if not {source, target} & self.cut:
                    is_busy = True
                    self.take(target, self.nodes[target].receive(source, message, self.now_ns))

    def advance(self, ms, step_ms=50):
        """Let time pass, with everybody's timers."""
        until_ns = self.now_ns + ms * NS_PER_MS
        while self.now_ns < until_ns:
            self.now_ns = min(until_ns, self.now_ns + step_ms * NS_PER_MS)
            for node_id, node in self.nodes.items():
                self.take(node_id, node.tick(self.now_ns))
            self.settle()

    def send(self, message, to="node-0", source=CLIENT):
        """A client's message comes; what is answered by now is the result."""
        seen = len(self.replies)
        self.take(to, self.nodes[to].receive(source, message, self.now_ns))
        self.settle()
        return self.replies[seen:]

    def answered(self):
        """The replies since this was asked last."""
        replies, self.replies = self.replies, []
        return [(each.request, each.outcome) for each in replies]


def insert(request, key="king"):
    rows = np.array([[request, 1]], np.float32)
    return ClientWrite(request, Upsert("words", (key,), rows, ({"w": request},)))


def update(request, key="king"):
    return ClientWrite(request, UpdateVectors("words", (key,), KEEP, ({"w": request},)))


def delete(request, key="king"):
    return ClientWrite(request, Delete("words", (key,)))


def read(request, policy="master", key="king", *, bound_ms=0, epoch=0, offset=0):
    return ClientRead(request, policy, "words", key, bound_ms, epoch, offset)
