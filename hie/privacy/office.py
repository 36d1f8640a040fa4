"""The parts of this package, put together from the settings: projects and their de-identified exports."""

from hie.core.clock import Clock
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.secret_box import SecretBox
from hie.core.crypto.suite import SUITES
from hie.core.db.database import Database
from hie.core.ports import AccessPolicy
from hie.core.settings import Settings
from hie.privacy.exports import ProjectExports
from hie.privacy.projects import Projects

# The scope of the data key that seals the keys of projects.
_SCOPE = "projects"


class PrivacyOffice:
    """Projects, and what de-identifies for them."""

    def __init__(
        self, settings: Settings, database: Database, policy: AccessPolicy, clock: Clock, keys: DataKeys
    ) -> None:
        """Take what they work with."""
        seals = SecretBox(database, keys, scope=_SCOPE)
        self.projects = Projects(policy, seals, clock, least_k=settings.anonymity_k)
        self.exports = ProjectExports(
            self.projects,
            clock,
            digest=SUITES[settings.crypto].digest,
            base_url=settings.base_url,
            share=settings.anonymity_left_out,
        )
