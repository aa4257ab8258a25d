"""All planted bugs, one or a few for each row of the fault catalogue, in its order."""

from tests.planted.copies import COPIES
from tests.planted.safety import SAFETY
from tests.planted.service import SERVICE

BUGS = tuple(sorted((*SAFETY, *COPIES, *SERVICE), key=lambda bug: bug.row))
BY_NAME = {bug.name: bug for bug in BUGS}
