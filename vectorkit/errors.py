"""Every error that vectorkit raises on purpose, in one tree.

    VectorKitError
    ├── InvalidInput (ValueError)
    │   ├── InvalidDimension      a collection's dimension that is not a positive integer
    │   ├── InvalidVector         wrong shape, dtype or content of vectors
    │   ├── InvalidId             not a str or int, or both kinds in one collection
    │   ├── DuplicateId           the same id twice in one batch
    │   ├── InvalidPayload        not a JSON object
    │   ├── InvalidFilter         a `where` that asks what cannot be answered
    │   ├── InvalidK              a number of neighbours below zero
    │   ├── InvalidOption         an option out of its range, or two that contradict
    │   └── UnknownMetric
    ├── VectorNotFound (KeyError)
    ├── VectorExists
    ├── CollectionNotFound (KeyError)
    ├── CollectionExists
    ├── DatasetNotInstalled (ImportError)
    ├── DeviceNotFound            no accelerator where one was asked for
    ├── CorruptSnapshot           a snapshot's bytes do not give what its header promises
    ├── CorruptSweep              a line of a sweep's file that is not as it was written
    ├── SaveFailed (OSError)      the disk did not take a file; what was there is as it was
    ├── WriteRefused              the store does not take writes now
    │   ├── ReadOnlyReplica
    │   ├── WriteInSubscriber
    │   ├── WriteInFilter
    │   └── DiskFull              a master that cannot make another write durable
    ├── PromotionRefused          a node cannot become master now
    ├── WriteConcernTimeout       too few replicas confirmed a write in time
    ├── OperationTooOld           the log no longer holds what was asked for
    ├── ReentrantCall             a signal handler or finalizer called amid another call
    ├── ForkedProcess             JAX runs in the process that this one was forked from
    ├── ClusterInterrupted        an exception has stopped a simulated cluster in an event
    └── LimitReached              a bound of the simulator was met

Each error says what it got, what it wanted and what to do about it, has a stable `code`, and
turns into a JSON-ready dict with `to_dict()`.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "ClusterInterrupted",
    "CollectionExists",
    "CollectionNotFound",
    "CorruptSnapshot",
    "CorruptSweep",
    "DatasetNotInstalled",
    "DeviceNotFound",
    "DiskFull",
    "DuplicateId",
    "ForkedProcess",
    "InvalidDimension",
    "InvalidFilter",
    "InvalidId",
    "InvalidInput",
    "InvalidK",
    "InvalidOption",
    "InvalidPayload",
    "InvalidVector",
    "LimitReached",
    "OperationTooOld",
    "PromotionRefused",
    "ReadOnlyReplica",
    "ReentrantCall",
    "SaveFailed",
    "UnknownMetric",
    "VectorExists",
    "VectorKitError",
    "VectorNotFound",
    "WriteConcernTimeout",
    "WriteInFilter",
    "WriteInSubscriber",
    "WriteRefused",
]


class VectorKitError(Exception):
    """The root: catch this to catch everything that vectorkit refuses on purpose.

    `got`, `wanted` and `remedy` are short texts; `details` are JSON-ready facts for programs.

    >>> try:
    ...     raise InvalidK("cannot search", got="k=-1", wanted="k >= 0", remedy="ask for 0 or more")
    ... except VectorKitError as error:
    ...     print(error)
    cannot search: got k=-1, wanted k >= 0; ask for 0 or more
    """

    code: ClassVar[str] = "vectorkit_error"

    def __init__(self, problem: str, *, got: str, wanted: str, remedy: str, **details: Any) -> None:
        super().__init__(problem)
        self.problem = problem
        self.got = got
        self.wanted = wanted
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        return f"{self.problem}: got {self.got}, wanted {self.wanted}; {self.remedy}"

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {"got": self.got, "wanted": self.wanted, "remedy": self.remedy}
        return _rebuild, (type(self), self.problem, {**facts, **self.details})

    def to_dict(self) -> dict[str, Any]:
        """The error as `{type, code, message, details}`, ready for JSON."""
        facts = {"got": self.got, "wanted": self.wanted, "remedy": self.remedy}
        return {
            "type": type(self).__name__,
            "code": self.code,
            "message": str(self),
            "details": {**facts, **self.details},
        }


def _rebuild(kind: type[VectorKitError], problem: str, facts: dict[str, Any]) -> VectorKitError:
    return kind(problem, **facts)


class InvalidInput(VectorKitError, ValueError):
    """An argument that cannot be taken as it is."""

    code = "invalid_input"


class InvalidDimension(InvalidInput):
    """A collection's dimension must be a positive integer."""

    code = "invalid_dimension"


