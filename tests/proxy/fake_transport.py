"""A transport that notes what is done to it."""


class FakeTransport:
    def __init__(self, *, eof=True):
        self.written = []
        self.closed = False
        self.aborted = False
        self.eof = False
        self.waiting = 0
        self._can_eof = eof

    def get_extra_info(self, name, default=None):
        return default

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def is_closing(self):
        return self.closed

    def write(self, data):
        assert not self.closed, "a write to a closing transport"
        self.written.append(data)

    def get_write_buffer_size(self):
        return self.waiting

    def can_write_eof(self):
        return self._can_eof

    def write_eof(self):
        self.eof = True

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True
