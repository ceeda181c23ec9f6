#!/usr/bin/env python3
"""The HTTP client beside aiohttp and Python's threads and processes: 500 and 10,000 requests for a
small text in JSON, all begun at once, over at most 100 connections, to one nginx on loopback.

The argument is the build directory. Each figure is the median of interleaved rounds, in seconds and
requests per second, without the start of the programs; the server has one process and shares the
machine with the clients. What is not installed is left out.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
CONNECTIONS = 100
REQUESTS = (500, 10_000)

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/json; return 200 '{{"id": 1, "name": "item"}}'; }} }}
}}
"""

AIOHTTP = """
import asyncio, sys, time
import aiohttp

async def fetch(session, url):
    async with session.get(url) as response:
        await response.json()
        return response.status

async def main(url, n, connections):
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        begin = time.perf_counter()
        statuses = await asyncio.gather(*[fetch(session, url) for _ in range(n)])
        seconds = time.perf_counter() - begin
    assert all(status == 200 for status in statuses)
    print(seconds)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""

POOLS = """
import concurrent.futures, http.client, json, os, sys, threading, time, urllib.parse

kept = threading.local()

def fetch(url):
    parts = urllib.parse.urlsplit(url)
    if not hasattr(kept, "connection"):
        kept.connection = http.client.HTTPConnection(parts.netloc)
    kept.connection.request("GET", parts.path or "/")
    response = kept.connection.getresponse()
    json.loads(response.read())
    return response.status

if __name__ == "__main__":
    kind, url, n, connections = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if kind == "threads":
        pool = concurrent.futures.ThreadPoolExecutor(connections)
        chunk = 1
    else:
        pool = concurrent.futures.ProcessPoolExecutor(os.cpu_count())
        chunk = 10
    with pool:
        begin = time.perf_counter()
        statuses = list(pool.map(fetch, [url] * n, chunksize=chunk))
        seconds = time.perf_counter() - begin
    assert all(status == 200 for status in statuses)
    print(seconds)
"""


@contextlib.contextmanager
def nginx(folder):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    process = subprocess.Popen([program, "-e", f"{folder}/log", "-c", str(config)])
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def clients(build, folder):
    system = "/usr/bin/python3"
    (folder / "aio.py").write_text(AIOHTTP)
    (folder / "pools.py").write_text(POOLS)
    all_of_them = {"bide": [str(build / "bench" / "http_client")]}
    with contextlib.suppress(OSError):
        found = subprocess.run([system, "-c", "import aiohttp"], stderr=subprocess.DEVNULL)
        if found.returncode == 0:
            all_of_them["aiohttp"] = [system, str(folder / "aio.py")]
    for kind in ("threads", "processes"):
        all_of_them[kind] = [sys.executable, str(folder / "pools.py"), kind]
    return all_of_them


def main():
    build = pathlib.Path(sys.argv[1])
    if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        print("nginx is not installed")
        return
    with tempfile.TemporaryDirectory() as name, nginx(pathlib.Path(name)) as url:
        for n in REQUESTS:
            times = {}
            for _ in range(ROUNDS):
                for client, command in clients(build, pathlib.Path(name)).items():
                    done = subprocess.run(
                        [*command, url, str(n), str(CONNECTIONS)],
                        stdout=subprocess.PIPE,
                        text=True,
                        check=True,
                    )
                    times.setdefault(client, []).append(float(done.stdout))
            print(f"{n} requests")
            for client, all_times in times.items():
                seconds = statistics.median(all_times)
                print(f"  {client:10} {seconds:9.4f} s {n / seconds:10.0f}/s")


main()
