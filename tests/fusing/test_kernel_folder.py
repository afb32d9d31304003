"""Machine code on disk: only from a folder of the user's own, bound to its key, whole or not there."""

from __future__ import annotations

import os

import pytest

from backbeam_backends.kernel_folder import KernelFolder, users_folder

KEY, CODE = b"what it is made from", b"machine code"


@pytest.fixture
def folder(tmp_path):
    kept = KernelFolder(tmp_path / "backbeam" / "kernels")
    kept.write(KEY, CODE)
    return kept


def files(folder):
    return list(folder.path.iterdir())


def test_there_and_back(folder):
    assert folder.read(KEY) == CODE
    assert folder.read(b"something else") is None
    assert folder.path.stat().st_mode & 0o077 == 0


def test_a_file_is_bound_to_its_key(folder):
    (file,) = files(folder)
    folder.write(b"other", b"other code")
    (other,) = set(files(folder)) - {file}
    os.replace(other, file)
    assert folder.read(KEY) is None


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"", lambda b: b[:40] + b"x" + b[41:]])
def test_a_spoilt_file_is_none(folder, spoil):
    (file,) = files(folder)
    file.write_bytes(spoil(file.read_bytes()))
    assert folder.read(KEY) is None


def test_no_link_is_followed(folder, tmp_path):
    (file,) = files(folder)
    os.replace(file, tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert folder.read(KEY) is None
    real = folder.path.rename(tmp_path / "real")
    folder.path.symlink_to(real)
    assert folder.read(KEY) is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_in_which_others_may_write(folder, mode):
    folder.path.chmod(mode)
    assert folder.read(KEY) is None
    folder.write(b"new", CODE)
    assert len(files(folder)) == 1


def test_a_file_that_others_may_write(folder):
    (file,) = files(folder)
    file.chmod(0o666)
    assert folder.read(KEY) is None


def test_a_folder_of_somebody_else(folder, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert folder.read(KEY) is None


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    folder.write(b"new", CODE)
    assert len(files(folder)) == 1


def test_no_folder_at_all(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for path in (None, tmp_path / "file" / "kernels"):
        folder = KernelFolder(path)
        folder.write(KEY, CODE)
        assert folder.read(KEY) is None


def test_the_oldest_go(folder):
    for k in range(20):
        folder.write(b"%d" % k, b"x" * 968)  # 1000 B with its seal
        os.utime(folder._place(b"%d" % k), (k, k))
    assert folder.read(b"0")  # used again: now it is the newest
    small = KernelFolder(folder.path, most_bytes=5000)
    small.sweep()
    kept = [k for k in range(20) if small.read(b"%d" % k)]
    assert kept == [0, 17, 18, 19]


def test_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert users_folder("a", "b") == tmp_path / "a" / "b"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert users_folder("a") == tmp_path / ".cache" / "a"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987654321)
    assert users_folder("a") is None
