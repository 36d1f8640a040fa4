"""The exchange with authentication on, as the tests of identities have it."""

from tests.hie.identity.conftest import citizen, clinician, house

__all__ = ["citizen", "clinician", "house"]
