from pathlib import Path

import pytest
from desk_fixtures import CHROMIUM


@pytest.fixture(scope='module')
def browser():
    """Headless Chromium, driven by Playwright."""
    playwright = pytest.importorskip('playwright.sync_api', reason='needs Playwright (pip install playwright)')
    if not Path(CHROMIUM).exists():
        pytest.skip('needs Chromium (apt-get install chromium)')
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield chromium
        chromium.close()
