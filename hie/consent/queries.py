"""The statements about consent rules."""

from collections.abc import Sequence
from typing import Final, LiteralString

from hie.consent.rules import Rule
from hie.core.access import Ids
from hie.core.db.database import Transaction

# Of each Consent the deepest rule that applies; of several that deep a denial.
_WITHHELD: Final[LiteralString] = (
    "SELECT w.patient FROM (SELECT DISTINCT ON (c.patient, c.consent) c.patient, c.is_denied"
    " FROM consent_rule c WHERE (c.parties IS NULL OR c.parties && %s::text[])"
    " AND (c.purposes IS NULL OR c.purposes && %s::text[])"
    " AND (c.classes IS NULL OR c.classes && %s::text[])"
    " AND (c.labels IS NULL OR c.labels && %s::text[])"
    " AND (c.since IS NULL OR c.since <= now()) AND (c.until IS NULL OR c.until > now())"
    " ORDER BY c.patient, c.consent, c.depth DESC, c.is_denied DESC) AS w WHERE w.is_denied"
)

# Most patients have said nothing.
_ANY: Final = Ids("SELECT c.patient FROM consent_rule c")


def withheld(parties: tuple[str, ...], purpose: str, resource_type: str, labels: tuple[str, ...] = ()) -> Ids:
    """Return the Patients who withhold `resource_type` from `parties`, who ask for `purpose`, by a Consent.

    With `labels`, what carries one of these security labels; without, what carries any or none.
    """
    return Ids(_WITHHELD, (parties, (purpose,), (resource_type,), labels), _ANY)


def naming(transaction: Transaction, actors: Sequence[str]) -> list[str]:
    """Return the ids of the Consents whose rules name one of `actors`, "CareTeam/1" and the like."""
    rows = transaction.connection.execute(
        "SELECT DISTINCT consent FROM consent_rule WHERE parties && %s::text[]", (list(actors),)
    )
    return [row[0] for row in rows]


def replace_rules(transaction: Transaction, consent: str, patient: str, rules: Sequence[Rule]) -> None:
    """Have `rules` be what the Consent with the id `consent` says."""
    connection = transaction.connection
    connection.execute("DELETE FROM consent_rule WHERE consent = %s", (consent,))
    for rule in rules:
        connection.execute(
            "INSERT INTO consent_rule (consent, patient, depth, is_denied, parties, purposes, classes,"
            " labels, since, until) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                consent,
                patient,
                rule.depth,
                rule.is_denied,
                *(
                    None if each is None else sorted(each)
                    for each in (rule.parties, rule.purposes, rule.classes, rule.labels)
                ),
                rule.since,
                rule.until,
            ),
        )
