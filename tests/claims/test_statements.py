"""What the prose says of our results, held to the committed records.

A sentence that fails here is no longer so: change the sentence, not the record.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers import extensions
from pdrr.claims import beyond_measures, statement_measures, statements, verdicts
from pdrr.claims.expected import expected
from pdrr.claims.measures import MEASURES
from pdrr.claims.statements import TAG, misplaced, paragraphs, prose, tagged
from pdrr.core.files import RECORDED
from pdrr.experiments.records import KEYS, Records

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb"), ROOT / "README.md"])
STATEMENTS = statements.statements()
CHECKS = [
    pytest.param(check, id=f"{name}-{number}")
    for name, each in STATEMENTS.items()
    for number, check in enumerate(each.checks, 1)
]
TABLES = expected().tables
LOAD = statements.loader(ROOT / RECORDED)


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request):
    return request.param


# in the prose


def test_every_tag_stands_behind_the_sentence_it_names(page):
    assert [line for text in prose(page) for line in misplaced(text)] == []


def test_no_tag_begins_a_line_or_stands_in_code(page):
    """There Markdown would take it for a paragraph of its own, or show it."""
    for text in prose(page):
        assert not re.search(r"^\s*<!-- holds", text, re.M)
        assert len(TAG.findall(text)) == text.count("<!-- holds") == len(list(tagged(text)))


def test_every_statement_stands_somewhere():
    names = {name for page in PAGES for text in prose(page) for name, _ in tagged(text)}
    assert names == set(STATEMENTS)


# against the records


def test_every_measure_made_for_statements_is_used_by_one():
    used = {check.measure for each in STATEMENTS.values() for check in each.checks}
    homes = {statement_measures.__name__, beyond_measures.__name__}
    assert {name for name, each in MEASURES.items() if each.__module__ in homes} <= used


@pytest.mark.parametrize("name", [name for name, each in STATEMENTS.items() if each.checks])
def test_it_holds(name):
    assert statements.against(STATEMENTS[name], LOAD) == [], STATEMENTS[name].text


MEASURED = {"float64", "bool"}


def changed(frame, change):
    """The measured columns of a table in another way: what is not a key or a name."""
    names = [n for n in frame if str(frame[n].dtype) in MEASURED and n not in (*KEYS, "epsilon")]
    return frame.assign(**{name: change(frame[name]) for name in names})


def everywhere(change):
    return lambda records: replace(
        records, table=changed(records.table, change), runs=changed(records.runs, change)
    )


def only_numbers(change):
    return lambda column: column if column.dtype == bool else change(column)


def uneven(column, row):
    return column * (1 + row % 7) + row


def swapped(records):
    """Benign clients are the malicious ones, rates and selections the other way round."""
    table, runs = records.table, records.runs
    if "byzantine" in table:
        table = table.assign(byzantine=~table["byzantine"])
    if "selected" in runs:
        runs = runs.assign(selected="benign")
    rates = {rate: 1 - runs[rate] for rate in ("far", "mar") if rate in runs}
    return replace(records, table=table, runs=runs.assign(**rates))


def elsewhere(records):
    """Twice as many runs of a tiny network on another machine."""
    runs = pd.concat([records.runs, records.runs], ignore_index=True)
    there = {"device": "abacus", "settings": {}, "d": 1}
    return replace(records, runs=runs, provenance={**records.provenance, **there})


def flagged(everybody):
    return lambda records: replace(records, table=records.table.assign(flagged=everybody))


def other_rounds(records):
    """Of every round: one more of them, and errors in just those that had none."""
    table, runs = records.table, records.runs
    if "wrong" not in runs or "missed" not in table:
        return records
    pairs = {"missed": "malicious", "false_alarms": "benign"}
    errors = {f"{gap}{name}": of for name, of in pairs.items() for gap in ("", "gap_")}
    table = table.assign(**{x: (table[x] == 0) * table[of] for x, of in errors.items()})
    counts = {name: runs["rounds"] - runs[name] for name in ("wrong", "no_q")}
    runs = runs.assign(**counts, rounds=runs["rounds"] + 1)
    return replace(records, table=table.assign(selected="benign"), runs=runs)


def as_printed(records):
    """MAR as in the paper's Table 1, whatever the rule and the reading."""
    if "scheme" not in records.runs or "mar" not in records.runs:
        return records
    paper = {
        (scheme, number): mar
        for scheme, rates in TABLES.table1.items()
        for number, mar in zip(TABLES.rounds, rates["MAR"], strict=True)
    }
    keys = zip(records.runs["scheme"], records.runs["round"], strict=True)
    return replace(records, runs=records.runs.assign(mar=[paper.get(key, 0.0) for key in keys]))


