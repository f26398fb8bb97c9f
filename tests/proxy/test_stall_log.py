"""Lines and events about stalls of the proxy itself."""

from types import SimpleNamespace

from proxy.stall_log import EVENTS_S, StallLog


class Told:
    """Stands for a journal: keeps what is to be remembered."""

    def __init__(self):
        self.events = []

    def remember(self, level, what):
        self.events.append((level, what))


def lines(caplog):
    return [record.fields for record in caplog.records if record.message == "this proxy stood still"]


def test_a_stall_has_one_line_with_its_time_and_an_event(caplog):
    supervisor, journal = SimpleNamespace(stalls=3), Told()
    log = StallLog(supervisor, journal, 100.0)
    log.tick(100.025)
    assert lines(caplog) == []
    supervisor.stalls += 1
    log.tick(100.725)
    log.tick(100.75)
    (fields,) = lines(caplog)
    assert (fields["for_s"], fields["stalls"]) == (0.7, 4)
    ((level, what),) = journal.events
    assert (level, what[:35]) == ("warning", "this proxy stood still for 700 ms: ")


def test_a_machine_without_cpu_does_not_fill_the_events(caplog):
    supervisor, journal = SimpleNamespace(stalls=0), Told()
    log = StallLog(supervisor, journal, 0.0)
    for second in range(int(EVENTS_S) + 2):
        supervisor.stalls += 1
        log.tick(float(second))
    assert len(journal.events) == 2
