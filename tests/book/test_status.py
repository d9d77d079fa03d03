"""The status page lists every executed notebook and every recorded result."""

import re

import nbformat
import pytest
import yaml

from helpers.made_up import evaluation_records
from pdrr.book import contents, notebooks, status
from pdrr.cli.main import main
from pdrr.core.files import RECORDED

DAY = "2026-01-02".replace("-", "\u2011")  # in one piece


def executed(folder, stem, title, **parameters):
    new = nbformat.v4
    told = {
        "duration": 12.34,
        "end_time": "2026-01-02T03:04:05.678901+00:00",
        "parameters": parameters,
    }
    notebook = new.new_notebook(cells=[new.new_markdown_cell(f"# {title}\n\nWords.")])
    notebook.metadata["papermill"] = told
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")


@pytest.fixture
def top(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executed(tmp_path / "notebooks", "fig04", "Figure 4: Krum", profile="smoke", data="a/b/x.npz")
    executed(tmp_path / "notebooks", "verdicts", "The claims")
    evaluation_records(seeds=(1, 2)).save(RECORDED / "paper", "table1")
    evaluation_records().save(RECORDED / "smoke", "table2")
    return tmp_path


def rows(text):
    found = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line[:1] == "|"]
    return [row for row in found if not row[0].startswith("-")]


def test_every_notebook_has_a_row_with_a_link(top):
    shown = rows(status.page(top / "notebooks", RECORDED))
    assert shown[0] == ["page", "seconds", "profile", "data", "when (UTC)"]
    assert shown[1:3] == [
        ["[Figure 4](notebooks/fig04.ipynb)", "12", "smoke", "x.npz", DAY + " 03:04"],
        ["[The claims](notebooks/verdicts.ipynb)", "12", "recorded", "–", DAY + " 03:04"],
    ]


def test_every_recorded_result_has_a_row_the_paper_s_size_first(top):
    shown = rows(status.page(top / "notebooks", RECORDED))
    names = ["name", "profile", "seconds", "memory", "data", "seeds", "device"]
    assert shown[3] == [*names, "commit, date"]
    assert [row[0] for row in shown[4:]] == ["table1", "table2"]
    assert shown[4][2:] == [
        "2", "0.5 GiB", "letters", "1, 2", "a processor, 2 cores", f"`abc`, {DAY}",
    ]  # fmt: skip


def test_what_was_computed_before_a_page_is_in_its_seconds(top):
    notebooks.note(top / "notebooks" / "fig04.ipynb", 123.04)
    shown = rows(status.page(top / "notebooks", RECORDED))
    assert [row[1] for row in shown[1:3]] == ["123", "12"]


def test_a_section_takes_what_its_notebooks_took(top):
    toc = {
        "parts": [
            {
                "caption": contents.PART,
                "chapters": [
                    {"file": "a", "sections": [{"file": f"notebooks/{s}"} for s in ("fig04", "x")]},
                    {"file": "b", "sections": [{"file": "notebooks/fig05"}]},
                ],
            }
        ]
    }
    (top / "toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
    executed(top / "notebooks", "x", "X", profile="smoke")
    notebooks.note(top / "notebooks" / "fig04.ipynb", 1234)
    text = status.sections(top / "notebooks", top / "toc.yml")
    assert rows(text) == [["command", "pages", "seconds"], ["`make sec2`", "2", "1,246"]]
    assert "profile `smoke`:" in text
    assert status.sections(top / "nowhere", top / "toc.yml") == ""


def test_a_notebook_that_was_not_executed_is_refused(top):
    executed(top / "notebooks", "fig05", "Figure 5")
    path = top / "notebooks" / "fig05.ipynb"
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["papermill"]
    nbformat.write(notebook, path)
    with pytest.raises(ValueError, match=r"fig05\.ipynb was not executed"):
        status.page(top / "notebooks", RECORDED)
    with pytest.raises(ValueError, match="no notebooks in nowhere"):
        status.page(top.relative_to(top) / "nowhere", RECORDED)


def test_the_command_prints_the_page(top, capsys):
    with pytest.raises(SystemExit) as end:
        main(["status", "notebooks"])
    shown = capsys.readouterr()
    assert (end.value.code, shown.err) == (0, "")
    assert shown.out == status.page(top / "notebooks", RECORDED)
