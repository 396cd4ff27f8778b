"""Every metric of the product on one screen; the names are a contract with dashboards and alerts.

Labels come from closed sets. Counters and histograms are module globals, as `prometheus_client` means them;
values that live in the database are read at scrape time by `collectors`.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

ORDERS = Counter("oms_orders", "Orders by how their saga went", ["outcome"])
SAGA_DURATION = Histogram("oms_saga_duration_seconds", "From placing to its outcome", ["outcome"], buckets=_SECONDS)
DEADLINES_DEFERRED = Counter("oms_deadlines_deferred", "Deadlines put off because this service was away or behind")
EVENTS_CONSUMED = Counter(
    "oms_events_consumed",
    "Records taken from Kafka by what became of them",
    ["topic", "event_type", "result"],
)
EVENT_END_TO_END = Histogram(
    "oms_event_end_to_end_seconds",
    "From the record's timestamp to the commit of its handling",
    ["topic"],
    buckets=_SECONDS,
)
CONSUMER_BATCH_SIZE = Histogram("oms_consumer_batch_size", "Records a transaction", buckets=_SIZES)
CONSUMER_LAG_MESSAGES = Gauge(
    "oms_consumer_lag_messages", "Records not yet handled", ["topic"], multiprocess_mode="livesum"
)
CONSUMER_LAG_SECONDS = Gauge(
    "oms_consumer_lag_seconds",
    "Age of the last record handled while records wait, else 0",
    ["topic"],
    multiprocess_mode="livesum",
)
SEQUENCE_GAPS = Counter("oms_consumer_sequence_gaps", "Events whose ce_sequence skipped a number", ["topic"])
EMAILS = Counter("oms_emails", "Mails by template and what became of them", ["template", "result"])
GROUP_COMMIT_SIZE = Histogram("oms_group_commit_size", "Commands a transaction", buckets=_SIZES)
HTTP_DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
    buckets=_SECONDS,
)
