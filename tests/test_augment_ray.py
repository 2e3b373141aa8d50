"""A Ray cluster of two node processes, one of them killed in the middle: the same files as one process makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from augment_maker import Stage, digests, no_progress, record_contents

from signgen.augmentation.run import Task, augment
from signgen.errors import RunError

pytest.importorskip("ray", reason='Ray is not installed: pip install "signgen[ray]"')
ROOT = Path(__file__).resolve().parent.parent


class Killing:
    """Progress that ends a node when the first clip is finished."""

    def __init__(self, cluster, node) -> None:
        self.cluster, self.node, self.done = cluster, node, 0

    def __call__(self, total: int, label: str):
        return self

    def __enter__(self):
        return self.advance

    def __exit__(self, *error: object) -> None:
        pass

    def advance(self, n: int) -> None:
        self.done += n
        if self.done and self.node is not None:
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.node = None


@pytest.fixture
def cluster(monkeypatch):
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.shutdown()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_node_killed_in_the_middle_costs_no_clip(tmp_path, cluster):
    stage = Stage(tmp_path)
    stage.run("whole")
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    killing = Killing(cluster, node)
    task = Task(stage.dataset, tmp_path / "cluster", stage.settings(), ray=cluster.address)
    result = augment(task, lambda line: None, killing)
    assert killing.node is None
    assert killing.done == result["done"] == 6
    assert digests(tmp_path / "cluster") == digests(tmp_path / "whole")
    assert record_contents(tmp_path / "cluster") == record_contents(tmp_path / "whole")


def test_an_error_of_an_actor_is_one_line(tmp_path, cluster):
    stage = Stage(tmp_path)
    settings = stage.settings(copies=1)

    def weights_change(line: str) -> None:
        """The plan is told when the model is known and no actor has loaded it."""
        for file in stage.model.rglob("*.safetensors"):
            file.write_bytes(file.read_bytes()[:-4] + b"\0\0\x80?")

    with pytest.raises(RunError, match="the work was planned with"):
        augment(Task(stage.dataset, tmp_path / "out", settings, ray=cluster.address), weights_change, no_progress)
