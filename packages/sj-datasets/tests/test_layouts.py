"""Finding files in published archives."""

from __future__ import annotations

import zipfile

import pytest

from sj_datasets.layouts import extract_nested, files_below, present, zipped


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_come_in_the_order_of_their_paths_without_hidden_ones(tmp_path):
    touch(tmp_path, "b/1.bin", "a/2.bin", "a/10.bin", "a b/1.bin", "a/1.txt")
    touch(tmp_path, "a/._2.bin", ".cache/1.bin", "__MACOSX/a/2.bin")
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, ".bin")]
    assert found == ["a/10.bin", "a/2.bin", "a b/1.bin", "b/1.bin"]


def test_hidden_folders_above_do_not_matter(tmp_path):
    touch(tmp_path, ".data/x/1.bin")
    assert len(files_below(tmp_path / ".data", ".bin")) == 1


def test_a_folder_without_such_files_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \.bin file.*verify"):
        files_below(tmp_path / "absent", ".bin")


@pytest.mark.parametrize("own_folders", [False, True])
def test_archives_within_an_archive(tmp_path, own_folders):
    with zipped(tmp_path / "outer.zip") as outer:
        (outer / "deep").mkdir()
        for name in ("a", "b"):
            with zipped(outer / "deep" / f"{name}.zip") as inner:
                touch(inner, f"{name}.txt")
    target = tmp_path / "target"
    target.mkdir()
    extract_nested(tmp_path / "outer.zip", target, own_folders=own_folders)
    found = [path.relative_to(target).as_posix() for path in files_below(target, ".txt")]
    assert found == (["a/a.txt", "b/b.txt"] if own_folders else ["a.txt", "b.txt"])
    assert not list(target.rglob("*.zip"))


def test_a_zip_file_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError), zipped(tmp_path / "a.zip") as folder:
        touch(folder, "x")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with zipped(tmp_path / "a.zip") as folder:
        touch(folder, "d/x")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["d/", "d/x"]


def test_listed_files_are_told_from_absent_ones(tmp_path):
    touch(tmp_path, "here")
    both = [(tmp_path / "here", "1"), (tmp_path / "gone", "2")]
    assert list(present(both[:1], tmp_path / "list.txt")) == both[:1]
    with pytest.warns(UserWarning, match=r"list\.txt lists 2 files, 1 of them.*gone"):
        assert list(present(both, tmp_path / "list.txt")) == both[:1]
    with pytest.raises(FileNotFoundError, match=r"list\.txt: none"):
        present(both[1:], tmp_path / "list.txt")
