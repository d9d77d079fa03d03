"""What classes hand in, as folders and as zip files: found, or named in one remark."""

import io
import json
import os
import stat
import struct
import zipfile
from dataclasses import replace

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdrr.grading import handed_in, names, submissions
from pdrr.grading.handed_in import File, UnreadableError


@pytest.fixture
def works(tiny):
    """Two assignments; all ids of the second are others."""
    other = replace(tiny, name="other", complete=renamed(tiny.complete))
    return {"tiny": tiny, "other": other}


def renamed(notebook):
    return nbformat.from_dict(
        json.loads(json.dumps(notebook).replace('"grade_id": "', '"grade_id": "other-'))
    )


@pytest.fixture
def full(tiny):
    return nbformat.writes(tiny.filled(tiny.solutions))


def lay(top, files):
    """Write files: bytes or text by path; the paths may be bytes."""
    for name, content in files.items():
        path = os.path.join(os.fsencode(top), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)


def packed(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def found(path, works, **options):
    """(student, assignment): where, and the remarks."""
    whole = submissions.find(path, works, **options)
    chosen = {(s.student, s.assignment): s.file.where for s in whole.submissions}
    assert len(chosen) == len(whole.submissions)
    assert all(len(remark.splitlines()) == 1 for remark in whole.remarks)
    for text in (*whole.students, *whole.remarks):
        text.encode("utf-8")
    return chosen, list(whole.remarks)


# layouts, each as a folder and as a zip file

MOODLE = "Ada King_12_assignsubmission_file_"
LAYOUTS = {  # files without content, what is found in them, remarks
    "folders": (["ada/tiny.ipynb", "bob/tiny/tiny.ipynb"], {"ada": "ada/tiny.ipynb",
                "bob": "bob/tiny/tiny.ipynb"}, []),
    "Moodle's folders": (
        [f"{MOODLE}/tiny.ipynb", "Bob_13_assignsubmission_file_/tiny (1).ipynb"],
        {"Ada King": f"{MOODLE}/tiny.ipynb",
         "Bob": "Bob_13_assignsubmission_file_/tiny (1).ipynb"}, []),
    "Moodle's files": ([f"{MOODLE}tiny.ipynb"], {"Ada King": f"{MOODLE}tiny.ipynb"}, []),
    "Moodle's text": (
        [f"{MOODLE}/tiny.ipynb", "Ada King_12_assignsubmission_onlinetext_/onlinetext.html"],
        {"Ada King": f"{MOODLE}/tiny.ipynb"}, []),
    "Moodle's namesakes": (
        ["A_1_assignsubmission_file_/tiny.ipynb", "A_2_assignsubmission_file_/tiny.ipynb"],
        {"A_1": "A_1_assignsubmission_file_/tiny.ipynb",
         "A_2": "A_2_assignsubmission_file_/tiny.ipynb"},
        ["A: several people have this name, told apart by the platform's numbers"]),
    "Canvas": (
        ["kingada_12_345_tiny.ipynb", "doebob_LATE_13_346_tiny-1.ipynb"],
        {"kingada": "kingada_12_345_tiny.ipynb", "doebob": "doebob_LATE_13_346_tiny-1.ipynb"}, []),
    "Finder": (
        ["ada/tiny.ipynb", "ada/._tiny.ipynb", "ada/.DS_Store", ".DS_Store",
         "__MACOSX/ada/._tiny.ipynb"],
        {"ada": "ada/tiny.ipynb"}, []),
    "checkpoints": (["ada/tiny.ipynb", "ada/.ipynb_checkpoints/tiny-checkpoint.ipynb",
                     "ada/.ipynb_checkpoints/Untitled-checkpoint.ipynb"],
                    {"ada": "ada/tiny.ipynb"}, []),
    "only a checkpoint": (["ada/.ipynb_checkpoints/tiny-checkpoint.ipynb"],
                          {"ada": "ada/.ipynb_checkpoints/tiny-checkpoint.ipynb"}, []),
    "a hidden student": ([".ada/tiny.ipynb", "bob/tiny.ipynb"],
                         {".ada": ".ada/tiny.ipynb", "bob": "bob/tiny.ipynb"}, []),
    "hidden things": (["bob/tiny.ipynb", ".config/x.txt", ".profile", ".git/tiny.ipynb"],
                      {"bob": "bob/tiny.ipynb"}, []),
    "other endings": (["ada/tiny.ipynb.txt", "bob/TINY.IPYNB"],
                      {"ada": "ada/tiny.ipynb.txt", "bob": "bob/TINY.IPYNB"}, []),
    "named by its folder": (["ada/tiny/Untitled.ipynb"], {"ada": "ada/tiny/Untitled.ipynb"}, []),
    "a folder named like a notebook": (["ada/tiny.ipynb/tiny.ipynb"],
                                       {"ada": "ada/tiny.ipynb/tiny.ipynb"}, []),
    "no notebook": (["ada/tiny.pdf", "bob/tiny.ipynb"], {"bob": "bob/tiny.ipynb"},
                    ["ada/: holds no notebook, but ada/tiny.pdf"]),
    "nobody's": (["tiny.ipynb", "bob/tiny.ipynb"], {"bob": "bob/tiny.ipynb"},
                 ["tiny.ipynb: not in the folder of a student, not graded"]),
    "letters": (["Jörg/tiny.ipynb", "李/tiny.ipynb", "a'b \"c\" $(d)/tiny.ipynb", "😀/tiny.ipynb"],
                {"Jörg": "Jörg/tiny.ipynb", "李": "李/tiny.ipynb", "😀": "😀/tiny.ipynb",
                 "a'b \"c\" $(d)": "a'b \"c\" $(d)/tiny.ipynb"}, []),
    "composed and not": (["J\u00f6rg/tiny.ipynb", "Jo\u0308rg/other.ipynb"],
                         {"J\u00f6rg": "J\u00f6rg/tiny.ipynb"},
                         ["J\u00f6rg: 2 folders have this name, taken together"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("way", ["folder", "zip"])
def test_layouts_are_understood(works, tmp_path, kind, way):
    files, expected, remarks = LAYOUTS[kind]
    files = dict.fromkeys(files, "{}")
    if way == "folder":
        lay(tmp_path / "in", files)
        path = tmp_path / "in"
    else:
        path = packed(tmp_path / "in.zip", files)
    chosen, said = found(path, works)
    assert {who: where for (who, name), where in chosen.items() if name == "tiny"} == expected
    assert said == remarks


# whose, which, the newest


def test_cells_tell_the_assignment_where_the_name_does_not(works, full, tmp_path):
    of_other = json.dumps(renamed(json.loads(full)))
    lay(
        tmp_path,
        {
            "ada/Untitled.ipynb": full,
            "bob/tiny.ipynb": of_other,
            "bob/other.ipynb": full.encode("utf-16"),
            "cyd/Untitled.ipynb": "{}",
        },
    )
    chosen, remarks = found(tmp_path, works)
    assert chosen == {
        ("ada", "tiny"): "ada/Untitled.ipynb",
        ("bob", "other"): "bob/tiny.ipynb",
        ("bob", "tiny"): "bob/other.ipynb",
    }
    assert remarks == [
        "ada/Untitled.ipynb: by its cells this is tiny",
        "bob/other.ipynb: by its cells this is tiny, not other",
        "bob/tiny.ipynb: by its cells this is other, not tiny",
        "cyd/Untitled.ipynb: no assignment has this name, there are tiny, other",
    ]


def test_of_equally_new_notebooks_that_with_most_answers_counts(tiny, full, tmp_path):
    blank = nbformat.writes(tiny.student)
    for turn, names_ in enumerate(
        (("tiny.ipynb", "tiny (1).ipynb"), ("a/tiny.ipynb", "tiny.ipynb"))
    ):
        for answered in names_:
            top = tmp_path / f"{turn}-{names_.index(answered)}"
            lay(top, {f"ada/{n}": full if n == answered else blank for n in names_})
            for name in names_:
                os.utime(top / "ada" / name, (10**9, 10**9))
            chosen, (remark,) = found(top, {"tiny": tiny})
            assert chosen == {("ada", "tiny"): f"ada/{answered}"}
            assert remark.startswith("ada: 2 notebooks for tiny, graded of equally new ones that")


def test_of_equally_new_copies_the_last_counts(tiny, tmp_path):
    path = packed(tmp_path / "c.zip", {f"k_1_{n}_tiny-{n}.ipynb": "{}" for n in (1, 2, 10, 9)})
    chosen, _ = found(path, {"tiny": tiny})
    assert chosen == {("k", "tiny"): "k_1_10_tiny-10.ipynb"}


def test_the_newest_in_a_zip_file_counts(tiny, tmp_path):
    path = tmp_path / "c.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, year in (("ada/tiny.ipynb", 2026), ("ada/tiny (1).ipynb", 2025)):
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), "{}")
    chosen, _ = found(path, {"tiny": tiny})
    assert chosen == {("ada", "tiny"): "ada/tiny.ipynb"}


# files that cannot be read


def test_names_that_are_not_utf_8(works, tmp_path):
    lay(tmp_path, {b"J\xf6rg/tiny.ipynb": "{}", b"\xff\x81/tiny \xe9.ipynb": "{}"})
    chosen, _ = found(tmp_path, works)
    assert set(chosen) == {("Jörg", "tiny"), ("\\udcff\\udc81", "tiny")}


def test_links_pipes_and_loops_are_named_and_followed_nowhere(works, tmp_path):
    top = tmp_path / "in"
    lay(top, {"ada/tiny.ipynb": "{}", "bob/x/y": "", "../out/tiny.ipynb": "{}"})
    (top / "loop").symlink_to(top)
    (top / "itself").symlink_to(top / "itself")
    (top / "gone").symlink_to(tmp_path / "nowhere")
    (top / "up").symlink_to(tmp_path)
    (top / "elsewhere").symlink_to(tmp_path / "out")
    (top / "bob" / "x" / "back").symlink_to(top)
    (top / "bob" / "tiny.ipynb").symlink_to(top / "ada/tiny.ipynb")
    (top / "cyd").mkdir()
    os.mkfifo(top / "cyd" / "tiny.ipynb")
    whole = submissions.find(top, works)
    chosen = {s.student: s.file for s in whole.submissions}
    assert set(chosen) == {"ada", "bob", "cyd", "elsewhere"}
    with pytest.raises(UnreadableError, match="it is a link"):
        chosen["bob"].read()
    with pytest.raises(UnreadableError, match="it is no file"):
        chosen["cyd"].read()
    assert sorted(whole.remarks) == [
        f"{name}: not in the folder of a student, not graded"
        for name in ("gone", "itself", "loop", "up")
    ]


def test_a_readable_notebook_counts_before_one_that_is_not(works, tmp_path):
    lay(tmp_path, {"ada/tiny.ipynb": "{}"})
    os.utime(tmp_path / "ada/tiny.ipynb", (1, 1))
    os.mkfifo(tmp_path / "ada/tiny (1).ipynb")
    lay(tmp_path, {"ada/tiny (2).ipynb": ""})
    chosen, _ = found(tmp_path, works)
    assert chosen == {("ada", "tiny"): "ada/tiny.ipynb"}


def test_what_may_not_be_read_is_a_remark(works, tmp_path, monkeypatch):
    lay(tmp_path, {"ada/tiny.ipynb": "{}", "bob/tiny.ipynb": "{}", "bob/deep/x": ""})
    scandir, real = os.scandir, open

    def refusing(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def locked(path, *rest):
        if "bob" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest)

    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr(handed_in, "open", locked, raising=False)
    whole = submissions.find(tmp_path, works)
    assert [s.student for s in whole.submissions] == ["ada", "bob"]
    with pytest.raises(UnreadableError, match="^Permission denied$"):
        whole.submissions[1].file.read()
    assert whole.remarks == ("bob/deep/: cannot be read: Permission denied",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_remark(works, tmp_path):
    lay(tmp_path, {"ada/tiny.ipynb": "{}"})
    (tmp_path / "ada/tiny.ipynb").chmod(0)
    (only,) = submissions.find(tmp_path, works).submissions
    with pytest.raises(UnreadableError, match="Permission denied"):
        only.file.read()


def test_a_file_that_goes_away_is_a_remark(works, tmp_path):
    lay(tmp_path, {"ada/tiny.ipynb": "{}"})
    (only,) = submissions.find(tmp_path, works).submissions
    (tmp_path / "ada/tiny.ipynb").unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        only.file.read()


def test_sizes_are_looked_at_first(monkeypatch):
    monkeypatch.setattr(handed_in, "LARGEST", 10)

    def never():
        raise AssertionError

    with pytest.raises(UnreadableError, match="it has 11 bytes, over 10"):
        File(("a",), 0, 11, never).read()
    with pytest.raises(UnreadableError, match="it has over 10 bytes"):
        File(("a",), 0, 3, lambda: io.BytesIO(bytes(99))).read()


def test_very_deep_folders_do_not_end_the_search(works, tmp_path):
    lay(tmp_path, {"ada/tiny.ipynb": "{}"})
    start = os.open(tmp_path / "ada", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=start)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=start)
        os.close(start)
        start = deeper
    os.close(start)
    chosen, (remark,) = found(tmp_path, works)
    assert set(chosen) == {("ada", "tiny")}
    assert "File name too long" in remark


# zip files


def member(archive, name, content="{}", **about):
    entry = zipfile.ZipInfo(name)
    for key, value in about.items():
        setattr(entry, key, value)
    archive.writestr(entry, content)


def test_a_zip_file_s_traps_hurt_nobody_else(works, tmp_path, monkeypatch):
    monkeypatch.setattr(handed_in, "LARGEST", 10_000)
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member(archive, "ada/tiny.ipynb")
        member(archive, "up/../../tiny.ipynb")
        member(archive, "/etc/tiny.ipynb")
        member(archive, "C:/x/tiny.ipynb")
        member(archive, "link/tiny.ipynb", "/etc/passwd",
               external_attr=(stat.S_IFLNK | 0o777) << 16)  # fmt: skip
        member(archive, "bomb/tiny.ipynb", bytes(20_000), compress_type=zipfile.ZIP_DEFLATED)
        member(archive, "lzma/tiny.ipynb", compress_type=zipfile.ZIP_LZMA)
        member(archive, "win\\tiny.ipynb")
        member(archive, "secret/tiny.ipynb")
        member(archive, "torn/tiny.ipynb", "{   }")
        member(archive, "folder/")
    content = bytearray(path.read_bytes())
    _set_flag(content, b"secret/tiny.ipynb", 0x1)
    content[content.index(b"{   }") + 1] = ord("!")
    path.write_bytes(content)
    whole = submissions.find(path, works)
    reasons = {}
    for submission in whole.submissions:
        try:
            submission.file.read()
        except UnreadableError as error:
            reasons[submission.student] = str(error)
    assert {s.student for s in whole.submissions} == {
        "ada", "up", "etc", "C:", "link", "bomb", "lzma", "win", "secret", "torn"
    }  # fmt: skip
    assert reasons.pop("torn").startswith("Bad CRC-32")
    assert reasons == {
        "up": "its name leads out of the zip file",
        "etc": "its name leads out of the zip file",
        "C:": "its name leads out of the zip file",
        "link": "it is a link",
        "bomb": "it has 20,000 bytes, over 10,000",
        "lzma": "it is compressed by a method that is not read here (14)",
        "secret": "it is encrypted",
    }


def _set_flag(content, name, flag):
    """Set a flag of a member in the central directory of a zip file."""
    place = content.rindex(name) - 46
    assert content[place : place + 4] == b"PK\x01\x02"
    (flags,) = struct.unpack_from("<H", content, place + 8)
    struct.pack_into("<H", content, place + 8, flags | flag)


def test_a_bomb_that_lies_about_its_size_is_read_no_further(works, tmp_path):
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member(archive, "ada/tiny.ipynb", bytes(10**6), compress_type=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, place + 24, 100)
    path.write_bytes(content)
    (only,) = submissions.find(path, works).submissions
    with pytest.raises(UnreadableError, match="CRC"):
        only.file.read()


def test_names_in_zip_files_are_decoded(works, tmp_path):
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w") as archive:
        member(archive, "J\u00f6rg/tiny.ipynb")  # says that it is UTF-8
        member(archive, "XXXX/tiny.ipynb")
        member(archive, "YY/tiny.ipynb")
    content = path.read_bytes()
    content = content.replace(b"XXXX", "Öö".encode())  # UTF-8 without saying so, as by Finder
    content = content.replace(b"YY", "é".encode("cp437") + b"a")  # as Windows does
    path.write_bytes(content)
    chosen, _ = found(path, works)
    assert {who for who, _ in chosen} == {"Jörg", "Öö", "éa"}


def test_a_zip_file_with_a_false_name_is_refused_with_its_own(works, tmp_path):
    path = packed(tmp_path / "class.zip", {"Öö/tiny.ipynb": "{}"})
    path.write_bytes(path.read_bytes().replace("Öö".encode(), b"\xff\xfe\xfd\xfc"))
    with pytest.raises(ValueError, match=r"class\.zip: a name in it says that it is UTF-8"):
        submissions.find(path, works)


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>Log in</html>", b"Rar!\x1a\x07"])
def test_what_is_no_zip_file_is_refused_with_its_name(works, tmp_path, content):
    path = tmp_path / "class.zip"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"class\.zip: it is not a zip file that can be read"):
        submissions.find(path, works)


def test_what_is_not_there_or_no_file_is_refused(works, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("nothing", "pipe"):
        with pytest.raises(ValueError, match=f"needs a folder or a zip file .*, got .*{name}"):
            submissions.find(tmp_path / name, works)


def test_a_cut_zip_file_is_refused_or_gives_remarks(works, full, tmp_path):
    whole = packed(tmp_path / "whole.zip", {f"{n}/tiny.ipynb": full for n in "abc"}).read_bytes()
    for size in range(0, len(whole), 97):
        path = tmp_path / "cut.zip"
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cut.zip: "):
            submissions.find(path, works)


def test_zip_files_that_students_hand_in_are_looked_into(works, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        member(archive, "own/tiny.ipynb")
        member(archive, "own/again.zip", "PK")
    files = {
        "ada/work.zip": inner.getvalue(),
        "king_12_34_work.ZIP": inner.getvalue(),
        "bob/work.zip": b"no zip",
        "bob/tiny.ipynb": b"{}",
        "class.zip": inner.getvalue(),
    }
    lay(tmp_path / "in", files)
    for path in (tmp_path / "in", packed(tmp_path / "in.zip", files)):
        chosen, remarks = found(path, works)
        assert chosen == {
            ("ada", "tiny"): "ada/work.zip/own/tiny.ipynb",
            ("king", "tiny"): "king_12_34_work.ZIP/own/tiny.ipynb",
            ("bob", "tiny"): "bob/tiny.ipynb",
        }
        assert sorted(remarks) == [
            "bob/work.zip: it is not a zip file that can be read",
            "class.zip: not in the folder of a student, not graded",
        ]


@pytest.mark.parametrize(
    ("files", "students"),
    [
        (["class/ada/tiny.ipynb", "class/bob/tiny.ipynb"], {"ada", "bob"}),
        (["class/k_1_2_tiny.ipynb", "__MACOSX/class/._k_1_2_tiny.ipynb"], {"k"}),
        ([f"class/{MOODLE}/tiny.ipynb", "class/notes.txt"], {"Ada King"}),
        ([f"{MOODLE}/own/tiny.ipynb"], {"Ada King"}),
        (["ada/tiny/tiny.ipynb"], {"ada"}),
        (["ada/tiny.ipynb"], {"ada"}),
    ],
)
def test_one_folder_around_all_students_is_taken_off(works, tmp_path, files, students):
    path = packed(tmp_path / "in.zip", dict.fromkeys(files, "{}"))
    assert {who for who, _ in found(path, works)[0]} == students


# any name at all

part = st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=30).filter(
    lambda text: text not in (".", "..") and not handed_in.TRIFLES.fullmatch(text)
)


@settings(deadline=None, max_examples=100)
@given(st.lists(part, min_size=1, max_size=4, unique_by=lambda name: names.owner((name, ""))))
def test_no_name_of_a_student_loses_a_submission(tiny, students):
    """Lone surrogates, combining marks, controls, whatever: each is found."""
    files = [File((who, "tiny.ipynb"), 0, 2, lambda: io.BytesIO(b"{}")) for who in students]
    with pytest.MonkeyPatch.context() as patch:
        handed = handed_in.Handed(files, list(students), [])
        patch.setattr(handed_in, "look", lambda _: handed)
        patch.setattr(submissions, "_take_shell_off", lambda *_: None)
        whole = submissions.find(handed_in.Path("nowhere"), {"tiny": tiny})
    assert len(whole.submissions) == len(students)
    assert len({names.folder(s.student) for s in whole.submissions}) == len(students)
    assert {s.file.parts[0] for s in whole.submissions} == set(students)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8", min_codepoint=1), min_size=1, max_size=40),
                min_size=1, max_size=4))  # fmt: skip
def test_no_name_in_a_zip_file_ends_the_search(tiny, tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("zip") / "in.zip"
    packed(path, {"ada/tiny.ipynb": "{}"} | {f"{name}": "{}" for name in listed})
    whole = submissions.find(path, {"tiny": tiny})
    assert any(s.file.where.endswith("ada/tiny.ipynb") for s in whole.submissions)
