"""Times without offset get the one that their zone has at that moment, in hours in which it changes too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.datatypes.dtm import date_time

# Half an hour of summer time, changes at one minute past midnight, odd seconds, a day left out, none at all.
ZONES = (
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Monrovia",
    "Pacific/Apia",
    "Europe/Berlin",
    "Asia/Shanghai",
)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1880, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
)
def test_a_time_without_offset_has_that_of_its_zone(name: str, moment: datetime) -> None:
    _assert_offset(moment.replace(tzinfo=ZoneInfo(name), microsecond=0, fold=0))


def test_an_offset_that_changes_within_the_hour_is_that_of_the_minute() -> None:
    # Lord Howe goes from 02:00 to 02:30; Newfoundland went back at 00:01 until 2011.
    for zone, year, month, day, hour in (
        ("Australia/Lord_Howe", 2024, 10, 6, 2),
        ("Australia/Lord_Howe", 2024, 4, 7, 1),
        ("America/St_Johns", 2006, 10, 29, 0),
        ("America/St_Johns", 2006, 4, 2, 0),
    ):
        begin = datetime(year, month, day, hour, tzinfo=ZoneInfo(zone))
        for minute in range(60):
            _assert_offset(begin.replace(minute=minute))


def _assert_offset(there: datetime) -> None:
    offset = there.utcoffset()
    assert offset is not None
    minutes = (abs(round(offset.total_seconds())) + 30) // 60
    sign = "-" if offset < timedelta(0) else "+"
    said = f"{there:%Y-%m-%dT%H:%M:%S}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert date_time(f"{there:%Y%m%d%H%M%S}", ZoneInfo(str(there.tzinfo))) == said
