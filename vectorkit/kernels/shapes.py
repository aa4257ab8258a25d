"""Array types that say shapes: `Float[Array, "rows dim"]` is a float array of two axes.

Where `jaxtyping` has been loaded before, as in the tests, they are its own and can be checked.
Else they are what it shows type checkers, without the time that loading it takes.
"""

import sys
from typing import TYPE_CHECKING

from jax import Array

if not TYPE_CHECKING and "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, Int8, Shaped, UInt8, UInt32
else:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Int
    from typing import Annotated as Int8
    from typing import Annotated as Shaped
    from typing import Annotated as UInt8
    from typing import Annotated as UInt32

__all__ = ["Array", "Bool", "Float", "Int", "Int8", "Shaped", "UInt8", "UInt32"]
