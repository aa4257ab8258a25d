"""The accelerator's collection on a second virtual device; DeviceNotFound where there is none.

That its answers are those of the CPU is shown by the contract test, which runs over all kinds.
"""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from vectorkit.collections import GpuCollection
from vectorkit.collections.gpu import check_device
from vectorkit.errors import DeviceNotFound, InvalidOption

SECOND = jax.local_devices()[1]


def test_without_an_accelerator_the_error_names_the_devices_and_the_remedy():
    with pytest.raises(DeviceNotFound) as caught:
        GpuCollection(dim=4)
    assert caught.value.details["devices"] == [str(device) for device in jax.local_devices()]
    assert "or use CpuCollection" in str(caught.value)


def test_the_first_accelerator_is_the_default(monkeypatch):
    accelerator = SimpleNamespace(platform="gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [SECOND, accelerator, SECOND])
    assert check_device(None) is accelerator


@pytest.mark.parametrize("device", ["gpu", 0, "cuda:0"])
def test_what_is_not_a_device_is_refused(device):
    with pytest.raises(InvalidOption, match=r"jax\.local_devices"):
        GpuCollection(dim=4, device=device)


def test_rows_stay_on_the_device_through_every_kind_of_write():
    collection = GpuCollection(dim=4, metric="dot", device=SECOND)

    def devices():
        collection.search(np.ones(4))
        state = collection._storage.state
        return set().union(*[array.devices() for chunk in state for array in chunk])

    assert devices() == {SECOND}
    rows = np.random.default_rng(0).normal(size=(400, 4))
    for write in (
        lambda: collection.insert(range(200), rows[:200]),
        lambda: collection.update_vector(3, rows[0]),
        lambda: collection.update_vectors(range(150), rows[:150]),
        collection.snapshot,
        lambda: collection.delete(range(10)),
        lambda: collection.insert(range(1_000, 1_400), rows),
        lambda: collection.reserve(5_000),
    ):
        write()
        assert devices() == {SECOND}
