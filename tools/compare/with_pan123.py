"""Uploads the files of a folder one by one with pan123, a client of this service from PyPI, and prints what that took.

pan123 speaks the older interface (/upload/v1, a presigned address for each part), which the emulator does not have.
So a stand-in answers here, in a process of its own, at once and always well: it takes no time that is the client's.

    python pan123.py FOLDER
"""

import asyncio
import json
import multiprocessing
import pathlib
import resource
import sys
import time

from pan123 import Pan123

SLICE = 16 << 20


async def serve(reader, writer):
    """One connection of the stand-in: every request is answered, no body is kept."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            request, *lines = head.decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines if line)
            await reader.readexactly(int(fields.get("content-length", 0)))
            data = {"reuse": False, "preuploadID": "p", "sliceSize": SLICE, "completed": True, "async": False}
            data["presignedURL"] = f"http://{fields['host']}/part"
            body = json.dumps({"code": 0, "message": "ok", "data": data}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def stand_in(port):
    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def main(folder):
    paths = sorted(str(path) for path in pathlib.Path(folder).rglob("*") if path.is_file())
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=stand_in, args=(there,), daemon=True)
    server.start()
    api = f"http://127.0.0.1:{here.recv()}"
    files = Pan123("token", base_url=api).file
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    for path in paths:
        files.upload(0, path)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(f"pan123: {len(paths)} files, {time.monotonic() - began:.2f} s, {cpu / len(paths) * 1e6:.0f} µs of CPU a file")
    server.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
