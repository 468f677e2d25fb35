"""A pool that does everything at once, in this process."""

from concurrent.futures import Future


class InlinePool:
    size = 1

    def submit(self, work, *arguments):
        future = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def check(self):
        pass

    def has_lost_worker(self, error):
        return False

    def close(self):
        pass
