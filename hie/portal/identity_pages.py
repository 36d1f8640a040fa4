"""The pages of who somebody is: signing in, one's own account, what applications may do, administration."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter

from hie.core.clock import Clock
from hie.identity.service import Identity
from hie.portal import account, administration, authorization, card_desk, launches, outside, sign_in
from hie.portal.former_identities import VersionedStore
from hie.portal.page import Pages


def build_router(identity: Identity, store: VersionedStore, clock: Clock, zone: ZoneInfo) -> APIRouter:
    """Return the routes; times are shown in `zone`."""
    router = APIRouter(include_in_schema=False)
    pages = Pages(clock, zone)
    sign_in.mount(router, pages, identity)
    account.mount(router, pages, identity)
    outside.mount(router, pages, identity, store)
    card_desk.mount(router, pages, identity, store)
    administration.mount(router, pages, identity)
    authorization.mount(router, pages, identity, store)
    launches.mount(router, pages, identity, store)
    return router
