"""What holds for every test."""

import os

from hypothesis import settings

# Without it scikit-learn skips its array API check; it counts only when set before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# A shared machine may stall for longer than any deadline: tests never depend on time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
