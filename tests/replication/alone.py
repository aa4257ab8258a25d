"""One node whose disk, mail and clock a test holds in its hands."""

from dataclasses import dataclass, field

from vectorkit.replication import Node, Noted, Persist, ReplicationOptions, Send
from vectorkit.replication.node import first_image
from vectorkit.replication.protocol.durable import Image
from vectorkit.units import NS_PER_MS

IDS = ("node-0", "node-1", "node-2")


@dataclass
class Alone:
    """One node whose disk, and mail, a test holds in its hands."""

    id: str = "node-0"
    image: Image | None = None
    incarnation: int = 1
    options: ReplicationOptions = field(default_factory=ReplicationOptions)
    now_ns: int = 0
    sent: list = field(default_factory=list)
    noted: list = field(default_factory=list)
    unwritten: list = field(default_factory=list)

    def __post_init__(self):
        slot = IDS.index(self.id)
        is_new = self.image is None
        self.disk = first_image(slot) if is_new else self.image
        self.node = Node(
            self.id,
            node_ids=IDS,
            now_ns=0,
            options=self.options,
            image=self.image,
            incarnation=self.incarnation,
        )
        self.take(self.node.start(0))
        self.write()

    def take(self, effects):
        for effect in effects:
            match effect:
                case Persist():
                    self.unwritten.append(effect)
                case Send():
                    self.sent.append((effect.target, effect.message))
                case Noted():
                    self.noted.append((effect.event, effect.number))

    def write(self):
        """The disk writes all that waits, and what follows from it."""
        while self.unwritten:
            effect = self.unwritten.pop(0)
            for change in effect.changes:
                self.disk.apply(change)
            self.take(self.node.persisted(effect.number, self.now_ns))

    def receive(self, source, message):
        """The messages that the node sends before its disk has written anything more."""
        self.sent.clear()
        self.take(self.node.receive(source, message, self.now_ns))
        return list(self.sent)

    def tick(self, ms):
        self.now_ns += ms * NS_PER_MS
        self.take(self.node.tick(self.now_ns))
        self.write()

    def retire(self, index):
        self.take(self.node.retire(index, self.now_ns))

    def restarted(self):
        """The node after a crash: from what its disk holds."""
        return Alone(self.id, self.disk, self.incarnation + 1)

    @property
    def known(self):
        return self.node.member.known


def answers_of(kind, messages):
    return [message for _, message in messages if isinstance(message, kind)]
