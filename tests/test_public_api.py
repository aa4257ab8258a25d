"""The public names are frozen here: a change to them is a decision, never an accident."""

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import vectorkit
import vectorkit.datasets
import vectorkit.errors
import vectorkit.replication
import vectorkit.sim

EXPORTS: dict[ModuleType, str] = {
    vectorkit: """
        KEEP BatchMatches CacheStats CodecReport Collection CpuCollection GpuCollection Matches
        Memory QuantizedCollection QueryCache Row ShardedCollection Snapshot VectorKitError
        VectorStore WriteResult datasets diff errors frames load measure parity_report plot
        replication sim update_lab
    """,
    vectorkit.datasets: """
        Dataset fashion_mnist glove minilm patches
    """,
    vectorkit.replication: """
        Appended Applied Effect Failover Image MasterNode MasterRole Node NodeStatus Noted
        Persist Position
        Promotion Record ReplicaInfo ReplicaNode ReplicaRole ReplicaStatus
        ReplicationLog ReplicationOptions
        ReplicationStats RoleChanged Send SetTimer SyncChanged WriteConcern majority node_status
        status_of
    """,
    vectorkit.sim: """
        CURRENT_MASTER Block ClockDrift ClockJump ClockOffset Clog Cluster ClusterOptions Crash Cut
        Degrade Disk Explanation Failover Fault Finding Findings FlipBit FullDisk KeptSeed Link
        Partition Pause PlannedRequest Promote Replace Restart Retire Run Scenario Shrunk SlowCpu
        SlowDisk
        StalledDisk Workload WriteConcern compare explain fault_from_dict fault_lab
        flapping_link isolate_master majorities_ring majority medians random_faults random_scenario
        rare_paths rates rolling_restart shrink simulate sweep swizzle_clog
    """,
}

# Each error with its code, below the error that it refines.
ERRORS = """
VectorKitError vectorkit_error
    InvalidInput invalid_input
        InvalidDimension invalid_dimension
        InvalidVector invalid_vector
        InvalidId invalid_id
        DuplicateId duplicate_id
        InvalidPayload invalid_payload
        InvalidFilter invalid_filter
        InvalidK invalid_k
        InvalidOption invalid_option
        UnknownMetric unknown_metric
    VectorNotFound vector_not_found
    VectorExists vector_exists
    CollectionNotFound collection_not_found
    CollectionExists collection_exists
    DatasetNotInstalled dataset_not_installed
    DeviceNotFound device_not_found
    CorruptSnapshot corrupt_snapshot
    CorruptSweep corrupt_sweep
    SaveFailed save_failed
    WriteRefused write_refused
        ReadOnlyReplica read_only_replica
        WriteInSubscriber write_in_subscriber
        WriteInFilter write_in_filter
        DiskFull disk_full
    PromotionRefused promotion_refused
    WriteConcernTimeout write_concern_timeout
    OperationTooOld operation_too_old
    ReentrantCall reentrant_call
    ForkedProcess forked_process
    ClusterInterrupted cluster_interrupted
    LimitReached limit_reached
"""

MODULES = pytest.mark.parametrize("module", EXPORTS, ids=lambda module: module.__name__)


def public_callables() -> dict[str, object]:
    members = {f"{m.__name__}.{name}": getattr(m, name) for m in EXPORTS for name in m.__all__}
    return {
        name: member
        for name, member in members.items()
        if inspect.isroutine(member)
        or (inspect.isclass(member) and not issubclass(member, BaseException))
    }


def error_tree(error: type[Exception], indent: str = "") -> Iterator[str]:
    yield f"{indent}{error.__name__} {error.code}"
    own = (c for c in error.__subclasses__() if c.__module__.startswith("vectorkit."))
    for child in own:
        yield from error_tree(child, indent + "    ")


@MODULES
def test_exports_are_the_frozen_list(module: ModuleType) -> None:
    assert sorted(module.__all__) == sorted(EXPORTS[module].split())


@MODULES
def test_every_exported_name_exists_once(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)


@MODULES
def test_completion_offers_the_exported_names_only(module: ModuleType) -> None:
    offered = {name for name in dir(module) if not name.startswith("__")}
    assert offered == set(module.__all__)


@pytest.mark.parametrize("name", public_callables())
def test_docstring_holds_a_runnable_example(name: str) -> None:
    docstring = inspect.getdoc(public_callables()[name]) or ""
    assert ">>> " in docstring


def test_errors_and_their_codes_are_the_frozen_tree() -> None:
    assert list(error_tree(vectorkit.errors.VectorKitError)) == ERRORS.strip().splitlines()


def test_every_error_is_exported_and_offered_by_completion() -> None:
    names = sorted(line.split()[0] for line in ERRORS.strip().splitlines())
    assert sorted(vectorkit.errors.__all__) == names
    assert [name for name in dir(vectorkit.errors) if not name.startswith("__")] == names


def test_the_tree_drawn_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+)", vectorkit.errors.__doc__ or "", re.MULTILINE)
    tree = [line.rpartition(" ")[0] for line in error_tree(vectorkit.errors.VectorKitError)]
    assert [" " * len(branch) + name for branch, name in drawn] == tree


@pytest.mark.parametrize("line", ERRORS.split("\n")[1:-1])
def test_error_codes_are_their_names_in_snake_case(line: str) -> None:
    name, code = line.split()
    words = re.findall(r"[A-Z][a-z]*", name.replace("VectorKit", "Vectorkit"))
    assert code == "_".join(words).lower()