def more_errors(records):
    """A round more with an error in each run of every round, and one more without any q."""
    found = {name: records.runs[name] + 1 for name in ("wrong", "no_q") if name in records.runs}
    return replace(records, runs=records.runs.assign(**found))


def no_errors(records):
    """No round with an error there."""
    found = {name: 0 for name in ("wrong", "no_q") if name in records.runs}
    return replace(records, runs=records.runs.assign(**found))


OTHER_WORLDS = {
    "swapped": swapped,
    "backwards": everywhere(lambda column: column.iloc[::-1].to_numpy()),
    "larger": everywhere(only_numbers(lambda column: 3 * column + 1)),
    "smaller": everywhere(only_numbers(lambda column: column / 3 - 1)),
    "flat": everywhere(only_numbers(lambda column: 0 * column)),
    "uneven": everywhere(only_numbers(lambda column: uneven(column, np.arange(len(column))))),
    "everybody flagged": flagged(True),
    "nobody flagged": flagged(False),
    "other rounds": other_rounds,
    "as printed": as_printed,
    "elsewhere": elsewhere,
    "more errors": more_errors,
    "no errors": no_errors,
}


def fails(check, other):
    """Whether a check says no in another world; not because it cannot say anything there."""
    try:
        cells, met = statements.measured(check, lambda *at: other(LOAD(*at)))
    except (ValueError, verdicts.NotMeasuredError):
        return False
    return bool(cells.notna().all() and not met.all())


@pytest.mark.parametrize("check", CHECKS)
def test_it_could_fail(check):
    cells, _ = statements.measured(check, LOAD)
    assert len(cells)
    assert cells.notna().all()
    assert any(fails(check, other) for other in OTHER_WORLDS.values())


def test_a_statement_that_no_longer_holds_is_named_with_its_numbers(tmp_path):
    for stem in ("table1", "table2", "table2b"):
        records = Records.load(ROOT / RECORDED / "paper", stem)
        late = (records.runs["scheme"] == "PDRR") & (records.runs["round"] == 20)
        records.runs.loc[late & (records.runs["seed"] == 3), "far"] = 0.1
        records.save(tmp_path / "paper", stem)
    (line,) = [x for x in statements.check(tmp_path) if x.startswith("pdrr-all: ")]
    assert "The rounds of the tables below" in line
    assert "worst_rate should be exactly 0, but is not for " in line
    assert "seed 3, round 20, knowledge full" in line
    assert line.count(": 0.1") == 8


def test_a_missing_record_is_a_failure(tmp_path):
    failures = statements.check(tmp_path)
    assert len(failures) == len([each for each in STATEMENTS.values() if each.checks])
    assert "no records of every_round yet" in failures[0]


# what a file of statements may hold


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checks": []}, "statements.yaml: a: needs either checks or the table that shows it"),
        ({"computed": "x"}, "statements.yaml: a: needs either checks or the table that shows it"),
        ({"txet": "x"}, r"statements.yaml: a\.txet: unexpected"),
        ({"checks": [{"records": {"table1": {}}, "measure": "nope"}]}, "a: no measure 'nope'"),
        ({"checks": [{"records": {}, "measure": "missed"}]}, "a: needs records and a condition"),
    ],
)
def test_a_wrong_statement_is_refused_in_one_line(change, message):
    check = {"records": {"table1": {}}, "measure": "missed", "condition": {"equals": 0}}
    text = yaml.safe_dump({"statements": [{"id": "a", "text": "A.", "checks": [check], **change}]})
    with pytest.raises(ValueError, match=message) as error:
        statements.parse(text)
    assert "\n" not in str(error.value)


def test_two_statements_of_one_name_are_refused():
    each = {"id": "a", "text": "A.", "computed": "x"}
    with pytest.raises(ValueError, match="two statements have the same id"):
        statements.parse(yaml.safe_dump({"statements": [each, each]}))