class InvalidVector(InvalidInput):
    """Vectors of a wrong shape or dtype, or with a squared norm that float32 cannot hold."""

    code = "invalid_vector"


class InvalidId(InvalidInput):
    """Ids are str or int, and of one kind in one collection."""

    code = "invalid_id"


class DuplicateId(InvalidInput):
    """One batch names the same id twice."""

    code = "duplicate_id"


class InvalidPayload(InvalidInput):
    """A payload must be a JSON object, or None."""

    code = "invalid_payload"


class InvalidFilter(InvalidInput):
    """A `where` must be a mapping of conditions that have an answer, or a function of columns."""

    code = "invalid_filter"


class InvalidK(InvalidInput):
    """The number of neighbours must be an integer of zero or more."""

    code = "invalid_k"


class InvalidOption(InvalidInput):
    """An option out of its range, or two options that contradict each other."""

    code = "invalid_option"


class UnknownMetric(InvalidInput):
    """A metric that vectorkit does not have."""

    code = "unknown_metric"


class VectorNotFound(VectorKitError, KeyError):
    """No row has this id."""

    code = "vector_not_found"


class VectorExists(VectorKitError):
    """A row has this id already."""

    code = "vector_exists"


class CollectionNotFound(VectorKitError, KeyError):
    """The store has no collection of this name."""

    code = "collection_not_found"


class CollectionExists(VectorKitError):
    """The store has a collection of this name already."""

    code = "collection_exists"


class DatasetNotInstalled(VectorKitError, ImportError):
    """The package that carries a data set is missing."""

    code = "dataset_not_installed"


class DeviceNotFound(VectorKitError):
    """JAX sees no accelerator, and no device was named."""

    code = "device_not_found"


class CorruptSnapshot(VectorKitError):
    """A snapshot's bytes do not give what its header promises."""

    code = "corrupt_snapshot"


class CorruptSweep(VectorKitError):
    """A line of a sweep's file is not as it was written."""

    code = "corrupt_sweep"


class SaveFailed(VectorKitError, OSError):
    """The disk did not take the whole of a file: it is full, over a quota, or broken."""

    code = "save_failed"


class WriteRefused(VectorKitError):
    """The store does not take writes now."""

    code = "write_refused"


class ReadOnlyReplica(WriteRefused):
    """A replica takes writes from its master only."""

    code = "read_only_replica"


class WriteInSubscriber(WriteRefused):
    """A subscriber to the operation stream tried to write to the store that called it."""

    code = "write_in_subscriber"


class WriteInFilter(WriteRefused):
    """A function passed as `where` tried to write to the collection or store it is asked about."""

    code = "write_in_filter"


class DiskFull(WriteRefused):
    """The master's disk has no room for another write; what it has confirmed stays."""

    code = "disk_full"


class PromotionRefused(VectorKitError):
    """A node cannot become master: by its role, its lag, or for want of intact answers."""

    code = "promotion_refused"


class WriteConcernTimeout(VectorKitError):
    """Too few replicas confirmed a write in time; it may still take effect."""

    code = "write_concern_timeout"


class OperationTooOld(VectorKitError):
    """The replication log no longer holds the requested operations."""

    code = "operation_too_old"


class ReentrantCall(VectorKitError):
    """A signal handler or finalizer called a collection amid another call of its thread."""

    code = "reentrant_call"


class ForkedProcess(VectorKitError):
    """A fork of a process in which JAX runs cannot use collections; it would hang."""

    code = "forked_process"


class ClusterInterrupted(VectorKitError):
    """An exception has stopped a simulated cluster in the middle of an event."""

    code = "cluster_interrupted"


class LimitReached(VectorKitError):
    """A bound of the simulator was met before the run ended."""

    code = "limit_reached"


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
