"""A stage's process: one thread whatever is loaded, and the memory of the block alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from segkit.files import unique_suffix
from segkit.study.run.resources import memory

THREADS = """
import numpy
from threadpoolctl import threadpool_info
from segkit.study.run.resources import one_thread
def most():
    return max((library["num_threads"] for library in threadpool_info()), default=1)
with one_thread():
    assert most() == 1
    import sklearn.cluster
    import scipy.linalg
    assert most() == 1
before = most()
with one_thread():
    assert most() == 1
assert most() == before
print(before)
"""


def test_libraries_loaded_later_are_held_to_one_thread_too():
    environment = {"PATH": "", "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot set the peak back")
def test_memory_is_that_of_the_block():
    with memory() as large:
        block = np.ones(16 * 1024**2)
        del block
    with memory() as small:
        pass
    assert 120 < large["growth"] < 160
    assert large["peak"] > large["growth"]
    assert small["growth"] < 20


def test_no_two_suffixes_are_the_same():
    assert len({unique_suffix() for _ in range(1000)}) == 1000
