"""A replica that begins while others go on writing."""

from types import SimpleNamespace

import pytest

from penstock.stream.replica import Replica


class Growing:
    """A journal to which an entry is committed before every question; it says where it ends from the second on."""

    def __init__(self, committed, silent):
        self.committed, self.silent, self.read = committed, silent, 0

    def mark(self):
        self.committed += 1
        self.silent -= 1
        return None if self.silent >= 0 else str(self.committed)

    def has_read(self, mark):
        self.committed += 1
        return self.read >= int(mark)

    def end(self):
        return self.has_read(self.mark())

    def poll(self, _timeout_s):
        assert self.read < 1_000, "it runs after the end for ever"
        self.read += 1
        return ["entry"]


@pytest.mark.parametrize("silent", [0, 2])
def test_a_replica_catches_up_with_what_was_committed_although_an_owner_goes_on_writing(silent):
    journal = Growing(5, silent)
    Replica.catch_up(SimpleNamespace(follow=lambda journal, timeout_s: journal.poll(timeout_s)), journal)
    assert 6 + silent <= journal.read <= 12
