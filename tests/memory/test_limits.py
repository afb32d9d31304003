"""What a process may take: the tightest of machine, control groups of both versions, nested too, and ulimit."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from backbeam_backends import host_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A made-up system that says nothing yet; returns a function that writes one of its files."""
    monkeypatch.setattr(host_memory, "MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(host_memory, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(host_memory, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(host_memory, "STATUS", tmp_path / "status")

    def write(place, text):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def version_2(write, group, limit, held, cached=0):
    write(f"cgroup/{group}/memory.max", f"{limit}\n")
    write(f"cgroup/{group}/memory.current", f"{held}\n")
    write(f"cgroup/{group}/memory.stat", f"anon 5\ninactive_file {cached}\n")


def version_1(write, group, limit, held, cached=0):
    write(f"cgroup/memory/{group}/memory.limit_in_bytes", f"{limit}\n")
    write(f"cgroup/memory/{group}/memory.usage_in_bytes", f"{held}\n")
    write(f"cgroup/memory/{group}/memory.stat", f"cache 5\ninactive_file 77\ntotal_inactive_file {cached}\n")


def test_a_system_that_says_nothing(system):
    assert host_memory.free_memory() is None


def test_the_machine(system):
    system("meminfo", "MemTotal: 100 kB\nMemAvailable: 40 kB\n")
    assert host_memory.tightest() == (40 * 1024, "the machine")


def test_the_groups_around_count_too(system):
    system("meminfo", "MemAvailable: 4000000 kB\n")
    system("own", "0::/a/b\n")
    version_2(system, "a/b", "max", 10)
    version_2(system, "a", 1_000_000, 600_000, 50_000)
    assert host_memory.tightest() == (450_000, "its control group /a")
    version_2(system, "a/b", 500_000, 300_000)
    assert host_memory.tightest() == (200_000, "its control group /a/b")
    version_2(system, ".", 700_000, 600_000)
    assert host_memory.tightest() == (100_000, "its control group /")


def test_version_1_with_paths_of_the_host(system):
    system("own", "7:cpu,cpuacct:/x\n4:memory:/docker/0123\n0::/\n")
    version_1(system, ".", 2_000_000, 500_000, 100_000)  # a container sees its own group as the root
    assert host_memory.tightest() == (1_600_000, "its control group /")
    version_1(system, "docker/0123", 9223372036854771712, 500_000)
    assert host_memory.tightest() == (1_600_000, "its control group /")


def test_a_group_beyond_its_limit_has_nothing_left(system):
    system("own", "0::/\n")
    version_2(system, ".", 1000, 2000)
    assert host_memory.free_memory() == 0


@pytest.mark.parametrize("text", ["", "nonsense", "0::/../../..\n", "4:memory\n"])
def test_what_cannot_be_read_is_no_limit(system, text):
    system("own", text)
    assert host_memory.free_memory() is None


LIMITED = """
import json, resource
resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000, 3_000_000_000))
from backbeam_backends.host_memory import tightest
print(json.dumps(tightest()))
"""


def test_ulimit():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    free, limit = json.loads(done.stdout)
    assert limit == "ulimit -v" and 1e9 < free < 3e9


def test_macos_counts_bytes_and_linux_kilobytes(monkeypatch):
    here = host_memory.peak_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert here == pytest.approx(1024 * host_memory.peak_memory(), rel=0.1)


def test_a_system_without_the_module_resource(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert host_memory.peak_memory() == 0
    host_memory.tightest()
