"""The collection on an accelerator."""

from __future__ import annotations

from typing import ClassVar

import jax

from vectorkit.collections.backends.base import Backend
from vectorkit.collections.backends.exact import ExactBackend
from vectorkit.collections.collection import Collection
from vectorkit.collections.values.not_storable import short
from vectorkit.errors import DeviceNotFound, InvalidOption


class GpuCollection(Collection):
    """Vectors by id in float32 on one JAX device, by default the first accelerator.

    The contract, the programs and the answers are those of `CpuCollection`: scores are made in
    float64 on the host from candidates that the device has picked, so they are equal bit for bit.
    `device` is any `jax.Device`. Raises DeviceNotFound where JAX has no accelerator and none is
    named, InvalidDimension, UnknownMetric.

    >>> import jax
    >>> c = GpuCollection(dim=2, device=jax.devices()[0])
    >>> _ = c.upsert(["east", "north"], [[1, 0], [0, 1]])
    >>> c.search([3, 4], k=1)
    Matches(1 by cosine: {'north': 0.8000})
    """

    kind: ClassVar[str] = "gpu"

    def __init__(
        self,
        *,
        dim: int,
        metric: str = "cosine",
        device: jax.Device | None = None,
        name: str = "",
    ) -> None:
        self.device = check_device(device)
        super().__init__(dim=dim, metric=metric, name=name)

    def _make_backend(self) -> Backend:
        return ExactBackend(self.dim, self.metric, self.device)


def check_device(device: jax.Device | None) -> jax.Device:
    """The device that was asked for, or the first accelerator of this process."""
    if isinstance(device, jax.Device):
        return device
    if device is not None:
        raise InvalidOption(
            "this is not a device",
            got=f"device={short(device)} ({type(device).__name__})",
            wanted="a jax.Device, or None for the first accelerator",
            remedy="pass one of jax.local_devices()",
        )
    found = jax.local_devices()
    for each in found:
        if each.platform != "cpu":
            return each
    raise DeviceNotFound(
        "JAX sees no accelerator",
        got=", ".join(map(str, found)),
        wanted="a GPU, a TPU, or a device of your own choice",
        remedy="install JAX with its support (python -m pip install 'jax[cuda13]'), pass device=, "
        "or use CpuCollection",
        devices=[str(each) for each in found],
    )
