"""Messages on the wire: every type comes back as it went, and its size is known beforehand."""

from dataclasses import fields, is_dataclass
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replication.strategies import RECORDS, messages_of
from vectorkit.operations import decode as decode_operation
from vectorkit.operations import encode as encode_operation
from vectorkit.replication.protocol.messages import (
    CONNECTION_TYPES,
    MESSAGE_TYPES,
    Close,
    Message,
    Records,
)
from vectorkit.replication.protocol.wire import decode, encode, wire_size

BY_TYPE = pytest.mark.parametrize("kind", MESSAGE_TYPES, ids=lambda kind: kind.__name__)


def plain(value):
    """A value as nested tuples that compare by content, arrays bit for bit."""
    if is_dataclass(value):
        return type(value), tuple(plain(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return tuple(map(plain, value)) if isinstance(value, tuple) else (type(value), value)


@BY_TYPE
@given(st.data())
def test_a_message_of_each_type_comes_back_field_by_field(kind, data):
    message = data.draw(messages_of(kind))
    assert plain(decode(encode(message))) == plain(message)


@BY_TYPE
@given(st.data())
def test_the_size_of_each_type_is_the_length_of_its_encoding(kind, data):
    message = data.draw(messages_of(kind))
    assert wire_size(message) == len(encode(message))


@given(RECORDS)
def test_the_operation_of_a_record_that_travelled_has_the_bytes_that_were_hashed(record):
    (arrived,) = decode(encode(Records(1, (record,), b""))).records
    assert arrived.encoded == record.encoded == encode_operation(arrived.operation)
    assert plain(arrived.operation) == plain(decode_operation(record.encoded))


def test_every_message_has_a_number_on_the_wire():
    assert set(MESSAGE_TYPES) == set(get_args(Message))
    assert len(MESSAGE_TYPES) == 26


def test_messages_within_a_connection_name_it_first_and_no_others_do():
    named = {kind for kind in MESSAGE_TYPES if fields(kind)[0].name == "generation"}
    assert named == set(CONNECTION_TYPES)


def test_bytes_behind_a_message_are_a_programming_error():
    with pytest.raises(AssertionError):
        decode(encode(Close(1, "too_old")) + b"!")
