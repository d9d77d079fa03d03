"""Where numbers come from: one line for each set of records, the rest in a fold."""

from bs4 import BeautifulSoup

from helpers.made_up import evaluation_records
from pdrr.book.provenance import provenance
from pdrr.experiments.records import Records


def test_each_set_of_records_has_a_line_and_a_fold():
    fresh = evaluation_records()
    told = {**fresh.provenance, "command": "make record"}
    kept = Records(fresh.table, fresh.runs, told)
    found = BeautifulSoup(provenance(kept, fresh).data, "html.parser")
    lines = [line.get_text() for line in found.select("details > summary")]
    assert [line.split(":")[0] for line in lines] == ["Recorded", "Run for this page"]
    for line in lines:
        assert fresh.caption in line
        assert told["commit"] in line
    assert len(found.select("details:not([open]) table.provenance")) == 2
