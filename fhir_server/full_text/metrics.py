"""What the worker says of the index of words, for Prometheus."""

from prometheus_client import Counter, Gauge

WAITING = Gauge(
    "hie_full_text_waiting",
    "Numbers of versions that have been given out and not been gone over; 0: all words are indexed",
    multiprocess_mode="mostrecent",
)
RESOURCES = Counter("hie_full_text_resources", "Resources whose words were indexed")
REFUSED = Counter("hie_full_text_refused", "Resources whose words the database refused")
