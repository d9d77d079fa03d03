"""What several tests of the book need."""

import pytest

from helpers.browsing import CHROMIUM


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; whoever asks for it has looked whether there is one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()
