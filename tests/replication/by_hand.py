"""A master and one replica, joined by hand: nothing travels unless a test carries it."""

from vectorkit.replication import MasterNode, ReplicaNode, ReplicationOptions, Send, SetTimer
from vectorkit.units import NS_PER_MS

MASTER, REPLICA = "node-0", "node-1"


def messages(effects, *kinds):
    """The messages among effects, of these kinds where any is named."""
    sent = [effect.message for effect in effects if isinstance(effect, Send)]
    return [each for each in sent if not kinds or isinstance(each, kinds)]


def timers(effects):
    """When the node wants to be woken, in milliseconds."""
    return [effect.at_ns / NS_PER_MS for effect in effects if isinstance(effect, SetTimer)]


def offsets(records):
    """The offsets that each message of records carries."""
    return [[each.offset for each in message.records] for message in records]


class Pair:
    """Both nodes and one clock in milliseconds; `exchange` carries all until nobody speaks."""

    def __init__(self, replica_count=1, **options):
        self.options = ReplicationOptions(**options)
        ids = [f"node-{number + 1}" for number in range(replica_count)]
        self.master = MasterNode(MASTER, replica_ids=ids, now_ns=0, options=self.options)
        self.replica = ReplicaNode(REPLICA, master_id=MASTER, now_ns=0, options=self.options)
        self.now_ms = 0.0
        self.seen = []

    @property
    def now_ns(self):
        return round(self.now_ms * NS_PER_MS)

    def at(self, ms):
        """Move the clock; nothing happens by itself."""
        self.now_ms = ms
        self.master.observe(self.now_ns)
        return self

    def to_master(self, *sent, source=REPLICA):
        return [e for m in sent for e in self.master.receive(source, m, self.now_ns)]

    def to_replica(self, *sent, source=MASTER):
        return [e for m in sent for e in self.replica.receive(source, m, self.now_ns)]

    def tick_master(self):
        return self.master.tick(self.now_ns)

    def tick_replica(self):
        return self.replica.tick(self.now_ns)

    def make(self, count=1, size=0):
        """Make so many collections, with names of about `size` bytes, and send nothing yet."""
        for _ in range(count):
            number = self.master.log.head.offset + 1
            self.master.store.create_collection(f"{number:0{max(size, 1)}}", dim=2)

    def write(self, count=1, size=0):
        """The same; the result is what the master sends."""
        self.make(count, size)
        return self.master.flush(self.now_ns)

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
        (hello,) = messages(self.tick_replica())
        return hello

    def is_equal(self):
        same_place = self.replica.log.head == self.master.log.head
        return same_place and self.replica.store.digest() == self.master.store.digest()
