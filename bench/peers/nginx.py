"""nginx with a fixed answer, as its manual would have it, in one process.

    nginx.py NGINX FOLDER

Says a free port, then becomes nginx.
"""

import os
import pathlib
import socket
import sys

CONFIG = """
worker_processes 1; master_process off; daemon off; pid {folder}/nginx.pid; error_log stderr emerg;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {folder};
    proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /text {{ default_type text/plain; return 200 "Hello, World!"; }}
    }}
}}
"""


def main():
    nginx, folder = sys.argv[1:]
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    config = pathlib.Path(folder) / f"nginx-{port}.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    print(port, flush=True)
    os.execv(nginx, [nginx, "-e", "stderr", "-p", folder, "-c", str(config)])


main()
