"""What all tests share."""

from hypothesis import settings

# The machine may be slow or busy: how long one example takes says nothing about the code.
settings.register_profile("redoubt", deadline=None, print_blob=True)
settings.load_profile("redoubt")
