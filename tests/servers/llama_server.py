"""llama.cpp's own server, which PyPI has as a library (xllamacpp), with the options of its program llama-server."""

import argparse
import os
import pathlib
import signal
import sys
import threading

import xllamacpp


def arguments():
    parser = argparse.ArgumentParser(prog="llama-server", description=__doc__, allow_abbrev=False)
    parser.add_argument("-m", "--model", required=True, type=pathlib.Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("-a", "--alias")
    parser.add_argument("-c", "--ctx-size", type=int, default=0)
    parser.add_argument("-np", "--parallel", type=int, default=1)
    parser.add_argument("-t", "--threads", type=int, default=-1)
    parser.add_argument("-ngl", "--n-gpu-layers", type=int, default=-1)
    parser.add_argument("--offline", action="store_true")
    return parser.parse_args()


def parameters(options):
    result = xllamacpp.CommonParams()
    result.model.path = str(options.model)
    result.hostnames = [options.host]
    result.port = options.port
    result.n_ctx = options.ctx_size
    result.n_parallel = options.parallel
    result.n_gpu_layers = options.n_gpu_layers
    result.cpuparams.n_threads = result.cpuparams_batch.n_threads = options.threads
    result.offline = options.offline
    if options.alias:
        result.model_alias = {options.alias}
    if key := os.environ.get("LLAMA_API_KEY"):
        result.api_keys = key.split(",")
    return result


def serve(options, keep):
    try:
        keep.append(xllamacpp.Server(parameters(options)))
    except BaseException as error:
        print(f"llama-server: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    print("the model is loaded", flush=True)


def main():
    options = arguments()
    # Blocked before there are threads, so that this one alone takes them, also while the model is loaded.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    # The server ends when nobody holds it any more.
    keep = []
    threading.Thread(target=serve, args=(options, keep), daemon=True).start()
    signal.sigwait(ends)
    os._exit(0)


if __name__ == "__main__":
    main()
