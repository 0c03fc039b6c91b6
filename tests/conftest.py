"""What holds for every test: set before torch is imported."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

# waiting threads sleep instead of spinning, so that tests that share two cores do not slow each other down
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """The command sets loggers up for its process; here that is the one of all tests."""
    yield
    for room in ("stage", "corpora", "tokenizer", "jgpt", "eval", "scripts"):
        logger = logging.getLogger(room)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster()
for no_monitor in (True, False):
    cluster.add_node(num_cpus=1, include_dashboard=False, include_log_monitor=False, no_monitor=no_monitor)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes with a core each.

    It and all that work on it are processes of their own: Ray brings threads along, and ends a process when something breaks.
    """
    if not find_spec("ray"):
        pytest.skip("needs Ray: pip install 'jgpt[ray]'")
    command = [sys.executable, "-c", CLUSTER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin and process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()
