"""A journal as a process of its group, to be killed.

    python -m tests.kernel.kafka.member SERVERS PREFIX DATABASE
"""
from __future__ import annotations

import asyncio
import sys

from infirmary.kernel.kafka import KafkaBus

from .journal import Journal


async def listen(servers: str, prefix: str, url: str) -> None:
    bus = KafkaBus(servers, ["kafka"], prefix=prefix)
    bus.subscribe((await Journal.open(url, "journal")).consumer)
    await bus.open()
    bus.start()
    await asyncio.sleep(600)


asyncio.run(listen(*sys.argv[1:]))
