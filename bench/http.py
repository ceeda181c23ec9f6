#!/usr/bin/env python3
"""HTTP servers beside each other: requests per second of the server's processor time.

The server runs on processor 0, wrk on processor 1. Rounds of all servers take turns, so that what
else the machine does hits all of them; the median of the rounds counts. Server time is read from
/proc, user and system.

    http.py [--rounds 3] [--seconds 2] [--build build/release] [SERVER...]
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
PIPELINE = """
init = function(args)
    local one, all = wrk.format("GET", nil), {}
    for i = 1, 16 do all[i] = one end
    request_text = table.concat(all)
end
request = function() return request_text end
"""
NGINX = """
worker_processes 1; master_process off; daemon off; pid {folder}/pid; error_log stderr emerg;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {folder};
    proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location /text {{ default_type text/plain; return 200 "Hello, World!"; }}
        location /json {{ default_type application/json;
                          return 200 '{{"message":"Hello, World!"}}'; }}
    }}
}}
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    def __init__(self, command, env=None, port=None):
        self.process = subprocess.Popen(["taskset", "-c", "0"] + command, stdout=subprocess.PIPE,
                                        env={**os.environ, **(env or {})}, text=True)
        self.port = port or int(self.process.stdout.readline())
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"{command[0]} does not listen")

    def seconds(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text[text.rindex(")") + 2:].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def end(self):
        self.process.terminate()
        self.process.wait()


def start(name, build, folder):
    if name.startswith("bide-"):
        return Server([f"{build}/bench/http_server"], env={"BIDE_ENGINE": name[5:]})
    if name == "raw":
        return Server([f"{build}/bench/raw_epoll_http"])
    if name == "nginx":
        port = free_port()
        config = pathlib.Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port))
        return Server([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config), "-p", folder],
                      port=port)
    binary = f"{folder}/go_server"
    if not os.path.exists(binary):
        go = shutil.which("go") or "/usr/local/go/bin/go"
        subprocess.run([go, "build", "-o", binary, str(HERE / "http_server.go")], check=True)
    return Server([binary])


def measure(server, path, connections, seconds, script):
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
               f"http://127.0.0.1:{server.port}{path}"]
    if script:
        command[4:4] = ["-s", script]
    before = server.seconds()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = server.seconds() - before
    bad = re.search(r"Non-2xx.*|Socket errors:.*", said)
    if bad:
        print(f"    {bad[0]}")
    return int(re.search(r"(\d+) requests in", said)[1]) / used


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--build", default=str(HERE.parent / "build/release"))
    parser.add_argument("servers", nargs="*",
                        default=["bide-epoll", "bide-uring", "raw", "nginx", "go"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        script = f"{folder}/pipeline.lua"
        pathlib.Path(script).write_text(PIPELINE)
        servers = {name: start(name, args.build, folder) for name in args.servers}
        try:
            for path, connections, pipelined in (("/text", 64, False), ("/text", 512, False),
                                                 ("/json", 64, False), ("/json", 512, False),
                                                 ("/text", 64, True), ("/text", 512, True)):
                figures = {name: [] for name in servers}
                for _ in range(args.rounds):
                    for name, server in servers.items():
                        figures[name].append(measure(server, path, connections, args.seconds,
                                                     script if pipelined else None))
                middle = {name: statistics.median(all_) for name, all_ in figures.items()}
                best = middle.get("bide-epoll") or next(iter(middle.values()))
                print(f"{path} {connections} connections{', 16 pipelined' if pipelined else ''}")
                for name, figure in middle.items():
                    print(f"    {name:12}{figure:12,.0f} a second    bide-epoll / it = "
                          f"{best / figure:.2f}", flush=True)
        finally:
            for server in servers.values():
                server.end()


if __name__ == "__main__":
    main()
