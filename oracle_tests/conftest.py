"""Settings of the test run: the same examples on every machine."""

from hypothesis import settings

settings.register_profile(
    "refquant", derandomize=True, deadline=None, database=None, max_examples=50
)
settings.load_profile("refquant")
