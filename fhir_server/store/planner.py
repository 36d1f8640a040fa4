"""How PostgreSQL plans the statement that writes: once, and down the indexes.

Planning its parts, one or two for each index table, takes longer than executing them, and all
other statements are planned for their values (`hie.core.db.database`). A plan that is kept may
come from an empty table, so it is told to use the index that each part has, whatever the table
held then. The settings are local to the transaction; https://www.postgresql.org/docs/current/runtime-config-query.html.
"""

from typing import Final

_SETTINGS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

BEGIN: Final = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())
"""The columns of a query whose transaction plans statements so from now on."""

# null is the default of the session
END: Final = ", ".join(f"set_config('{name}', NULL, true)" for name in _SETTINGS)
"""The columns of a query whose transaction plans statements as before."""
