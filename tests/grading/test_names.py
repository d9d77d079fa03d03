"""Names of files and people, as browsers, systems and learning platforms spell them."""

import os
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pdrr.grading import handed_in, names

WORKS = ["poison_it", "robust_aggregation", "find_the_poisoner"]
CALLED = {  # file: assignment
    "poison_it.ipynb": "poison_it",
    "Poison_It.IPYNB": "poison_it",
    "poison_it (1).ipynb": "poison_it",
    "poison_it(12).ipynb": "poison_it",
    "poison_it (1) (2).ipynb": "poison_it",
    "poison_it-1.ipynb": "poison_it",
    "poison_it-2.ipynb": "poison_it",
    "poison_it_3.ipynb": "poison_it",
    "poison_it 2.ipynb": "poison_it",
    "poison_it v2.ipynb": "poison_it",
    "poison_it copy.ipynb": "poison_it",
    "poison_it copy 2.ipynb": "poison_it",
    "poison_it-Copy1.ipynb": "poison_it",
    "poison_it-Copy1-Copy2.ipynb": "poison_it",
    "poison_it - Copy.ipynb": "poison_it",
    "poison_it - Copy (2).ipynb": "poison_it",
    "poison_it - Kopie.ipynb": "poison_it",
    "Copy of poison_it.ipynb": "poison_it",
    "Copy_of_poison_it.ipynb": "poison_it",
    "Copy of Copy of poison_it.ipynb": "poison_it",
    "Kopie von poison_it.ipynb": "poison_it",
    "Copie de poison_it.ipynb": "poison_it",
    "poison_it-checkpoint.ipynb": "poison_it",
    "poison_it.ipynb.txt": "poison_it",
    "poison_it.ipynb.json": "poison_it",
    "poison_it.ipynb.ipynb": "poison_it",
    "poison-it.ipynb": "poison_it",
    "Poison it.ipynb": "poison_it",
    "PoisonIt.ipynb": "poison_it",
    "ｐoison_it.ipynb": "poison_it",
    "poison_it_ada_king.ipynb": "poison_it",
    "ada - Poison It - final.ipynb": "poison_it",
    "find_the_poisoner_final.ipynb": "find_the_poisoner",
    "kingada_12_345_poison_it.ipynb": "poison_it",
    "kingada_LATE_12_345_poison_it-1.ipynb": "poison_it",
    "king-ada_late_12_345_poison_it-12.ipynb": "poison_it",
    "Ada King_7_assignsubmission_file_poison_it.ipynb": "poison_it",
    "poisonit2.ipynb": None,
    "poisoned.ipynb": None,
    "Untitled.ipynb": None,
    ".ipynb": None,
    "poison_it and robust_aggregation.ipynb": None,
}


@pytest.mark.parametrize("file", CALLED)
def test_an_assignment_is_known_by_the_name_of_its_file(file):
    assert names.assignment(file, WORKS) == CALLED[file]
    assert names.assignment(unicodedata.normalize("NFD", file), WORKS) == CALLED[file]


def test_a_number_that_belongs_to_the_name_is_no_copy_s():
    labs = ["lab", "lab-1", "lab-2"]
    assert names.assignment("lab-2.ipynb", labs) == "lab-2"
    assert names.assignment("lab-2-1.ipynb", labs) == "lab-2"
    assert names.assignment("lab-3.ipynb", labs) == "lab"
    assert names.assignment("Übung 1.ipynb", ["U\u0308bung_1", "Übung_2"]) == "U\u0308bung_1"
    assert names.assignment("a_b.ipynb", ["A b", "a-b"]) is None, "two may be meant"


