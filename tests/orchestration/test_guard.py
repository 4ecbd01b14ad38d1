"""The guard before Dagster's web server: its rules, and a real server behind it under attack."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from orchestration.guard import refusal
from tests.homes import REPOSITORY

OWN = "127.0.0.1:3000"
JSON = {"content-type": "application/json"}
NAVIGATE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
LAUNCH = (
    "mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {"
    ' launchPipelineExecution(executionParams: {selector: $selector, mode: "default", runConfigData: "{}",'
    " executionMetadata: {tags: $tags}}) { __typename ... on LaunchRunSuccess { run { runId } }"
    " ... on PythonError { message } } }"
)
SELECTOR = {
    "repositoryLocationName": "quantlake",
    "repositoryName": "__repository__",
    "pipelineName": "upkeep",
}


def scope(method: str = "GET", path: str = "/", query: str = "", kind: str = "http", **headers: str) -> dict[str, Any]:
    """An ASGI scope; underscores in header names stand for dashes."""
    named = {"host": OWN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


@pytest.mark.parametrize(
    "request_",
    [
        scope(),
        scope(host="localhost:3000"),
        scope(host="[::1]:3000"),
        scope(host="LOCALHOST"),
        scope("POST", "/graphql", content_type="application/json"),
        scope("POST", "/graphql", content_type="application/json; charset=utf-8", origin=f"http://{OWN}"),
        scope("POST", "/graphql", content_type="Application/JSON", sec_fetch_site="same-origin"),
        scope("GET", "/runs/1", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document"),
        scope("GET", "/runs/1", sec_fetch_site="none", sec_fetch_mode="navigate", sec_fetch_dest="document"),
        scope("GET", "/graphql", accept="text/html"),
        scope("GET", "/asset-groups", "query=core"),
        scope(path="/graphql", kind="websocket", origin=f"http://{OWN}"),
        scope(path="/graphql", kind="websocket"),
    ],
)
def test_the_users_own_requests_are_welcome(request_: dict[str, Any]) -> None:
    assert refusal(request_) is None


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (scope(host="evil.example"), "addressed to 'evil.example'"),
        (scope(host="127.0.0.1.evil.example:3000"), "addressed to"),
        (scope(host="evil.example@127.0.0.1"), "addressed to"),
        (scope(host="127.0.0.1/evil.example"), "addressed to"),
        (scope(host="0.0.0.0:3000"), "addressed to"),
        (scope(host=""), "addressed to"),
        (scope(kind="websocket", host="evil.example", origin="http://evil.example"), "addressed to"),
        (scope(kind="websocket", origin="http://evil.example"), "a page of 'http://evil.example'"),
        (scope("POST", "/graphql", origin="http://localhost:8888", **JSON), "a page of 'http://localhost:8888'"),
        (scope("POST", "/graphql", origin="null", **JSON), "a page of 'null'"),
        (scope("GET", origin="http://127.0.0.1:30000"), "a page of"),
        (scope("POST", "/graphql", sec_fetch_site="cross-site", **JSON), "another site"),
        (scope("POST", "/graphql", sec_fetch_site="same-site", **JSON), "another site"),
        (scope("GET", "/logs/x", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"), "another site"),
        (scope("GET", "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe"), "site"),
        (scope("GET", "/graphql", sec_fetch_site="cross-site", **NAVIGATE), "another site"),
        (scope("GET", "/graphql", "query=mutation{x}"), "asked by POST"),
        (scope("GET", "/graphql/", "a=1&%71uery=mutation{x}"), "asked by POST"),
        (scope("HEAD", "/graphql", "query="), "asked by POST"),
        (scope("POST", "/graphql", "query=mutation{x}", content_type="text/plain"), "text/plain"),
        (scope("POST", "/graphql", content_type="text/plain; application/json"), "text/plain"),
        (scope("POST", "/graphql", content_type="application/x-www-form-urlencoded"), "application/x-www-form"),
        (scope("POST", "/report_asset_materialization/core/daily_bars"), "absent"),
    ],
)
def test_what_a_foreign_page_can_send_is_refused(request_: dict[str, Any], why: str) -> None:
    assert why in str(refusal(request_))


def test_of_a_header_sent_twice_none_hides_behind_the_other() -> None:
    twice = scope("POST", "/graphql", content_type="application/json")
    twice["headers"] += [(b"host", b"evil.example"), (b"content-type", b"text/plain")]
    assert "addressed to" in str(refusal(twice))
    twice["headers"] = [
        (b"host", OWN.encode()),
        (b"content-type", b"text/plain"),
        (b"Content-Type", b"application/json"),
    ]
    assert "Content-Type" in str(refusal(twice))


@dataclass(frozen=True)
class Server:
    """A running stack: Dagster's web server behind the guard, its daemon and code server."""

    port: int
    home: Path

    def ask(
        self, method: str, path: str, body: str | None = None, host: str | None = None, **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": host or f"127.0.0.1:{self.port}", **named})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables})
        status, text = self.ask("POST", "/graphql", body, content_type="application/json")
        assert status == 200, text
        data: dict[str, Any] = json.loads(text)["data"]
        return data

    def n_runs(self) -> int:
        return len(self.graphql("{ runsOrError { ... on Runs { results { id } } } }")["runsOrError"]["results"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("guarded")
    from orchestration.instance import INSTANCE_SETTINGS

    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text(INSTANCE_SETTINGS, encoding="utf-8")
    env = {
        **os.environ,
        "QUANTLAKE_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "PYTHONPATH": str(REPOSITORY),
    }
    served = Server(free_port(), home)
    with (home / "log").open("wb") as log:
        stack = subprocess.Popen(
            [sys.executable, "-m", "orchestration.stack", "--port", str(served.port)],
            env=env,
            cwd=home,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 90
            while True:
                try:
                    if "quantlake" in served.ask("POST", "/graphql", LOCATIONS, content_type="application/json")[1]:
                        break
                except OSError:
                    pass
                assert stack.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.2)
            yield served
        finally:
            stack.terminate()
            stack.wait(30)


LOCATIONS = json.dumps(
    {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"}
)


def test_attacks_are_refused_and_launch_nothing(server: Server) -> None:
    query = f"/graphql?query={quote(LAUNCH)}&variables={quote(json.dumps({'selector': SELECTOR}))}"
    foreign = {"origin": "http://evil.example", "sec_fetch_site": "cross-site", "content_type": "text/plain"}
    body = json.dumps({"query": LAUNCH, "variables": {"selector": SELECTOR}})
    attacks = [
        server.ask("GET", query),
        server.ask("POST", query, "x", **foreign),
        server.ask("POST", query, "x", content_type="text/plain"),
        server.ask("POST", "/graphql", body, content_type="text/plain; application/json"),
        server.ask("POST", "/graphql", body, host="evil.example", content_type="application/json"),
        server.ask("GET", "/", host="evil.example"),
    ]
    assert [status for status, _ in attacks] == [403] * len(attacks)
    assert all(text.startswith("refused: ") for _, text in attacks)
    assert server.n_runs() == 0


@pytest.mark.slow
def test_the_ui_loads_and_launches_and_its_websocket_answers(server: Server) -> None:
    status, page = server.ask("GET", "/")
    assert status == 200 and "__NEXT_DATA__" in page
    before = server.n_runs()
    answer = server.graphql(LAUNCH, selector=SELECTOR, tags=[])["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    assert server.n_runs() == before + 1
    run_id = answer["run"]["runId"]
    query = f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status tags {{ key value }} }} }} }}'
    deadline = time.monotonic() + 60
    while (run := server.graphql(query)["runOrError"])["status"] not in ("SUCCESS", "FAILURE"):
        assert time.monotonic() < deadline, run
        time.sleep(0.2)
    assert run["status"] == "SUCCESS"
    assert {"quantlake.host", "quantlake.pid", "quantlake.start_time"} <= {tag["key"] for tag in run["tags"]}
    assert websocket_status(server, f"http://127.0.0.1:{server.port}") == 101
    assert websocket_status(server, "http://evil.example") == 403


def websocket_status(server: Server, origin: str) -> int:
    status, _ = server.ask(
        "GET",
        "/graphql",
        origin=origin,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=base64.b64encode(os.urandom(16)).decode(),
        Sec_WebSocket_Protocol="graphql-ws",
    )
    return status


@pytest.mark.slow
def test_a_browser_shows_the_schedules(server: Server, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    shown = subprocess.run(
        [
            *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"),
            *("--virtual-time-budget=20000", "--dump-dom", f"http://127.0.0.1:{server.port}/automation"),
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "weekly_upkeep" in shown.stdout and "nightly" in shown.stdout
