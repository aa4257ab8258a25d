"""A master and one replica, joined by hand: nothing travels unless a test carries it."""

from vectorkit.replication import Node, Persist, ReplicationOptions, Send, SetTimer
from vectorkit.replication.protocol.epochs import FIRST_EPOCH
from vectorkit.replication.protocol.messages import Hello, MasterHeartbeat
from vectorkit.units import NS_PER_MS

MASTER, REPLICA = "node-0", "node-1"


def messages(effects, *kinds):
    """The messages among effects, of these kinds where any is named."""
    sent = [effect.message for effect in effects if isinstance(effect, Send)]
    return [each for each in sent if not kinds or isinstance(each, kinds)]


def timers(effects):
    """When the node wants to be woken, in milliseconds."""
    return [effect.at_ns / NS_PER_MS for effect in effects if isinstance(effect, SetTimer)]


def handshake(generation, position, wants=""):
    """A handshake of the replica with the master that a cluster begins with."""
    return Hello(generation, 1, FIRST_EPOCH, position, wants)


def heartbeat(generation, beat, head_offset, sent_offset):
    """A heartbeat of a master that has heard none."""
    return MasterHeartbeat(generation, beat, head_offset, sent_offset, 0)


def offsets(records):
    """The offsets that each message of records carries."""
    return [[each.offset for each in message.records] for message in records]


class Pair:
    """Both nodes and one clock in milliseconds; `exchange` carries all until nobody speaks.

    Without disks by default: what a node would wait for its disk for happens at once.
    """

    def __init__(self, replica_count=1, has_durable_log=False, **options):
        self.options = ReplicationOptions(has_durable_log=has_durable_log, **options)
        ids = [MASTER, *[f"node-{number + 1}" for number in range(replica_count)]]
        self.master, self.replica = (
            Node(node_id, node_ids=ids, now_ns=0, options=self.options) for node_id in ids[:2]
        )
        self.now_ms = 0.0
        self.seen = []
        self.begun = {node.id: self._written(node, node.start(0)) for node in self.nodes}

    @property
    def nodes(self):
        return self.master, self.replica

    @property
    def now_ns(self):
        return round(self.now_ms * NS_PER_MS)

    def at(self, ms):
        """Move the clock; nothing happens by itself."""
        self.now_ms = ms
        self.master.observe(self.now_ns)
        return self

    def _written(self, node, effects):
        """The effects, and those that follow as the disk writes at once."""
        for effect in list(effects):
            if isinstance(effect, Persist):
                effects += self._written(node, node.persisted(effect.number, self.now_ns))
        return effects

    def to_master(self, *sent, source=REPLICA):
        return [e for m in sent for e in self._receive(self.master, source, m)]

    def to_replica(self, *sent, source=MASTER):
        return [e for m in sent for e in self._receive(self.replica, source, m)]

    def _receive(self, node, source, message):
        return self._written(node, node.receive(source, message, self.now_ns))

    def tick_master(self):
        return self._written(self.master, self.master.tick(self.now_ns))

    def tick_replica(self):
        """What the replica says now; what it said as it started, if that is not yet taken."""
        effects = self.begun.pop(REPLICA, [])
        return effects + self._written(self.replica, self.replica.tick(self.now_ns))

    def make(self, count=1, size=0):
        """Make so many collections, with names of about `size` bytes, and send nothing yet."""
        for _ in range(count):
            number = self.master.log.head.offset + 1
            self.master.store.create_collection(f"{number:0{max(size, 1)}}", dim=2)

    def write(self, count=1, size=0):
        """The same; the result is what the master sends."""
        self.make(count, size)
        return self._written(self.master, self.master.flush(self.now_ns))

    def exchange(self, from_master=(), from_replica=()):
        """Carry messages between the two, in order and at once, until nobody speaks."""
        down, up = messages(from_master), messages(from_replica)
        while down or up:
            self.seen += down + up
            up, down = messages(self.to_replica(*down)), messages(self.to_master(*up))

    def connect(self):
        """A handshake and the sync that follows."""
        self.exchange(from_replica=self.tick_replica())
        return self

    def info(self):
        return self.master.replica(REPLICA, self.now_ns)

    def hello(self):
        """The replica's next handshake, not yet carried."""
        (sent,) = messages(self.tick_replica(), Hello)
        return sent

    def is_equal(self):
        same_place = self.replica.log.head == self.master.log.head
        return same_place and self.replica.store.digest() == self.master.store.digest()
