"""Files that appear whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pypod.images.new_file import replace_file


def test_whoever_replaces_a_file_at_the_same_time_it_is_one_of_theirs(tmp_path: Path) -> None:
    """Several threads of a process may be the first to open a storage."""
    path = tmp_path / "file"
    texts = [str(number) * 5000 for number in range(8)]

    def replace(text: str) -> set[str]:
        seen = set()
        for _ in range(100):
            replace_file(str(path), text)
            seen.add(path.read_text())
        return seen

    with ThreadPoolExecutor(8) as threads:
        for seen in threads.map(replace, texts):
            assert seen <= set(texts)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
