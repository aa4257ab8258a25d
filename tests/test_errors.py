"""One tree of errors, each with a stable code, what it got and wanted, and the remedy."""

import json
import pickle
import re

import pytest

from vectorkit import errors
from vectorkit.errors import VectorKitError, VectorNotFound

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type)]
CLASSES = [kind for kind in CLASSES if issubclass(kind, VectorKitError)]
CODES = {
    "VectorKitError": "vectorkit_error",
    "InvalidInput": "invalid_input",
    "InvalidDimension": "invalid_dimension",
    "InvalidVector": "invalid_vector",
    "InvalidId": "invalid_id",
    "DuplicateId": "duplicate_id",
    "InvalidPayload": "invalid_payload",
    "InvalidFilter": "invalid_filter",
    "InvalidK": "invalid_k",
    "InvalidOption": "invalid_option",
    "UnknownMetric": "unknown_metric",
    "VectorNotFound": "vector_not_found",
    "VectorExists": "vector_exists",
    "CollectionNotFound": "collection_not_found",
    "CollectionExists": "collection_exists",
    "DatasetNotInstalled": "dataset_not_installed",
    "DeviceNotFound": "device_not_found",
    "CorruptSnapshot": "corrupt_snapshot",
    "CorruptSweep": "corrupt_sweep",
    "SaveFailed": "save_failed",
    "WriteRefused": "write_refused",
    "ReadOnlyReplica": "read_only_replica",
    "WriteInSubscriber": "write_in_subscriber",
    "WriteInFilter": "write_in_filter",
    "DiskFull": "disk_full",
    "PromotionRefused": "promotion_refused",
    "WriteConcernTimeout": "write_concern_timeout",
    "OperationTooOld": "operation_too_old",
    "ReentrantCall": "reentrant_call",
    "ForkedProcess": "forked_process",
    "ClusterInterrupted": "cluster_interrupted",
    "LimitReached": "limit_reached",
}
by_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def make(kind):
    return kind("no", got="a", wanted="b", remedy="do c", number=1, names=["x"])


def drawn_tree():
    """The tree in the module's docstring: name to (name of parent, built-in base)."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            tree[found[2]] = (path[depth - 1] if depth else "Exception", found[3])
    return tree


def test_the_tree_is_as_drawn():
    real = {}
    for kind in CLASSES:
        parent, *builtin = kind.__bases__
        real[kind.__name__] = (parent.__name__, builtin[0].__name__ if builtin else None)
    assert drawn_tree() == real


def test_codes_are_stable_and_unique():
    assert {kind.__name__: kind.code for kind in CLASSES} == CODES
    assert len(set(CODES.values())) == len(CODES)


@by_class
def test_an_error_turns_into_json(kind):
    error = make(kind)
    assert json.loads(json.dumps(error.to_dict())) == {
        "type": kind.__name__,
        "code": CODES[kind.__name__],
        "message": "no: got a, wanted b; do c",
        "details": {"got": "a", "wanted": "b", "remedy": "do c", "number": 1, "names": ["x"]},
    }


@by_class
def test_an_error_survives_pickling(kind):
    error = pickle.loads(pickle.dumps(make(kind)))
    assert type(error) is kind
    assert error.to_dict() == make(kind).to_dict()


@by_class
def test_the_text_says_got_wanted_and_remedy(kind):
    assert str(make(kind)) == "no: got a, wanted b; do c"


def test_vector_not_found_is_a_key_error_with_a_readable_text():
    error = make(VectorNotFound)
    assert isinstance(error, KeyError)
    assert str(error) != str(KeyError(*error.args))
    assert (error.problem, error.got, error.wanted, error.remedy) == ("no", "a", "b", "do c")


def test_an_error_without_remedy_cannot_be_made():
    with pytest.raises(TypeError):
        VectorNotFound("no", got="a", wanted="b")
