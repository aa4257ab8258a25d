"""Operations and messages of every type, drawn by hypothesis."""

from dataclasses import fields
from typing import get_type_hints

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vectorkit.operations import (
    CollectionConfig,
    CreateCollection,
    Delete,
    DropCollection,
    EpochStart,
    Operation,
    RenameCollection,
    UpdateVectors,
    Upsert,
    encode,
)
from vectorkit.replication.protocol.epochs import KnownIndices
from vectorkit.replication.protocol.log import Position, Record
from vectorkit.replication.protocol.messages import Ack
from vectorkit.types import KEEP, METRICS, Id

INTEGERS = st.integers(-(2**63), 2**63 - 1)
OFFSETS = st.integers(0, 2**63 - 1)
NAMES = st.text(max_size=20)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False)
PAYLOADS = st.none() | st.dictionaries(NAMES, SCALARS | NAMES, max_size=3)
IDS = st.lists(NAMES, min_size=1, max_size=4, unique=True) | st.lists(
    st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=4, unique=True
)
CONFIGS = st.builds(
    CollectionConfig, st.integers(1, 65_536), st.sampled_from(METRICS), st.just("cpu")
)


@st.composite
def row_operations(draw):
    """Upserts and updates, with everything that a payload or a vector may be."""
    ids = tuple(draw(IDS))
    rows = arrays(np.float32, (len(ids), draw(st.integers(1, 5))))
    payloads = st.none() | st.tuples(*[PAYLOADS] * len(ids))
    if draw(st.booleans()):
        return Upsert(draw(NAMES), ids, draw(rows), draw(payloads))
    vectors = draw(rows | st.just(KEEP))
    return UpdateVectors(draw(NAMES), ids, vectors, draw(payloads | st.just(KEEP)))


OPERATIONS = (
    row_operations()
    | st.builds(CreateCollection, NAMES, CONFIGS)
    | st.builds(DropCollection, NAMES)
    | st.builds(RenameCollection, NAMES, NAMES)
    | st.builds(Delete, NAMES, IDS.map(tuple))
    | st.builds(EpochStart, INTEGERS)
)


def _record(epoch, offset, operation):
    return Record(epoch, offset, operation, encode(operation))


RECORDS = st.builds(_record, OFFSETS, OFFSETS, OPERATIONS)
POSITIONS = st.builds(Position, OFFSETS, OFFSETS, st.binary(min_size=16, max_size=16))
INDICES = st.lists(st.integers(-1, 65_535), max_size=5).map(tuple)
KNOWN = st.builds(KnownIndices, INDICES, INDICES)
_BY_TYPE = {
    int: INTEGERS,
    str: NAMES,
    bool: st.booleans(),
    Id: NAMES | INTEGERS,
    Operation: OPERATIONS,
    bytes: st.binary(max_size=50),
    tuple[int, ...]: st.lists(INTEGERS, max_size=5).map(tuple),
    tuple[Record, ...]: st.lists(RECORDS, min_size=1, max_size=4).map(tuple),
    Position: POSITIONS,
    KnownIndices: KNOWN,
    Ack: st.builds(Ack, INTEGERS, POSITIONS, OFFSETS, OFFSETS, OFFSETS, OFFSETS),
}


def messages_of(kind):
    """Messages of one type, each field drawn by its type: a new field needs no change here."""
    hints = get_type_hints(kind)
    return st.builds(kind, *(_BY_TYPE[hints[field.name]] for field in fields(kind)))
