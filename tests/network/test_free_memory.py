from collections import namedtuple

import pytest

from napari_meunet.network import free_memory
from napari_meunet.network.free_memory import free_on_host, share_of

Memory = namedtuple("Memory", "available")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A computer with 1000 bytes free, and where its cgroups lie."""
    monkeypatch.setattr(
        free_memory.psutil, "virtual_memory", lambda: Memory(available=1000)
    )
    monkeypatch.setattr(free_memory, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(free_memory, "_CGROUPS", tmp_path / "cgroup")
    return tmp_path


def limit(folder, names, limit, taken, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, taken), strict=False):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {files}\n")


def test_without_cgroups_all_that_is_available_is_free(host):
    assert free_on_host() == 1000


@pytest.mark.parametrize(
    ("own", "root", "names"),
    [
        ("0::/slurm/job", "cgroup", free_memory.VERSION_2),
        ("4:cpu,memory:/slurm/job", "cgroup/memory", free_memory.VERSION_1),
    ],
)
def test_the_narrowest_limit_counts_and_files_do_not(host, own, root, names):
    (host / "own").write_text(f"1:name=systemd:/\n{own}\n")
    limit(host / root / "slurm/job", names, 900, 500, 100)
    assert free_on_host() == 500
    limit(host / root / "slurm", names, 450, 420, 10)
    assert free_on_host() == 40
    limit(host / root, names, 400, 500, 0)
    assert free_on_host() == 0


def test_a_cgroup_without_a_limit_does_not_count(host):
    (host / "own").write_text("0::/slurm/job\n")
    limit(host / "cgroup/slurm/job", free_memory.VERSION_2, "max", 500, 100)
    assert free_on_host() == 1000


def test_a_card_that_nobody_else_computes_on_may_be_filled_further():
    assert share_of("cuda:1") > share_of("cpu") == share_of("mps")
