"""Settings of all tests."""

import os

from hypothesis import settings

# Without it scikit-learn skips its array API check; it counts only when set before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# There is a test process for each processor already: more threads wait for each other, and turn in circles
# meanwhile.
for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# The same cases in every run, without a time limit: what passed once passes on any machine. New cases
# are searched for with `pytest --hypothesis-profile=search`.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("same")
