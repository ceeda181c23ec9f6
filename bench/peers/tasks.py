"""What tasks.c, queue.c, call_later.c and parked.c measure, with asyncio. Prints a JSON object
per workload; times are of the process's processor time, medians of a few rounds.

    tasks.py [--uvloop] [PREFIX...]      only the workloads whose names begin with one of them

sleepers needs a process of its own, because memory that is used again would not be counted.
"""

import asyncio
import json
import random
import statistics
import sys
import time

ROUNDS = 3
SWITCHES = 40000
SPAWNS = 10000
TRIPS = 10000
ITEMS = 20000
TIMERS = 1000000
SLEEPERS = 1000000

prefixes = tuple(word for word in sys.argv[1:] if word != "--uvloop")


def report(workload, value, unit):
    print(json.dumps({"workload": workload, "value": round(value, 2), "unit": unit}), flush=True)


async def measure(workload, n, body, *arguments):
    if prefixes and not workload.startswith(prefixes):
        return
    figures = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        await body(*arguments)
        figures.append((time.process_time() - begun) * 1e9 / n)
    report(workload, statistics.median(figures), "ns")


async def turns(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def switching(n_tasks):
    tasks = [asyncio.create_task(turns(SWITCHES // n_tasks)) for _ in range(n_tasks)]
    for task in tasks:
        await task


async def nothing():
    return 1


async def spawning(at_a_time):
    for _ in range(0, SPAWNS, at_a_time):
        tasks = [asyncio.create_task(nothing()) for _ in range(at_a_time)]
        for task in tasks:
            await task


async def answers(questions, answers_to):
    for _ in range(TRIPS):
        await answers_to.put(await questions.get() + 1)


async def round_trips():
    to, fro = asyncio.Queue(1), asyncio.Queue(1)
    task = asyncio.create_task(answers(to, fro))
    for i in range(TRIPS):
        await to.put(i)
        assert await fro.get() == i + 1
    await task


async def takes(queue):
    for i in range(ITEMS):
        assert await queue.get() == i


async def one_way(capacity):
    queue = asyncio.Queue(capacity)
    task = asyncio.create_task(takes(queue))
    for i in range(ITEMS):
        await queue.put(i)
    await task


def insert(after, expired):
    loop = asyncio.get_running_loop()
    begun = time.process_time()
    handles = [
        loop.call_later(after + 0.001 + random.randrange(1000000) / 1e6, expired)
        for _ in range(TIMERS)
    ]
    return handles, (time.process_time() - begun) * 1e9 / TIMERS


async def timers():
    if prefixes and not "timers".startswith(prefixes):
        return
    random.seed(1)
    n_expired = 0
    all_expired = asyncio.Event()

    def expired():
        nonlocal n_expired
        n_expired += 1
        if n_expired == TIMERS:
            all_expired.set()

    handles, ns = insert(60, expired)
    report("timers/insert", ns, "ns")
    random.shuffle(handles)
    begun = time.process_time()
    for handle in handles:
        handle.cancel()
    # Cancelled ones are swept out in the next turn; that is a part of what cancelling costs.
    await asyncio.sleep(0)
    report("timers/cancel", (time.process_time() - begun) * 1e9 / TIMERS, "ns")
    handles, _ = insert(0, expired)
    time.sleep(1.1)
    begun = time.process_time()
    await all_expired.wait()
    report("timers/expire", (time.process_time() - begun) * 1e9 / TIMERS, "ns")


def status_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        words = dict(line.split(":", 1) for line in status)
    return 1024 * (int(words["VmRSS"].split()[0]) + int(words["VmPTE"].split()[0]))


async def sleepers():
    if prefixes and not "sleepers".startswith(prefixes):
        return
    tasks = [None] * SLEEPERS
    before = status_bytes()
    begun = time.process_time()
    for i in range(SLEEPERS):
        tasks[i] = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    report("sleepers/bytes", (status_bytes() - before) / SLEEPERS, "B")
    for task in tasks:
        task.cancel()
    for task in tasks:
        try:
            await task
        except asyncio.CancelledError:
            pass
    report("sleepers/cpu", time.process_time() - begun, "s")


async def main():
    for n in (2, 100, 1000, 10000):
        await measure(f"switch/{n}", SWITCHES, switching, n)
    for n in (1, 1000):
        await measure(f"spawn/{n}", SPAWNS, spawning, n)
    await measure("queue/round-trip", TRIPS, round_trips)
    for n in (1, 100):
        await measure(f"queue/one-way/{n}", ITEMS, one_way, n)
    await timers()
    await sleepers()


if "--uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(main())
