"""A Python that has imported torch and scikit-learn already, which takes each new process of the tests three seconds.

python warm_python.py serve SOCKET PROGRAM: imports them once and forks a process for each request, until its input
ends. PROGRAM is what asks it, and stands for Python in the processes too, so that theirs are forked as well.
python warm_python.py ask SOCKET ARGUMENT...: is what `python ARGUMENT...` would be, with this program's streams,
working directory and environment; it takes signals, and ends as that process does, which SIGKILL ends a moment later.
skal is imported anew in each; what Python and torch read when they start (OMP_NUM_THREADS, PYTHONHASHSEED, LC_ALL) is
as in the process that serves.
"""

import json
import os
import signal
import socket
import sys

IMPORTED = (
    "torch", "sklearn.base", "sklearn.decomposition", "sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics",
    "sklearn.model_selection", "sklearn.neighbors", "sklearn.utils.validation", "torch.utils.data", "PIL.Image",
)  # fmt: skip
_N_BYTES = 2**20


def ask(address, arguments):
    """Have it run elsewhere; returns never."""
    request = {"arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ)}
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _N_BYTES)
    connection.connect(address)
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    process = int(connection.recv(64))
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: os.kill(process, number))
    status = int(connection.recv(64))
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def serve(address):
    """Fork a process for each request; returns in each of them, with the request."""
    import contextlib
    import gc
    import importlib
    import selectors

    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or each process would copy what it looks through
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address)
    listening.listen()
    os.write(1, b"ready\n")
    watched, running = selectors.DefaultSelector(), {}  # pidfd: (process, connection)
    watched.register(0, selectors.EVENT_READ, "input")
    watched.register(listening, selectors.EVENT_READ, "request")

    def forget(descriptor):
        process, connection = running.pop(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        watched.unregister(descriptor)
        watched.unregister(connection)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # whoever asked was killed
            connection.send(b"%d" % status)
        connection.close()

    while True:
        for key, _ in watched.select():
            if key.data == "input":
                for descriptor in running:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                os._exit(0)
            elif key.data == "request":
                connection, _ = listening.accept()
                content, streams, _, _ = socket.recv_fds(connection, _N_BYTES, 3)
                process = os.fork()
                if not process:
                    for each in (watched, listening, connection, *(pair[1] for pair in running.values())):
                        each.close()
                    for descriptor in running:
                        os.close(descriptor)
                    return json.loads(content), streams
                for stream in streams:
                    os.close(stream)
                descriptor = os.pidfd_open(process)
                running[descriptor] = process, connection
                watched.register(descriptor, selectors.EVENT_READ, "ended")
                watched.register(connection, selectors.EVENT_READ, descriptor)
                connection.send(b"%d" % process)
            elif key.data == "ended":
                if key.fd in running:
                    forget(key.fd)
            elif key.data in running:  # nothing more is asked on a connection: it was closed
                signal.pidfd_send_signal(key.data, signal.SIGKILL)
                forget(key.data)


def become(request, streams, program):
    """Be what was asked for, up to its first line; gives the function that runs it."""
    import runpy
    import types

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.executable = program
    encoding = os.environ.get("PYTHONIOENCODING")
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        errors = "backslashreplace" if name == "stderr" else "strict"
        buffering = 1 if name == "stderr" else -1
        opened = open(number, mode, encoding=encoding, errors=errors, buffering=buffering, closefd=False)  # noqa: SIM115
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    arguments, first = request["arguments"], [""]
    if arguments[0] == "-P":
        arguments, first = arguments[1:], []
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    kind, *rest = arguments
    if kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        sys.path[:0] = first
        return lambda: exec(compile(rest[0], "<string>", "exec"), vars(main))  # noqa: S102
    if kind == "-m":
        sys.argv = rest
        sys.path[:0] = [os.getcwd()] if first else []
        return lambda: runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    sys.argv = arguments
    sys.path[:0] = [os.path.dirname(os.path.abspath(kind))] if first else []
    return lambda: runpy.run_path(kind, run_name="__main__")


def run_to_the_end(main):
    """Run it and end the process as Python does, but for taking apart what was imported, which takes a second."""
    import atexit
    import threading
    import traceback

    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)  # noqa: T201
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(sys.argv[2], sys.argv[3:])
    run_to_the_end(become(*serve(sys.argv[2]), sys.argv[3]))
