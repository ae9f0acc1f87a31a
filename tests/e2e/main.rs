//! End-to-end stories: the real command on a real Slurm cluster (`tests/cluster/up`), those of `servers` with
//! real models (`tests/servers/install`).
//!
//! Each story has a [`harness::Lab`] of its own: a fresh home on this machine and on the cluster.

#![expect(clippy::unwrap_used, reason = "a story ends where it finds something else than it expects")]

mod absence;
mod allotted_time;
mod apptainer;
mod bad_ledger;
mod bad_logins;
mod bad_services;
mod bad_words;
mod crash_points;
mod diagnosis;
mod doctor;
mod doubt;
mod faults_jobs;
mod faults_login;
mod faults_nodes;
mod faults_slow;
mod faults_slurm;
mod harness;
mod heal_job;
mod heal_link;
mod heal_machine;
mod healing;
mod interrupt;
mod keep;
mod keys;
mod lifecycle;
mod llama_server;
mod login_node;
mod main_job;
mod scheduler_contract;
mod second_factor;
mod servers;
mod service_files;
mod settling;
mod sharing;
mod slurm_options;
mod staged;
#[path = "../storm.rs"]
mod storm;
mod storms;
mod terminal;
mod via_node;
mod why;

#[test]
fn no_file_is_forgotten() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e");
    let declared = include_str!("main.rs");
    for entry in dir.read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || declared.contains(&format!("\nmod {module};\n")), "{name}");
    }
}
