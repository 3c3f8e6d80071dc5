"""Whatever is typed after `amora-fs` is answered or refused in a message, without a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from amora_fs_assets_tests.cli.test_main import Shell, amora_fs, said

__all__ = ["amora_fs"]  # the fixture
WORDS = ["", " ", ",", "nothing", "spending", "-1", "0", "\udcff", "a/../b", "é", "9999-12-31T23:59:59.999999Z",
         "9" * 40,
         "0001-01-01T00:00+14:00", "soon", "2020-02-01", "spending:amount"]  # fmt: skip
COMMANDS = [
    ["status", "{}"], ["history", "{}"], ["history", "--between", "{}", "{}"], ["history", "--limit", "{}"],
    ["lineage", "{}"], ["lineage", "spending", "--column", "{}"], ["rollback", "{}"],
    ["rollback", "spending", "--to", "{}"],
    ["rollback", "{}", "--unpin", "--dry-run"], ["parity", "{}"], ["parity", "spending", "--sample", "{}"],
    ["training-sets", "list", "{}"], ["training-sets", "show", "{}"], ["training-sets", "show", "spending", "{}"],
    ["training-sets", "show", "spending", "--as-of", "{}"], ["training-sets", "compare", "spending", "{}", "{}"],
    ["compute", "{}", "2020-02-01"], ["compute", "2020-02-01", "{}"], ["compute", "--feature-views", "{}"],
    ["materialize", "{}", "2020-02-01"], ["materialize-incremental", "{}"],
    ["materialize-incremental", "--models", "{}"],
    ["serve", "--port", "{}", "--max-body", "0"], ["--as-of", "{}", "status"], ["--definitions", "{}", "plan"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_with_any_word_is_answered_or_refused(amora_fs: Shell, command: list[str]) -> None:
    amora_fs("apply")
    for word in WORDS:
        result = amora_fs(*(each.replace("{}", word) for each in command))
        assert result.exit_code in {0, 1, 2, 3}
        assert "Traceback" not in result.output


def test_views_may_be_picked_by_the_option_twice_or_by_commas(
    amora_fs: Shell,
    tmp_path: Path,
) -> None:
    shop = tmp_path / "shop.py"
    twice = 'again = small.spending(orders, name="again", transform=spending.transform)'
    shop.write_text(f"{shop.read_text()}\n{twice}\n")
    amora_fs("apply")
    for picked in (["--models", "spending", "--models", "again"], ["--feature-views", "spending,again"]):
        output = said(amora_fs("compute", "2020-01-01", "2020-02-01", *picked))
        assert "spending" in output
        assert "again" in output
    assert "spending" not in said(amora_fs("compute", "2020-01-01", "2020-02-01", "--models", "again"))
    for nothing in ("", ","):  # such as an empty variable of a script
        refused = said(amora_fs("compute", "2020-01-01", "2020-02-01", "--models", nothing), code=2)
        assert "--feature-views has no name" in refused
