"""The benchmark's own judgement: what it counts, what it refuses to tell, and that it finds what is wrong."""

import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import psutil
import pytest

from tests.benchmark.cpu import cpu_seconds, per_order
from tests.benchmark.drain import Drain
from tests.benchmark.figures import Figures, Result, middle, ratio, result_of
from tests.benchmark.low_load import LowLoad, Spread
from tests.benchmark.meter import Reading
from tests.benchmark.placing import Requests
from tests.benchmark.reach import drain_missed, drain_objection, load_missed, load_objection, low_missed
from tests.benchmark.report import drain_as_json
from tests.benchmark.sender import Load, Sent, send
from tests.benchmark.topic_log import Sighting, examine
from tests.benchmark.under_load import Calm, Placed, UnderLoad
from tests.benchmark.workload import LINES, Workload

_BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
_PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURN!r}], check=True)
print("burnt", flush=True)
sys.stdin.read()
"""


def result(orders_per_second: float, micros: float) -> Result:
    figures = Figures(orders_per_second, {"postgres": micros / 2, "kafka": micros / 2})
    return Result(figures, figures)


def seen(*sightings: tuple[str, int], kind: str = "Placed") -> Iterable[Sighting]:
    for key, sequence in sightings:
        yield Sighting(key=key, event_id=f"{key}-{sequence}", kind=kind, sequence=sequence, order_id=key)


# --- CPU


def test_children_that_ended_are_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"burnt\n"
        assert psutil.Process(parent.pid).children() == []
        assert cpu_seconds(parent.pid) >= 0.2
        parent.communicate()


def test_children_that_live_are_counted_unless_they_are_the_observers() -> None:
    script = f"{_BURN}\nprint('burnt', flush=True)\nimport sys\nsys.stdin.read()"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {script!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        (child,) = psutil.Process(process.pid).children()
        with_child, without = cpu_seconds(process.pid), cpu_seconds(process.pid, without={child.pid})
        process.communicate()
    assert with_child >= without + 0.2


def test_cpu_is_told_in_microseconds_an_order() -> None:
    assert per_order({"kafka": 1.0}, {"kafka": 1.5}, 1000) == {"kafka": pytest.approx(500)}


# --- what is ordered


def test_a_workload_is_the_same_each_time() -> None:
    workload = Workload(orders=50, skus=10)
    assert list(workload.wishes()) == list(workload.wishes())


def test_each_order_has_three_different_skus_of_the_catalog() -> None:
    workload = Workload(orders=50, skus=10)
    wishes = list(workload.wishes())
    assert len(wishes) == 50
    assert all(len({sku for sku, _ in wish} & set(workload.catalog())) == LINES for wish in wishes)


def test_units_are_what_the_orders_add_up_to() -> None:
    workload = Workload(orders=50, skus=10)
    expected: Counter[str] = Counter()
    for wish in workload.wishes():
        for sku, quantity in wish:
            expected[sku] += quantity
    assert workload.units() == expected


# --- the log


def test_a_whole_log_has_no_faults() -> None:
    log = examine(seen(("a", 1), ("b", 1), ("a", 2)))
    assert (log.faults, log.repeated, log.kinds) == ([], 0, {"Placed": 3})


@pytest.mark.parametrize(
    "sightings",
    [[("a", 1), ("a", 3)], [("a", 2), ("a", 1)], [("a", 2)], [("a", 0)]],
    ids=["a hole", "out of order", "no first", "counted from zero"],
)
def test_a_hole_or_another_order_is_a_fault(sightings: list[tuple[str, int]]) -> None:
    assert examine(seen(*sightings)).faults


def test_a_repeated_record_is_counted_and_no_fault() -> None:
    log = examine(seen(("a", 1), ("a", 2), ("a", 1)))
    assert (log.faults, log.repeated, log.kinds["Placed"]) == ([], 1, 2)


def test_two_events_with_one_number_are_a_fault() -> None:
    twin = Sighting(key="a", event_id="other", kind="Placed", sequence=1, order_id="a")
    assert examine([*seen(("a", 1)), twin]).faults


def test_an_event_under_another_orders_key_is_a_fault() -> None:
    assert examine([Sighting(key="a", event_id="1", kind="Placed", sequence=1, order_id="b")]).faults


# --- figures


def test_figures_are_taken_between_the_same_two_instants() -> None:
    def reading(at: float, cpu: float) -> Reading:
        return Reading(at, {"kafka": cpu})

    drain = Drain(reading(10, 1.0), reading(12, 2.0), reading(14, 5.0), [])
    measured = result_of(drain, 1000)
    assert (measured.confirmed.orders_per_second, measured.confirmed.total_micros) == (500, 1000)
    assert (measured.at_rest.orders_per_second, measured.at_rest.total_micros) == (250, 4000)


@pytest.mark.parametrize(("speed", "micros"), [(149, 5000), (250, 9001)], ids=["too slow", "too dear"])
def test_a_textbook_that_is_too_slow_or_too_dear_is_not_compared_with(speed: float, micros: float) -> None:
    assert drain_objection(result(speed, micros)) is not None


def test_a_textbook_within_its_bounds_is_compared_with() -> None:
    assert drain_objection(result(150, 9000)) is None


@pytest.mark.parametrize(
    ("ours", "faults"),
    [((2400, 600), 0), ((2399, 600), 1), ((2400, 601), 1), ((100, 5000), 2)],
)
def test_a_missed_reach_is_said(ours: tuple[float, float], faults: int) -> None:
    assert len(list(drain_missed(result(*ours), result(200, 7000)))) == faults


def test_several_runs_are_told_by_their_medians() -> None:
    medians = middle([result(100, 900), result(300, 700), result(200, 100)])
    assert (medians.confirmed.orders_per_second, medians.confirmed.total_micros) == (200, 700)


def test_the_outcome_for_machines_holds_the_ratio_and_each_run() -> None:
    ours, textbook = result(4000, 400), result(200, 7000)
    content: Mapping[str, object] = drain_as_json([(ours, textbook)], ours, textbook)
    assert content["ratio"] == ratio(ours.confirmed, textbook.confirmed) == 20
    assert content["runs"] == [{"ours": content["ours"], "textbook": content["textbook"]}]


# --- single POSTs


def under_load(alone: float, saga: float, quiet: float = 0.02, beside_slow: float = 0.03) -> UnderLoad:
    one, whole = (Placed(Figures(speed, {"kafka": 1.0}), 0.01, 0.02) for speed in (alone, saga))
    return UnderLoad(whole, one, Calm(100, quiet, beside_slow), [])


def test_a_textbook_api_that_is_too_slow_is_not_compared_with() -> None:
    assert load_objection(under_load(499, 100)) is not None
    assert load_objection(under_load(500, 100)) is None


@pytest.mark.parametrize(
    ("ours", "faults"),
    [
        (under_load(1500, 600), 0),
        (under_load(1499, 600), 1),
        (under_load(1500, 599), 1),
        (under_load(1500, 600, quiet=0.051, beside_slow=0.06), 1),
        (under_load(1500, 600, quiet=0.02, beside_slow=0.041), 1),
    ],
    ids=["all kept", "API too slow", "saga too slow", "p99 too long", "disturbed"],
)
def test_what_of_the_reach_under_load_was_missed_is_said(ours: UnderLoad, faults: int) -> None:
    assert len(list(load_missed(ours, under_load(500, 100)))) == faults


@pytest.mark.parametrize(
    ("p50", "p99", "idle", "faults"),
    [(0.050, 0.150, 0.03, 0), (0.051, 0.150, 0.03, 1), (0.050, 0.151, 0.03, 1), (0.050, 0.150, 0.031, 1)],
)
def test_what_of_the_reach_at_low_load_was_missed_is_said(p50: float, p99: float, idle: float, faults: int) -> None:
    told = {"order_placed": Spread(p50, p99)}
    low = LowLoad(told, Spread(0.01, 0.02), {}, {"kafka": 0.5, "postgres": idle})
    assert len(list(low_missed(low))) == faults


def test_requests_are_those_of_the_workload_each_once() -> None:
    requests = Requests(Workload(orders=3, skus=5), "token")
    assert len({*requests.take(2), *requests.take(1)}) == 3
    with pytest.raises(ValueError, match="0 orders left"):
        requests.take(1)


class _Server(socketserver.StreamRequestHandler):
    """Answers a request a line: `/slow` after a while, `/refused` with 503; in two parts, as networks do.

    `/chunks` and `/stream/ended` are answered in chunks, `/stream` with a chunk and no end, `/stream/silent` with none.
    """

    def handle(self) -> None:
        while line := self.rfile.readline():
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            if b"/slow" in line:
                time.sleep(0.2)
            status = b"503 Away" if b"/refused" in line else b"200 OK" if b"/stream" in line else b"201 Created"
            self.wfile.write(b"HTTP/1.1 %b\r\nContent-" % status)
            self.wfile.flush()
            time.sleep(0.001)
            if b"/chunks" in line or b"/stream" in line:
                self.wfile.write(b"Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n")
                told = [] if b"/silent" in line else [b"7\r\ndata: 1\r\n"]
                end = [b"0", b"\r\n\r", b"\n"] if b"/chunks" in line or b"/ended" in line else []
                self._write_chunks([*told, *end])
            else:
                self.wfile.write(b"Length: 2\r\n\r\nok")

    def _write_chunks(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            self.wfile.flush()
            time.sleep(0.01)
            self.wfile.write(part)


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Server) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        host, port = listening.server_address[:2]
        yield str(host), int(port)
        listening.shutdown()
        thread.join()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def test_every_request_is_answered_and_its_status_counted(server: tuple[str, int]) -> None:
    host, port = server
    sent = send(Load(host=host, port=port, requests=[get("/")] * 9 + [get("/refused")], connections=3))
    assert sent.statuses == {201: 9, 503: 1}
    assert len(sent.latencies) == 10


def test_an_answer_in_chunks_is_whole_with_its_last_one(server: tuple[str, int]) -> None:
    host, port = server
    sent = send(Load(host=host, port=port, requests=[get("/chunks")] * 2, connections=1))
    assert sent.statuses == {201: 2}
    assert sent.latencies[0] >= 0.04


@pytest.mark.parametrize(("path", "told"), [("/refused", "503"), ("/stream/ended", "200"), ("/stream/silent", "200")])
def test_a_stream_that_was_not_opened_fails_the_run(server: tuple[str, int], path: str, told: str) -> None:
    host, port = server

    def sent(*streams: str) -> Sent:
        return send(
            Load(host=host, port=port, requests=[get("/slow")], connections=1, streams=[get(path) for path in streams])
        )

    assert sent("/stream").statuses == {201: 1}
    with pytest.raises(ConnectionError, match=told):
        sent("/stream", path)


def test_a_request_that_had_to_wait_for_its_turn_is_late_from_when_it_was_due(server: tuple[str, int]) -> None:
    host, port = server
    sent = send(Load(host=host, port=port, requests=[get("/slow")] * 3, connections=1, rate=1000))
    assert sent.latencies[0] >= 0.19
    assert sent.latencies[2] >= 0.58


def test_a_sender_that_waits_for_answers_leaves_the_cores_to_the_server(server: tuple[str, int]) -> None:
    """While every connection is taken and the next request is overdue."""
    host, port = server
    before = time.thread_time()
    send(Load(host=host, port=port, requests=[get("/slow")] * 3, connections=1, rate=1000))
    assert time.thread_time() - before < 0.1


def test_requests_are_sent_at_their_rate(server: tuple[str, int]) -> None:
    host, port = server
    sent = send(Load(host=host, port=port, requests=[get("/")] * 20, connections=4, rate=50))
    assert sent.ended - sent.began >= 0.37
    assert sent.quantile(0.5) < 0.2


def test_a_server_that_does_not_answer_in_time_fails_the_run(server: tuple[str, int]) -> None:
    host, port = server
    with pytest.raises(TimeoutError, match="1 of 1"):
        send(Load(host=host, port=port, requests=[get("/slow")], connections=1, seconds=0.05))
