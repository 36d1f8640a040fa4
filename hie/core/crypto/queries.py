"""The statements about keys. What a row means is said in `hie.core.crypto.tables`."""

from typing import Final

# The newest key of each scope that seals with the cipher %s; held against destruction until the
# transaction ends. The locks are taken in the order of the array, the same for all who sort it.
HOLD: Final = """
SELECT k.id, k.scope, k.version, k.algorithm, k.key_encryption_key_id, k.wrapped
FROM unnest(%s::text[]) WITH ORDINALITY AS s (scope, n)
CROSS JOIN LATERAL (
    SELECT * FROM data_key d
    WHERE d.scope = s.scope AND d.wrapped IS NOT NULL AND d.algorithm = %s
    ORDER BY d.version DESC LIMIT 1 FOR KEY SHARE
) AS k
ORDER BY s.n
"""

FIRST: Final = """
SELECT id, scope, version, algorithm, key_encryption_key_id, wrapped FROM data_key
WHERE scope = %s AND wrapped IS NOT NULL ORDER BY version LIMIT 1
"""

READ: Final = """
SELECT id, scope, version, algorithm, key_encryption_key_id, wrapped FROM data_key WHERE id = ANY(%s)
"""

# Of scopes that have no key of the cipher, as another may have made it meanwhile; of all where it says so.
NEXT_VERSIONS: Final = """
SELECT s.scope, 1 + coalesce((SELECT max(d.version) FROM data_key d WHERE d.scope = s.scope), 0)
FROM unnest(%s::text[]) AS s (scope)
WHERE %s OR NOT EXISTS (
    SELECT FROM data_key d WHERE d.scope = s.scope AND d.wrapped IS NOT NULL AND d.algorithm = %s
)
"""

# Who is second to make a version waits here for the first, and makes none.
INSERT: Final = """
INSERT INTO data_key (scope, version, algorithm, key_encryption_key_id, wrapped, created_at)
SELECT v.scope, v.version, %s, %s, v.wrapped, %s
FROM unnest(%s::text[], %s::int[], %s::bytea[]) AS v (scope, version, wrapped)
ON CONFLICT (scope, version) DO NOTHING
"""

# An UPDATE alone does not wait for those who hold the key, as it changes none of the key's columns.
LOCK_SCOPE: Final = "SELECT id FROM data_key WHERE scope = %s AND wrapped IS NOT NULL ORDER BY id FOR UPDATE"
DESTROY: Final = """
UPDATE data_key SET wrapped = NULL, key_encryption_key_id = NULL, destroyed_at = %s WHERE id = ANY(%s)
"""

CURRENT: Final = "SELECT id FROM key_encryption_key WHERE is_current"
RETIRE: Final = "UPDATE key_encryption_key SET is_current = false WHERE is_current"
MAKE_CURRENT: Final = """
INSERT INTO key_encryption_key (id, provider, is_current, created_at) VALUES (%s, %s, true, %s)
ON CONFLICT (id) DO UPDATE SET is_current = true, provider = excluded.provider
"""
LOCK_RETIRED: Final = "SELECT id FROM key_encryption_key WHERE id = %s AND NOT is_current FOR UPDATE"
WRAPS_ANY: Final = "SELECT EXISTS (SELECT FROM data_key WHERE key_encryption_key_id = %s)"
DELETE: Final = "DELETE FROM key_encryption_key WHERE id = %s"

TO_REWRAP: Final = """
SELECT id, scope, version, algorithm, key_encryption_key_id, wrapped
FROM data_key WHERE key_encryption_key_id = %s ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""
REWRAP: Final = """
UPDATE data_key d SET key_encryption_key_id = %s, wrapped = v.wrapped
FROM unnest(%s::bigint[], %s::bytea[]) AS v (id, wrapped) WHERE d.id = v.id
"""

RETIRED: Final = "SELECT id FROM key_encryption_key WHERE NOT is_current ORDER BY created_at, id"
STATE: Final = """
SELECT k.id, k.provider, k.is_current, k.created_at,
    (SELECT count(*) FROM data_key d WHERE d.key_encryption_key_id = k.id)
FROM key_encryption_key k ORDER BY k.created_at, k.id
"""