@pytest.mark.parametrize(
    "text",
    [
        "- {}",
        "1. {}",
        ": {}",
        "Before. {}",
        "**Before.** {}",
        "(Before.) {}",
        "*Gives*: {}",
        "| x | {}",
    ],
)
def test_a_sentence_is_known_wherever_one_can_begin(text):
    sentence = STATEMENTS["er-full"].text
    wrapped = sentence.replace(" there is", "\nthere is")
    assert misplaced(f"Else.\n\n{text.format(wrapped)} <!-- holds: er-full --> After.") == []


@pytest.mark.parametrize(
    "text",
    ["It is not so that {}", "{} Another.", "Another.", "Before, {}"],
)
def test_another_sentence_is_not_taken_for_it(text):
    before = text.format(STATEMENTS["er-full"].text)
    (line,) = misplaced(f"{before} <!-- holds: er-full -->")
    assert line.startswith("er-full: ")


def test_an_unknown_name_is_reported():
    assert misplaced("A. <!-- holds: b -->") == ["no statement 'b', it is tagged behind 'A.'"]


# all of them: sections that state results

SECTIONS = yaml.safe_load((Path(__file__).parent / "sections.yaml").read_text("utf-8"))
END = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?]\*\*)|(?<=[.!?]\*)|(?<=[.!?]\))|(?<=[.!?]\"))"
    r"(?<!Fig\.)(?<!Figs\.)(?<!eq\.)(?<!al\.)\s+(?=[A-Z\d*$\[`λβ\"(])"
)


def section(part):
    """The text of a section: of a page what follows a heading, or a word in each paragraph."""
    page = ROOT / part["page"]
    text = "\n\n".join(prose(page))
    if "heading" in part:
        (text,) = re.findall(rf"^#+ {re.escape(part['heading'])}$(.*?)(?=^#|\Z)", text, re.M | re.S)
    if "from" in part:
        places = prose(page) if page.suffix == ".ipynb" else paragraphs(text)
        found = [place.partition(part["from"]) for place in places]
        text = "\n\n".join(after for _, word, after in found if word)
    return text


def untagged(text):
    """Sentences without a tag behind them; headings aside."""
    for paragraph in paragraphs(text):
        if paragraph.startswith("#") or re.fullmatch(r"[|-]+|\(\w+\)=", paragraph):
            continue
        *before_tags, rest = TAG.split(paragraph)[::2]
        for piece in before_tags:
            yield from END.split(piece.strip())[:-1]
        yield from END.split(rest.strip())


def plain(sentence):
    """Without the mark of a list item, and without what only says what follows."""
    return re.sub(r"^(?:[-*>:] |\d+\. )|\*\*What it (?:shows|does not)\.\*\*", "", sentence).strip()


@pytest.mark.parametrize("part", SECTIONS, ids=lambda part: f"{part['page']} {part.get('heading')}")
def test_every_sentence_is_tagged_or_of_another_kind(part):
    found = {plain(sentence) for sentence in untagged(section(part))} - {""}
    listed = [sentence for kind in part["other"].values() for sentence in kind]
    assert sorted(found - set(listed)) == [], "tag it (statements.yaml), or list it (sections.yaml)"
    assert sorted(set(listed) - found) == [], "listed in sections.yaml, but not there any more"


# the build


@pytest.fixture(scope="module")
def extension():
    return extensions.load("held_statements")


def test_a_build_ends_where_a_sentence_no_longer_holds(extension, tmp_path):
    (tmp_path / "notebooks").mkdir()
    chapter = tmp_path / "defence.md"
    chapter.write_text((ROOT / "book" / "defence.md").read_text("utf-8"), "utf-8")
    (tmp_path / "records").symlink_to(ROOT / RECORDED)
    extension.look(tmp_path)
    chapter.write_text(
        chapter.read_text("utf-8").replace("no recorded run", "one recorded run"), "utf-8"
    )
    with pytest.raises(extension.SphinxError, match="defence.md: d-against: .* one recorded run"):
        extension.look(tmp_path)


def test_a_tag_is_not_seen_in_a_page_of_ones_own():
    nbconvert = pytest.importorskip("nbconvert.filters")
    paragraph, item = "A. <!-- holds: b --> C.", "- D. <!-- holds: e -->"
    table = "| x |\n|---|\n| F. <!-- holds: g --> |"
    html = nbconvert.markdown2html(f"{paragraph}\n\n{item}\n\n{table}\n")
    assert re.sub(r"<[^!].*?>|\s", "", re.sub(r"<!--.*?-->", "", html)) == "A.C.D.xF."
    assert "&lt;" not in html
