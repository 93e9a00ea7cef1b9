"""The component begins here; what the host calls is in `model.py`."""

import model  # noqa: F401
