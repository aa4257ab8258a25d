"""Named collections behind one commit path that yields an ordered stream of operations."""

from vectorkit.store.apply import write
from vectorkit.store.commit import Journal, Subscriber
from vectorkit.store.snapshot import StoreSnapshot
from vectorkit.store.store import Applier, VectorStore, store_of

__all__ = ["Applier", "Journal", "StoreSnapshot", "Subscriber", "VectorStore", "store_of", "write"]
