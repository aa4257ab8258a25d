"""Two processes that hold half of the rows each answer as one collection on the CPU does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.collections.sharded_process import work
from vectorkit.collections import CpuCollection

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def run_processes(count):
    """What each of the processes printed. None of them outlives this call."""
    port = free_port()
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "tests.collections.sharded_process", str(port), str(count)]
    children = [
        subprocess.Popen(
            [*command, str(number)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        outputs = [child.communicate(timeout=TIMEOUT_S) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert [child.returncode for child in children] == [0] * count, outputs
    return [json.loads(out.splitlines()[-1]) for out, _ in outputs]


def test_two_processes_answer_as_one_collection():
    expected = work(CpuCollection(dim=5, metric="dot"))
    expected |= {"addressable": 2, "device_count": 4}
    assert run_processes(2) == [json.loads(json.dumps(expected))] * 2
