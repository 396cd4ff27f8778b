"""What the guides tell people to type works as it stands there, and prints what they show."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka.topics import declared
from deploy.local.stack import launch
from deploy.local.state import SERVICES
from tests.support import guides
from tests.support.log import Log
from tests.support.operated import labels_by_metric
from tests.support.outsider import Outsider
from tests.support.probe import Probe
from tests.support.running_shop import Shop
from tests.support.storefront import Callers
from tests.support.troubles import end_trouble, make_trouble

# Guide → whether it is about something that has to be made wrong first.
GUIDES = {
    "docs/api.md": False,
    "docs/storefront.md": False,
    "docs/operations.md": True,
    "docs/troubleshooting.md": True,
    "docs/runbooks.md": True,
}
_SECONDS = 240
# Shell blocks that are not run here, by how each begins, and why.
NOT_RUN = {
    "make up": "the stack of this test runs already",
}
# Labels whose values the operators' guide explains.
_EXPLAINED = ("result", "outcome", "state", "reason", "kind", "invariant")


@pytest.fixture(scope="module")
def own_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A stack with the default settings, as whoever follows a guide has it."""
    with launch(tmp_path_factory.mktemp("guides") / "stack") as stack:
        state = stack.up()
        probe = Probe(state)
        log = Log(state.bootstrap_servers, [topic.name for topic in declared(local=True)])
        yield Shop(stack, Callers(state), probe, log, Outsider(state.bootstrap_servers))
        log.close()
        probe.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("guide", "troubled"), GUIDES.items(), ids=GUIDES)
def test_the_commands_of_a_guide_work_and_print_what_it_shows(own_shop: Shop, guide: str, troubled: bool) -> None:
    named: Mapping[str, str] = make_trouble(own_shop) if troubled else {}

    done = guides.run(guide, {"LOCAL_STACK": str(own_shop.stack.directory), **named}, _SECONDS)

    last = max(done.outputs)
    assert done.status == 0, f"{guide}:{last} ended with {done.status}\n{done.outputs[last]}\n{done.errors}"
    assert guides.untrue(guide, done.outputs) == []
    if troubled:
        end_trouble(own_shop, named)


@pytest.mark.slow
def test_the_operators_guide_knows_each_metric_and_label_value_that_processes_serve(own_shop: Shop) -> None:
    told = (guides.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    known = labels_by_metric()
    for service in SERVICES:
        address = own_shop.stack.state.services[service]
        for url in (f"{address.url}/metrics", address.metrics_url):
            text = requests.get(url, timeout=10).text
            served = set(re.findall(r"^# TYPE ((?:oms|http)_\w+) ", text, re.MULTILINE))
            assert {name for name in served if not name.endswith("_created")} <= set(known), url
            samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
            values = {sample.labels[name] for sample in samples for name in _EXPLAINED if name in sample.labels}
            assert {value for value in values if f"`{value}`" not in told} == set(), url


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("ORD00000001: 2 lines, offset 0", []),
        ("ORD00000001: 3 lines, offset 0", ["5: <order number>: 2 lines, …"]),
        ("ORD1: 2 lines, offset 0", ["5: <order number>: 2 lines, …"]),
    ],
)
def test_a_figure_has_to_be_printed_as_it_is_shown_and_an_id_need_not(
    tmp_path: Path, printed: str, found: list[str]
) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text("```sh\nshow\n```\n\n```text\nORD89386635: 2 lines, …\n```\n", encoding="utf-8")
    assert guides.untrue(str(guide), {1: printed}) == found


@pytest.mark.parametrize("guide", GUIDES)
def test_what_is_not_run_is_known_and_nothing_else_looks_like_a_command(guide: str) -> None:
    for block in guides.blocks(guide):
        assert block.is_shell or block.language in ("text", "json", "promql"), (
            f"{guide}:{block.line} has no known language"
        )
        assert set(block.marks) <= {"no-run"}, f"{guide}:{block.line}"
        if block.is_shell and not block.is_run:
            reasons = [reason for command, reason in NOT_RUN.items() if block.text.startswith(command)]
            assert reasons, f"{guide}:{block.line} is marked no-run, and nothing says why"


def test_every_reason_not_to_run_a_block_is_needed() -> None:
    marked = [block.text for guide in GUIDES for block in guides.blocks(guide) if block.is_shell and not block.is_run]
    assert [command for command in NOT_RUN if not any(text.startswith(command) for text in marked)] == []
