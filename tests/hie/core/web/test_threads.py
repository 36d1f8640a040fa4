"""Threads for endpoints: results, errors, contexts, how many at a time, and their end."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from hie.core.web.threads import Threads

_NAME: ContextVar[str] = ContextVar("_NAME", default="nobody")


def test_a_call_returns_its_result_from_another_thread() -> None:
    threads = Threads(1)

    async def ask() -> threading.Thread:
        return await threads.run(threading.current_thread)

    assert asyncio.run(ask()) is not threading.current_thread()
    threads.close()


def test_a_call_raises_what_it_raised() -> None:
    threads = Threads(1)

    async def ask() -> None:
        await threads.run(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())
    threads.close()


def test_a_call_that_raises_stop_iteration_ends() -> None:
    threads = Threads(1)

    async def ask() -> None:
        await asyncio.wait_for(threads.run(lambda: next(iter(()))), 10)

    with pytest.raises(RuntimeError):
        asyncio.run(ask())
    threads.close()


def test_calls_run_in_the_context_of_their_caller() -> None:
    threads = Threads(2)

    async def ask(name: str) -> str:
        _NAME.set(name)
        return await threads.run(_NAME.get)

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(ask(name) for name in ("a", "b", "c")))

    assert asyncio.run(all_of_them()) == ["a", "b", "c"]
    threads.close()


def test_as_many_calls_run_at_once_as_there_are_threads() -> None:
    threads = Threads()
    threads.be(3)
    together = threading.Barrier(3, timeout=10)

    async def all_of_them() -> None:
        await asyncio.gather(*(threads.run(together.wait) for _ in range(3)))

    asyncio.run(all_of_them())
    threads.close()


def test_a_cancelled_call_does_not_stop_the_next() -> None:
    threads = Threads(1)
    may_end = threading.Event()

    async def ask() -> str:
        first = threads.run(may_end.wait)
        first.cancel()
        may_end.set()
        return await threads.run(lambda: "next")

    assert asyncio.run(ask()) == "next"
    threads.close()


def test_the_end_of_a_loop_does_not_end_the_threads() -> None:
    threads = Threads(1)
    may_end = threading.Event()

    async def leave() -> None:
        threads.run(may_end.wait)

    async def ask() -> str:
        return await asyncio.wait_for(threads.run(lambda: "later"), 10)

    asyncio.run(leave())
    may_end.set()
    assert asyncio.run(ask()) == "later"
    threads.close()


def test_closed_threads_have_done_what_was_asked_and_are_begun_anew() -> None:
    threads = Threads(2)
    done: list[int] = []

    async def ask(number: int) -> None:
        await threads.run(lambda: done.append(number))

    async def leave() -> None:
        for number in range(20):
            threads.run(lambda number=number: done.append(number))  # type: ignore[misc] # bound by its default
        threads.close()

    asyncio.run(leave())
    assert sorted(done) == list(range(20))
    asyncio.run(ask(20))
    assert done[-1] == 20
    threads.close()