OWNERS = {
    ("ada", "lab.ipynb"): ("ada", ""),
    ("Ada King_12_assignsubmission_file_", "lab.ipynb"): ("Ada King", "12"),
    ("Ada King_12_assignsubmission_file", "lab.ipynb"): ("Ada King", "12"),
    ("Ada King_12_assignsubmission_onlinetext_", "onlinetext.html"): ("Ada King", "12"),
    ("Ada King_12_assignsubmission_file_lab.ipynb",): ("Ada King", "12"),
    ("Ada_King_12_assignsubmission_file_lab_3_4_x.ipynb",): ("Ada_King", "12"),
    ("Jo\u0308rg Müller_12_assignsubmission_file_", "lab.ipynb"): ("Jörg Müller", "12"),
    ("kingada_12_345_lab.ipynb",): ("kingada", "12"),
    ("kingada_LATE_12_345_lab-1.ipynb",): ("kingada", "12"),
    ("king_late_12_345_file_1_2_x.ipynb",): ("king", "12"),
    ("kingada_12_345_lab", "lab.ipynb"): ("kingada_12_345_lab", ""),
    ("lab.ipynb",): None,
    ("J\udcf6rg", "lab.ipynb"): ("Jörg", ""),
    ("\ud83d", "lab.ipynb"): ("\\ud83d", ""),
    ("a\nb", "lab.ipynb"): ("a\\nb", ""),
    ("\x1b[2Ja", "lab.ipynb"): ("\\x1b[2Ja", ""),
    ("a\u202eb", "lab.ipynb"): ("a\\u202eb", ""),
    ("a\\nb", "lab.ipynb"): ("a\\\\nb", ""),
}


@pytest.mark.parametrize("parts", OWNERS, ids=range(len(OWNERS)))
def test_whose_a_file_is(parts):
    found = names.owner(parts)
    assert (found and (found.name, found.number)) == OWNERS[parts]


def test_copies_are_numbered():
    files = ["a.ipynb", "a-1.ipynb", "a (9).ipynb", "a (10).ipynb", "a-Copy11.ipynb"]
    assert list(map(names.copy_number, files)) == [0, 1, 9, 10, 11]


anything = st.text(st.characters(), max_size=80)
"""All of Unicode: lone surrogates, controls, combining marks, right to left."""


@given(anything)
def test_any_name_can_be_printed_on_one_line(text):
    shown = names.printed(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert names.printed(unicodedata.normalize("NFD", text)) == shown
    assert unicodedata.normalize("NFC", shown) == shown


@given(anything, anything)
def test_names_that_are_not_the_same_do_not_look_the_same(one, other):
    bytes_ = {letter for letter in one + other if "\udc80" <= letter <= "\udcff"}
    assume(not bytes_)  # of Windows-1252, which are meant to be read as letters
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (names.printed(one) == names.printed(other)) == same


@given(anything)
def test_any_name_has_a_folder_of_its_own(text):
    name = names.folder(names.printed(text))
    assert len(os.fsencode(name)) < 200
    assert name not in ("", ".", "..")
    assert not set(name) & set("/\\\0:\n")


@given(st.lists(anything, min_size=2, max_size=2, unique_by=names.printed))
def test_two_students_never_share_a_folder(two):
    one, other = (names.folder(names.printed(text)) for text in two)
    assert one != other


@given(st.lists(anything, min_size=1, max_size=4))
def test_no_name_of_a_file_ends_the_work(parts):
    found = names.owner(tuple(parts))
    assert found is None or len(found.name.splitlines()) <= 1
    assert names.assignment(parts[-1], WORKS) in (None, *WORKS)
    names.is_checkpoint(tuple(parts))
    assert names.copy_number(parts[-1]) >= 0


@given(anything, st.sampled_from(WORKS))
def test_what_stands_before_a_canvas_name_does_not_matter(text, work):
    assume(not names.MOODLE.fullmatch(f"{text}_1_2_{work}"))
    assume("_" not in text and text)
    file = f"{text}_12_345_{work}-1.ipynb"
    assert names.assignment(file, WORKS) == work
    assert names.owner((file,)) == names.Owner(names.printed(text), "12")


def test_trifles_of_systems_are_no_files_of_people():
    trifles = [".DS_Store", "._lab.ipynb", "__MACOSX", "Thumbs.db", "desktop.ini", "~$lab.docx",
               "Icon\r", ".git", ".~lab.ipynb", ".amlignore.amltmp"]  # fmt: skip
    assert all(map(handed_in.TRIFLES.fullmatch, trifles))
    people = ["ada", ".anna", "_ada", "~ada", "Icon", "Thumbs", "DS_Store", ".ipynb_checkpoints"]
    assert not any(map(handed_in.TRIFLES.fullmatch, people))
