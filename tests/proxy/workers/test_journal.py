"""A line and an event of the parent."""

import logging

from proxy.workers.journal import ParentJournal


def test_what_happens_to_a_worker_is_a_line_with_its_fields_and_an_event_with_its_sentence(caplog):
    told = []
    log = logging.getLogger("proxy.workers")
    ParentJournal(told.append).tell(
        log, "error", "a worker is ended by force", worker=2, pid=7, reason="it stands still"
    )
    (record,), (event,) = caplog.records, told
    assert (record.levelname, record.message, record.fields["pid"]) == ("ERROR", "a worker is ended by force", 7)
    assert (event.severity, event.what) == ("error", "worker 2 is ended by force: it stands still")
