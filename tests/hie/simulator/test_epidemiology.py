"""Counts of the visits and of the history: seasons, weekdays, holidays, and the outbreaks put into them."""

from collections import Counter
from datetime import date, timedelta

import pytest

from hie.simulator import history
from hie.simulator.conditions import SURVEILLANCE_GROUPS, conditions
from hie.simulator.epidemiology import seasonal
from hie.simulator.holidays import holidays, is_holiday
from hie.simulator.run import City
from hie.simulator.seeding import poisson, stream

from .conftest import END, build


@pytest.fixture(scope="module")
def large() -> City:
    return build(people=3000, days=60)


def daily(city: City, outbreak_division: str) -> Counter[date]:
    """Return visits for infectious diarrhoea at the institutions of the division, by day."""
    return Counter(
        visit.start.date()
        for visit in city.visits
        if visit.condition.group == "infectious-diarrhoea" and visit.institution.division == outbreak_division
    )


def test_the_outbreak_in_progress_stands_out_of_the_counts_and_is_absent_without_injection(
    large: City,
) -> None:
    outbreak = large.outbreak
    assert outbreak is not None
    control = build(people=3000, days=60, with_incidents=False)
    span = [outbreak.first + timedelta(days=day) for day in range((END - outbreak.first).days + 1)]
    before = [outbreak.first - timedelta(days=day) for day in range(1, 36)]
    seen, expected = daily(large, outbreak.division), daily(control, outbreak.division)
    during = sum(seen[day] for day in span)
    assert during >= 25
    assert during > 4 * max(1, sum(expected[day] for day in span))
    usual = sum(seen[day] for day in before) / len(before)
    assert sum(seen[day] for day in span[-3:]) / 3 > 5 * usual
    assert sum(expected[day] for day in span[-3:]) / 3 < 5 * max(usual, 0.2)
    assert outbreak.last == END
    assert control.outbreak is None


def test_cases_of_the_outbreak_are_distinct_people_who_live_in_the_division(large: City) -> None:
    assert large.outbreak is not None
    cases = [visit for visit in large.visits if visit.outbreak == large.outbreak.id]
    assert len({visit.person.index for visit in cases}) == len(cases)
    assert {visit.person.address.division for visit in cases} == {large.outbreak.division}
    assert 0.9 * large.outbreak.size <= len(cases) <= large.outbreak.size


def test_injection_changes_no_other_count(large: City) -> None:
    control = build(people=3000, days=60, with_incidents=False)
    for offset in range(10):
        day = END - timedelta(days=offset)
        counted = [
            (count.institution.code, count.condition.key, count.cases)
            for count in large.epidemiology.counts(day)
            if count.outbreak is None
        ]
        assert counted == [
            (count.institution.code, count.condition.key, count.cases)
            for count in control.epidemiology.counts(day)
        ]


def test_history_is_five_years_of_daily_counts_that_end_before_the_first_message(large: City) -> None:
    rows = list(history.rows(large))
    assert rows[-1].day == large.start - timedelta(days=1)
    assert (large.start - rows[0].day).days in (1825, 1826)
    assert [row.day for row in rows] == sorted(row.day for row in rows)
    assert all(row.cases > 0 for row in rows)
    assert {row.condition for row in rows} == set(SURVEILLANCE_GROUPS)
    keys = [(row.day, row.institution, row.condition) for row in rows]
    assert len(set(keys)) == len(keys)
    divisions = {each.code: each.division for each in large.institutions}
    assert all(divisions[row.institution] == row.division for row in rows)


def test_history_goes_on_in_the_visits_as_one_process(large: City) -> None:
    rows = history.rows(large)
    past = Counter[str]()
    for row in rows:
        if row.day.month in (5, 6):
            past[row.condition] += row.cases
    visited = Counter(visit.condition.group for visit in large.visits if not visit.outbreak)
    days = 5 * 61
    for group in ("influenza-like", "infectious-diarrhoea"):
        expected = past[group] / days * large.days
        assert 0.6 * expected < visited[group] < 1.4 * expected


def test_past_outbreaks_are_in_the_history_where_the_truth_says(large: City) -> None:
    quiet = build(people=3000, days=60, with_incidents=False)
    seen: Counter[tuple[date, str, str]] = Counter()
    for row in history.rows(large):
        seen[row.day, row.division, row.condition] += row.cases
    for row in history.rows(quiet):
        seen[row.day, row.division, row.condition] -= row.cases
    divisions = {each.code: each.division for each in large.institutions}
    injected: Counter[tuple[date, str, str]] = Counter()
    for outbreak in large.past:
        for offset in range((outbreak.last - outbreak.first).days + 1):
            day = outbreak.first + timedelta(days=offset)
            for code, cases in outbreak.cases(day):
                injected[day, divisions[code], conditions()[outbreak.condition].group] += cases
    assert +seen == injected
    assert sum(injected.values()) == sum(outbreak.size for outbreak in large.past)
    assert len(large.past) >= 3


def test_influenza_peaks_in_winter_hfmd_in_early_summer_and_diarrhoea_in_summer() -> None:
    peaks = {}
    for key in ("influenza", "hfmd", "diarrhoea"):
        year = {day: seasonal(conditions()[key].peaks, day) for day in range(1, 366)}
        peaks[key] = max(year, key=lambda day, factors=year: factors[day])  # type: ignore[misc]  # binds the year
    assert peaks["influenza"] < 60
    assert 140 < peaks["hfmd"] < 190
    assert 180 < peaks["diarrhoea"] < 230


@pytest.mark.parametrize("key", sorted(conditions()))
def test_the_seasonal_factor_is_one_over_the_year(key: str) -> None:
    year = [seasonal(conditions()[key].peaks, day) for day in range(1, 366)]
    assert sum(year) / len(year) == pytest.approx(1, abs=0.01)
    assert min(year) > 0


def test_hospitals_are_emptier_on_weekends_and_holidays(large: City) -> None:
    sums: Counter[str] = Counter()
    days: Counter[str] = Counter()
    for back in range(1, 1500):
        day = large.start - timedelta(days=back)
        kind = "holiday" if is_holiday(day) else "weekend" if day.weekday() > 5 else "weekday"
        days[kind] += 1
        sums[kind] += sum(
            count.cases for count in large.epidemiology.counts(day, frozenset({"influenza-like"}))
        )
    mean = {kind: sums[kind] / days[kind] for kind in days}
    assert mean["weekend"] < 0.9 * mean["weekday"]
    assert mean["holiday"] < 0.9 * mean["weekday"]


def test_spring_festival_of_2026_and_solar_holidays_are_known() -> None:
    # Notice of the State Council's office for 2026: Spring Festival on 17 February.
    assert {date(2026, 2, 16), date(2026, 2, 17), date(2026, 2, 22)} <= holidays(2026)
    assert is_holiday(date(2051, 10, 1))
    assert not is_holiday(date(2026, 6, 30))


@pytest.mark.parametrize("mean", [0.05, 1.0, 7.5, 80.0])
def test_poisson_counts_have_mean_and_variance_alike(mean: float) -> None:
    draws = stream(1, "poisson", str(mean))
    sample = [poisson(draws, mean) for _ in range(20_000)]
    average = sum(sample) / len(sample)
    variance = sum((value - average) ** 2 for value in sample) / len(sample)
    assert average == pytest.approx(mean, rel=0.08)
    assert variance == pytest.approx(mean, rel=0.1)
    assert poisson(draws, 0.0) == 0
