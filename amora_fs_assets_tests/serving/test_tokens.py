"""The tokens of the HTTP server: who is let in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amora_fs_assets_tests.serving.conftest import Serving, serving


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("home"), AMORA_FS_API_TOKENS="one, two") as running:
        yield running


class TestTokens:
    @pytest.mark.parametrize("token", ["one", "two"])
    def test_a_known_token_lets_in(self, guarded: Serving, token: str) -> None:
        answer = guarded.client.get("/list-feature-views", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200

    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer three", "Bearer onetwo", "Basic one", "one"])
    @pytest.mark.parametrize("path", ["/list-feature-views", "/metrics", "/docs"])
    def test_anything_else_does_not(self, guarded: Serving, header: str | None, path: str) -> None:
        answer = guarded.client.get(path, headers={} if header is None else {"Authorization": header})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    @pytest.mark.parametrize("path", ["/health", "/ready"])
    def test_a_load_balancer_needs_none(self, guarded: Serving, path: str) -> None:
        assert guarded.client.get(path).status_code == 200
