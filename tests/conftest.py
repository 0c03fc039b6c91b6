"""What holds for every test: set before torch is imported."""

import os

# waiting threads sleep instead of spinning, so that tests that share two cores do not slow each other down
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
