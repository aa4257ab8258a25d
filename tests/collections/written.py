"""Payloads and their columns, changed as a collection changes them: drawn steps, and who plays."""

from hypothesis import strategies as st

from vectorkit.collections.filters.columns import Columns

FEW = 32
"""As many rows at most are written one by one."""

MANY = 100
"""So many rows are written at once."""

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63) + 1, 9218868437227405313]),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0**53, 1e300]),
    st.sampled_from(["", "a", "b", "true", "\ud800\udc00", "\U00010000"]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.just("x"), scalars))
payload = st.none() | st.dictionaries(st.sampled_from(["a", "b"]), values)
payload_lists = st.lists(payload, max_size=8) | st.lists(
    payload, min_size=FEW + 1, max_size=2 * FEW
)


class Written:
    """A list with its columns, changed by the verbs of a collection; snapshots stay."""

    def __init__(self):
        self.payloads, self.snapshots, self.is_held = [], [], False
        self.columns = Columns(self.payloads)

    def overwriting(self):
        if self.is_held:
            self.payloads = self.payloads.copy()
            self.columns = self.columns.copy(self.payloads)
            self.is_held = False

    def extend(self, payloads):
        self.payloads += payloads

    def set(self, slots, payloads):
        self.overwriting()
        slots = [slot % len(self.payloads) for slot in slots] if self.payloads else []
        changed = list(zip(slots, payloads, strict=False))
        for slot, payload in changed:
            self.payloads[slot] = payload
        self.columns.reread([slot for slot, _ in changed])

    def delete(self, count):
        self.overwriting()
        remaining = max(0, len(self.payloads) - count)
        moved = self.payloads[remaining:][: remaining // 2]
        self.payloads[: len(moved)] = moved
        del self.payloads[remaining:]
        self.columns.reread(range(len(moved)))
        self.columns.truncate(remaining)

    def hold(self):
        self.is_held = True
        self.snapshots.append((self.columns, self.payloads, len(self.payloads)))

    def read(self):
        for key in ("a", "b"):
            self.columns.column(key, len(self.payloads))

    def play(self, steps):
        for name, *arguments in steps:
            getattr(self, name)(*arguments)


slots = st.lists(st.integers(0, 1_000), max_size=2 * FEW)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), payload_lists),
        st.tuples(st.just("set"), slots, payload_lists),
        st.tuples(st.just("delete"), st.integers(0, 60)),
        st.tuples(st.just("hold")),
        st.tuples(st.just("read")),
    ),
    max_size=12,
)
