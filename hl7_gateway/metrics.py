"""What the gateway counts, for Prometheus; no label holds anything of a message."""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

MESSAGES = Counter("hie_gateway_messages", "Messages by what became of them", ["result"])
ACKNOWLEDGMENT_SECONDS = Histogram(
    "hie_gateway_acknowledgment_seconds",
    "From the end of a message's block to its acknowledgment",
    buckets=_LATENCY_BUCKETS,
)
STAGE_SECONDS = Counter("hie_gateway_stage_seconds", "Time spent in a stage of the pipeline", ["stage"])
BATCHES = Counter("hie_gateway_batches", "Transactions carried out")
BATCH_RETRIES = Counter("hie_gateway_batch_retries", "Transactions that had to be tried again")
WAITING = Gauge(
    "hie_gateway_messages_waiting", "Messages received and not yet acknowledged", multiprocess_mode="livesum"
)
CONNECTIONS = Gauge("hie_gateway_connections", "Open MLLP connections", multiprocess_mode="livesum")
GARBAGE_BYTES = Counter("hie_gateway_garbage_bytes", "Bytes outside of MLLP blocks")
CLOSED = Counter("hie_gateway_connections_closed", "Connections that the gateway ended", ["reason"])
