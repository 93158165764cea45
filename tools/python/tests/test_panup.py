"""The installed wheel against the emulator, whose program is named by PANUP_EMULATOR."""

import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

import panup

QUIET = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


class Emulator:
    def __init__(self, *more):
        command = [os.environ["PANUP_EMULATOR"], "--token", "tok", "--polls", "0", "--discard", *more]
        self.process = subprocess.Popen(command, **QUIET)
        line = next(line for line in self.process.stdout if "http://" in line)
        self.api = "http://" + line.split("http://")[1].split()[0].rstrip("/,")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def files(self):
        with urllib.request.urlopen(self.api + "/_emulator/files") as answer:
            return {file["path"]: file for file in json.load(answer)}


class Panup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name, size):
        path = self.folder / name
        path.write_bytes(os.urandom(size))
        return path

    def test_paths_and_bytes(self):
        path, seen = self.file("a.bin", 300_000), []
        with Emulator() as emulator:
            outcomes = panup.upload(
                [path, ("b/c.txt", b"contents"), ("d.bin", str(path))],
                dest="x", token="tok", api=emulator.api, progress=seen.append,
            )
            files = emulator.files()
        self.assertEqual({o.status for o in outcomes} - {"uploaded", "reused"}, set())
        self.assertEqual(sorted(files), ["x/a.bin", "x/b/c.txt", "x/d.bin"])
        by_name = {o.remote: o for o in outcomes}
        self.assertEqual(by_name["x/a.bin"].md5, hashlib.md5(path.read_bytes()).hexdigest())
        self.assertEqual(files["x/b/c.txt"]["size"], 8)
        self.assertEqual((seen[-1].files, seen[-1].files_done), (3, 3))

    def test_one_and_errors(self):
        calls = []
        with Emulator() as emulator:
            def token(refused):
                calls.append(refused)
                return "tok"

            (one,) = panup.upload(self.file("f", 10), token=token, api=emulator.api)
            self.assertIsInstance(one.file_id, int)
            self.assertEqual(calls, [False])
            with self.assertRaises(panup.Error) as raised:
                panup.upload([self.folder / "none", ("g", b"g")], token="tok", api=emulator.api)
            self.assertEqual(raised.exception.kind, "source")
            ends = {o.remote: o.status for o in raised.exception.outcomes}
            self.assertEqual(ends, {"none": "failed", "g": "uploaded"})
            ends = panup.upload(self.folder / "none", token="tok", api=emulator.api, raise_errors=False)
            self.assertEqual(ends[0].error.kind, "source")
            with self.assertRaises(panup.Error) as raised:
                panup.upload(("h", b"h"), token="wrong", api=emulator.api)
            self.assertEqual(raised.exception.kind, "auth")

            def broken(_):
                raise RuntimeError("no vault")

            with self.assertRaisesRegex(panup.Error, "no vault"):
                panup.upload(("h", b"h"), token=broken, api=emulator.api)
            with self.assertRaises(ZeroDivisionError):
                panup.upload(("i", b"i"), token="tok", api=emulator.api, progress=lambda _: 1 / 0)
        for wrong in [{"on_conflict": "x"}, {"dest": "a:b"}, {"token": "t", "client": ("a", "b")}]:
            with self.assertRaises((ValueError, TypeError, panup.Error)):
                panup.upload("f", **{"token": "t", **wrong})

    def test_hash(self):
        paths = [self.file(f"f{n}", n * 1000) for n in range(5)]
        sums = panup.hash(paths)
        self.assertEqual(sums, {p: hashlib.md5(p.read_bytes()).hexdigest() for p in paths})
        with self.assertRaises(panup.Error):
            panup.hash([self.folder / "none"])

    def test_other_threads_run_meanwhile(self):
        counted, over = [], threading.Event()

        def count():
            while not over.wait(0.001):
                counted.append(1)

        thread = threading.Thread(target=count)
        with Emulator() as emulator:
            thread.start()
            # About a second at this rate, all of it in one call.
            panup.upload(("f", os.urandom(1 << 20)), token="tok", api=emulator.api, limit_rate=1 << 20)
            ran = len(counted)
        over.set()
        thread.join()
        self.assertGreater(ran, 20)

    def test_an_interrupt_is_raised_and_the_next_run_goes_on(self):
        path, state = self.file("big", 24 << 20), self.folder / "state"
        with Emulator("--slice-size", "1M") as emulator:
            options = {"token": "tok", "api": emulator.api, "state_dir": state, "concurrency": 1}

            def interrupt(now):
                if now.acked >= 3 << 20:
                    os.kill(os.getpid(), signal.SIGINT)

            with self.assertRaises(KeyboardInterrupt):
                panup.upload(path, limit_rate=8 << 20, progress=interrupt, interval=0, **options)
            self.assertEqual(emulator.files(), {})
            (again,) = panup.upload(path, **options)
            self.assertEqual(again.status, "uploaded")
            self.assertLess(again.sent, 22 << 20)
            self.assertEqual(emulator.files()["big"]["size"], 24 << 20)


if __name__ == "__main__":
    unittest.main()
