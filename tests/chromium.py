"""Chromium, for tests that look at pages."""

import shutil
from contextlib import contextmanager

from tests.conftest import skip_unless_asked_for

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def open_chromium(request):
    """A browser; the test is skipped without one."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        skip_unless_asked_for(request, "browser", "no Chromium is installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()
