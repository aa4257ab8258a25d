"""Pure functions on arrays: total, un-jitted, with static shapes."""
