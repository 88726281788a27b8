"""docs/metrics.md, the alert rules and the dashboard, and the figures of a busy server."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from elks_mcp.domain.models import Scope
from elks_mcp.runtime.metrics import _HELP
from elks_mcp.web.rejections import RefusalReason
from tests.support.alert_cases import PEOPLE, POLICY_TEXT
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import PHONE, call, data, until
from tests.support.stores import MINUTE
from tests.support.web import Site, http_client, post
from tests.support.webhook_cases import webhook_site
from tests.test_docs import table

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
QUERIES = [(panel["title"], each["expr"]) for panel in DASHBOARD["panels"] for each in panel["targets"]]
ALERTS = [(rule["alert"], rule["expr"]) for rule in RULES]
_SCRAPED = {"job", "instance", "le"}
"""The labels that Prometheus adds, and that of a histogram's buckets."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run the fixture below once for all tests."""
    return "asyncio"


@asynccontextmanager
async def busy_site(folder: Path) -> AsyncIterator[tuple[Site, str]]:
    """Serve after texts, webhooks and an alert, with a token for Prometheus."""
    policies, people = folder / "paging.yaml", folder / "people.csv"
    policies.write_text(POLICY_TEXT, "utf-8")
    people.write_text(PEOPLE, "utf-8")
    clock = ManualClock()
    environ = {
        "ELKS_TOOLSETS": "sms,inbox,escalation",
        "ELKS_ESCALATION": str(policies),
        "ELKS_CONTACTS": str(people),
        "ELKS_GUARDS_OFF": "night,first_contact",
        "ELKS_BUDGET_PER_DAY": "100",
    }
    async with webhook_site(clock, **environ) as (box, where):
        token, prometheus = await where.token("agent"), await where.token("prometheus", Scope.METRICS)
        async with where.client(token=token) as client:
            await call(client, "send_sms", to=PHONE, message="Hej", sessionId="1")
            await call(client, "send_sms", to="+4511111111", message="Hej")
            await call(client, "check_sms_status", messageId="O-22222222")
            raised = await call(client, "alert_until_acknowledged", message="Disken är full", policy="jour")
            await pass_time(clock, MINUTE)
            await call(client, "end_alert", alertId=data(raised)["alertId"])
            await until(lambda: "elks_mcp_alerts_total" in "".join(where.app.counters.write()), clock=clock)
        box.receive("+46701740690", "Hej")
        await until(lambda: len(box.webhooks) > 0)
        await post(f"{where.url}/hooks/wrong/sms", {"id": "s1"})
        async with http_client() as http:
            await http.get(f"{where.url}/audio/none")
            await http.post(f"{where.url}/mcp", headers={"authorization": "Bearer wrong"})
        yield where, prometheus


@pytest.fixture(scope="module")
async def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Metric]:
    """Read the metrics of a busy server with a token, as Prometheus does."""
    async with busy_site(tmp_path_factory.mktemp("busy")) as (where, token):
        headers = {"authorization": f"Bearer {token}", "x-forwarded-for": "192.0.2.7"}
        async with http_client() as http:
            answer = await http.get(f"{where.url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in families}


def labels_of(metric: Metric) -> set[str]:
    """List the labels that a metric has."""
    return {name for sample in metric.samples for name in sample.labels} - {"le"}


@pytest.mark.anyio
async def test_the_page_has_every_metric_with_its_type_and_labels(figures: dict[str, Metric]) -> None:
    said = {cells[0].strip("`"): cells[1:] for cells in table(PAGE, "## All metrics")}
    assert said.keys() == _HELP.keys()
    assert said.keys() == figures.keys(), "the server below did not do everything"
    for name, metric in figures.items():
        kind, labels, unit, meaning = said[name]
        assert kind == metric.type, name
        assert set(re.findall(r"`(\w+)`", labels)) == labels_of(metric), name
        assert meaning.endswith(".")
        assert ("seconds" in name) == (unit == "seconds"), name


def test_the_page_has_every_reason_of_a_refusal() -> None:
    said = {cells[0].strip("`"): cells[4] for cells in table(PAGE, "## All metrics")}
    named = set(re.findall(r"`([a-z_]+)`", said["elks_mcp_refused_requests_total"]))
    assert named == {reason.name.lower() for reason in RefusalReason}


def test_the_page_explains_every_alert() -> None:
    assert [cells[0].strip("`") for cells in table(PAGE, "## Prometheus")] == [name for name, _ in ALERTS]


@pytest.mark.anyio
async def test_every_query_is_about_figures_that_a_server_has(figures: dict[str, Metric]) -> None:
    samples = {sample.name: metric for metric in figures.values() for sample in metric.samples}
    for title, query in [*QUERIES, *ALERTS]:
        selected = re.findall(r"\b(elks_mcp_\w+|up)\b(?:\{([^}]*)\})?", query)
        assert selected, title
        known = set(_SCRAPED)
        for name, matchers in selected:
            labels = labels_of(samples[name]) if name != "up" else set()
            known |= labels
            for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
                assert label in labels | {"job"}, f"{title}: {label}"
                if operator == "=" and label in {"state", "part", "reason"}:
                    assert value in {each.labels[label] for each in samples[name].samples}, (
                        f"{title}: {value}"
                    )
        for grouped in re.findall(r"\bby \(([^)]*)\)", query):
            assert {each.strip() for each in grouped.split(",")} <= known, title


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(query for _, query in QUERIES)
    assert {name for name in _HELP if name not in shown} == set()


def test_the_dashboard_is_complete_and_names_no_data_source_of_ours() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    sources = {json.dumps(panel["datasource"], sort_keys=True) for panel in DASHBOARD["panels"]}
    assert sources == {'{"type": "prometheus", "uid": "${source}"}'}
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("source", "datasource", "prometheus")
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(places) == len(set(places))
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


# ── with Prometheus' own program ──


def run_promtool(*arguments: str, folder: Path = DEPLOY) -> str:
    """Run promtool, which must succeed."""
    program = shutil.which("promtool")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("promtool, of Prometheus, is not installed")
    done = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_rule_fires_when_it_should_and_not_otherwise() -> None:
    folder = Path(__file__).parent
    run_promtool("test", "rules", "prometheus_rules_test.yml", folder=folder)
    cases: Any = yaml.safe_load((folder / "prometheus_rules_test.yml").read_text("utf-8"))["tests"]
    tried = [
        (each["alertname"], bool(each["exp_alerts"])) for case in cases for each in case["alert_rule_test"]
    ]
    assert tried == [(name, fires) for name, _ in ALERTS for fires in (True, False)]


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    written = (DEPLOY / "prometheus.yml").read_text("utf-8")
    secret = tmp_path / "token"
    secret.write_text("elks_mcp_0", "ascii")
    assert written.count("/run/secrets/elks-mcp-token") == 1
    configuration = written.replace("/run/secrets/elks-mcp-token", str(secret))
    (tmp_path / "prometheus.yml").write_text(configuration, "utf-8")
    shutil.copy(DEPLOY / "prometheus-rules.yml", tmp_path)
    assert f"{len(RULES)} rules found" in run_promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:query_{number}", "expr": each} for number, (_, each) in enumerate(QUERIES)
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(QUERIES)} rules found" in run_promtool("check", "rules", "rules.yml", folder=tmp_path)
