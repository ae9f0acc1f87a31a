//! What logs say, in the words of the programs that say it.

use towline_core::job::Outcome;

use crate::support::{assert_says, code, job_ended, log, why};

/// A line as its program prints it, what it is taken for, and a word of the advice.
const LINES: [(&str, &str, &str); 34] = [
    ("ModuleNotFoundError: No module named 'vllm'", "a Python module is missing", "--setup"),
    ("ImportError: No module named torch", "a Python module is missing", "--setup"),
    ("/usr/bin/python3: No module named uvicorn", "a Python module is missing", "--setup"),
    ("job.sh: line 4: module: command not found", "environment modules are not set up", "/etc/profile.d"),
    (
        "ModuleCmd_Load.c(213):ERROR:105: Unable to locate a modulefile for 'cuda/99'",
        "an environment module is missing",
        "module avail",
    ),
    (
        "ERROR: Unable to locate a modulefile for 'cuda/99'",
        "an environment module is missing",
        "module avail",
    ),
    (
        "Lmod has detected the following error:  The following module(s) are unknown: \"cuda/99\"",
        "an environment module is missing",
        "module spider",
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "the GPU's memory is used up",
        "--gres",
    ),
    ("CUDA error: CUDA_ERROR_OUT_OF_MEMORY", "the GPU's memory is used up", "--gres"),
    (
        "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory",
        "the GPU's memory is used up",
        "--gres",
    ),
    ("RuntimeError: No CUDA GPUs are available", "there is no GPU", "--gpus"),
    ("OSError: [Errno 98] Address already in use", "its port is in use", "$PORT"),
    ("Error: listen EADDRINUSE: address already in use :::8000", "its port is in use", "$PORT"),
    (
        "[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
        "its port is in use",
        "{port}",
    ),
    (
        "slurmstepd: error: Detected 1 oom_kill event in StepId=296.batch. Some of the step tasks have been OOM Killed.",
        "the memory that it may use on its node is used up",
        "--mem",
    ),
    ("MemoryError", "the memory that it may use on its node is used up", "--mem"),
    (
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "the memory that it may use on its node is used up",
        "--mem",
    ),
    (
        "OSError: [Errno 12] Cannot allocate memory",
        "the memory that it may use on its node is used up",
        "--mem",
    ),
    ("OSError: [Errno 122] Disk quota exceeded: '/home/a/.cache'", "your disk quota is used up", "HF_HOME"),
    ("OSError: [Errno 28] No space left on device", "a file system is full", "TMPDIR"),
    (
        "./serve: error while loading shared libraries: libcudart.so.12: cannot open shared object file: No such file or directory",
        "a shared library is missing",
        "module load",
    ),
    (
        "./serve: /lib/libm.so.6: version `GLIBC_2.38' not found (required by ./serve)",
        "a shared library is missing",
        "module load",
    ),
    (
        "FATAL:   While checking container encryption: could not open image /images/a.sif: failed to retrieve path for \
         /images/a.sif: lstat /images: no such file or directory",
        "the image of its container is not there",
        "towline image add",
    ),
    (
        "FATAL:   Unable to handle docker://ghcr.io/x/y:1 uri: failed to get checksum for docker://ghcr.io/x/y:1: \
         pinging container registry ghcr.io: dial tcp: network is unreachable",
        "the image of its container could not be fetched",
        "towline image add",
    ),
    (
        "FATAL:   container creation failed: mount hook function failure: mount /nonesuch->/x error: while mounting \
         /nonesuch: mount source /nonesuch doesn't exist",
        "its container could not be made",
        "mounted",
    ),
    ("bash: serve: command not found", "a command was not found", "PATH"),
    ("sh: 1: serve: not found", "a command was not found", "PATH"),
    ("exec: \"serve\": executable file not found in $PATH", "a command was not found", "PATH"),
    ("job.sh: line 3: ./serve: Permission denied", "a permission is missing", "ls -l"),
    ("PermissionError: [Errno 13] Permission denied: '/data'", "a permission is missing", "ls -l"),
    ("job.sh: line 3: /no/such/program: No such file or directory", "a file is missing", "--chdir"),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'model.gguf'", "a file is missing", "--chdir"),
    ("job.sh: line 9: 4711 Killed                  python3 serve.py", "it was killed", "--mem"),
    ("towline: the command was ended by signal 9", "it was killed", "--mem"),
];

#[test]
fn known_words_are_understood_among_others() {
    for (line, meaning, advice) in LINES {
        let text = format!("INFO: loading\n{line}\nINFO: bye\ntowline: the command ended with exit code 1\n");
        let told = why(&job_ended(Outcome::Failed, code(1)), &log(&text));
        assert_says(&told.sentence, &[&format!("its log says that {meaning}")]);
        assert_says(&told.advice, &[advice]);
        assert_eq!(told.log.len(), 4, "{line}");
    }
}

#[test]
fn a_telling_line_is_preferred_to_what_follows_from_it() {
    let text =
        "Traceback\nModuleNotFoundError: No module named 'x'\ncat: y: No such file or directory\nKilled\n";
    let told = why(&job_ended(Outcome::Failed, code(1)), &log(text));
    assert_says(&told.sentence, &["a Python module is missing"]);
}

#[test]
fn a_log_without_such_words_leaves_the_exit_code() {
    let told = why(&job_ended(Outcome::Failed, code(3)), &log("about to fail\n"));
    assert_eq!(told.sentence, "service web ended as FAILED: the job failed (exit code 3)");
    assert_eq!(told.advice, "`towline logs web` prints all of its output");
    let told = why(&job_ended(Outcome::Failed, code(126)), &log("\n"));
    assert_says(&told.sentence, &["(exit code 126): a command could not be executed"]);
}
