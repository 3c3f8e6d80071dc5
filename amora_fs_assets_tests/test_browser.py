"""The browser in which pages are tested."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_a_page_is_rendered_and_clicked(page: Page) -> None:
    page.set_content("<button onclick=\"this.textContent = 'clicked'\">click</button>")
    page.get_by_role("button").click()
    assert page.get_by_role("button").text_content() == "clicked"
