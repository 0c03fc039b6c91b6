"""What holds for every test: set before torch is imported."""

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

# waiting threads sleep instead of spinning, so that tests that share two cores do not slow each other down
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes with a core each, to which this process is connected."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'jgpt[ray]'")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    cluster = cluster_utils.Cluster()
    settings: dict[str, Any] = {"num_cpus": 1, "include_dashboard": False, "include_log_monitor": False}
    try:
        for no_monitor in (True, False):
            cluster.add_node(no_monitor=no_monitor, **settings)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.CRITICAL)
        yield str(cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()
