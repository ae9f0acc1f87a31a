use std::time::Duration;

use towline_core::container::Mount;
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::spec::{Bind, Secret};

use super::*;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn spec(container: ContainerConfig) -> ServiceSpec {
    ServiceSpec {
        name: "web".parse().unwrap(),
        profile: "local".into(),
        command: ["serve", "--at={host}:{port}", "$(id)"].map(String::from).to_vec(),
        setup: Vec::new(),
        env: [("KEY", "hush"), ("PATH", "/opt/bin"), ("LINES_OF", "a\nb")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        secret: None,
        chdir: None,
        container: Some(Box::new(container)),
        bind: Bind::All,
        health: "/".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(1),
        resources: Resources::default(),
    }
}

fn words(spec: &ServiceSpec) -> Vec<String> {
    let container = spec.container.as_ref().unwrap();
    derived(Path::new("/d"), ID.parse().unwrap(), spec, container).unwrap().command
}

fn has(words: &[String], run: &[&str]) -> bool {
    words.windows(run.len()).any(|window| window == run)
}

#[test]
fn a_container_is_found_again_and_listens_on_loopback_alone() {
    let spec = spec(ContainerConfig::new("podman", "x:1"));
    let words = words(&spec);
    let name = format!("towline-{ID}");
    assert_eq!(words[..7], ["bash", "/d/container.sh", "/d", "podman", &name, "{port}", "bridge"]);
    assert!(has(&words, &["--name", &name]) && has(&words, &["--cidfile", "/d/container.id"]), "{words:?}");
    assert!(has(&words, &["--label", &format!("towline.service={ID}")]), "{words:?}");
    assert!(has(&words, &["--publish", "127.0.0.1:{port}:{port}/tcp"]), "{words:?}");
    assert!(has(&words, &["--env", "HOST=0.0.0.0"]), "{words:?}");
    assert_eq!(words[words.len() - 5..], ["--entrypoint", "serve", "x:1", "--at=0.0.0.0:{port}", "$(id)"]);
}

#[test]
fn in_the_network_of_its_host_it_is_told_the_host_of_the_job() {
    let mut container = ContainerConfig::new("docker", "x:1");
    container.network = Network::Host;
    let words = words(&spec(container));
    assert!(has(&words, &["--network", "host"]) && has(&words, &["--env", "HOST"]), "{words:?}");
    assert!(!words.iter().any(|word| word == "--publish"), "{words:?}");
    assert!(words.contains(&"--at={host}:{port}".to_owned()), "{words:?}");
}

#[test]
fn values_of_variables_are_no_words() {
    let spec = spec(ContainerConfig::new("podman", "x:1"));
    let container = spec.container.as_ref().unwrap();
    let derived = derived(Path::new("/d"), ID.parse().unwrap(), &spec, container).unwrap();
    assert!(!format!("{:?}", derived.command).contains("hush"), "{:?}", derived.command);
    for name in ["KEY", "LINES_OF", "PORT", "TOWLINE_SERVICE"] {
        assert!(has(&derived.command, &["--env", name]), "{name}");
    }
    // What would change the engine's own program comes in a file.
    assert!(!derived.env.contains_key("PATH") && !has(&derived.command, &["--env", "PATH"]));
    assert_eq!(env_file(&spec), "PATH=/opt/bin\n");
    assert_eq!(check(&spec), Ok(()));
    let mut two_lines = spec.clone();
    two_lines.env.insert("LD_PRELOAD".into(), "a\nKEY=b".into());
    assert_eq!(check(&two_lines).unwrap_err().field, "env");
}

#[test]
fn a_key_in_a_file_is_mounted_and_no_variable() {
    let mut spec = spec(ContainerConfig::new("docker", "x:1"));
    spec.secret = Some(Secret { env: "KEY".into(), in_file: true });
    let words = words(&spec);
    assert!(has(&words, &["--mount", "type=bind,source=/d/secret,target=/d/secret,readonly"]), "{words:?}");
    assert!(!has(&words, &["--env", "KEY"]), "{words:?}");
}

#[test]
fn all_that_is_said_is_asked_for() {
    let mut container = ContainerConfig::new("docker", "x:1");
    container.mounts = vec![Mount { source: "/a:b c".into(), target: "/m".into(), read_only: false }];
    container.workdir = Some("/m".into());
    container.user_namespace = Some("host".into());
    container.gpus = Some(Gpus::Count(2));
    let of_docker = words(&spec(container.clone()));
    assert!(has(&of_docker, &["--mount", "type=bind,source=/a:b c,target=/m"]), "{of_docker:?}");
    assert!(has(&of_docker, &["--workdir", "/m", "--gpus", "2", "--userns", "host"]), "{of_docker:?}");
    container.engine = "podman".into();
    let of_podman = words(&spec(container));
    let devices = ["--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=1"];
    assert!(has(&of_podman, &devices), "{of_podman:?}");
}

#[test]
fn what_no_engine_here_can_take_is_refused() {
    let field = |change: fn(&mut ContainerConfig)| {
        let mut container = ContainerConfig::new("podman", "x:1");
        change(&mut container);
        check(&spec(container)).unwrap_err().field
    };
    assert_eq!(field(|c| c.engine = "apptainer".into()), "container");
    assert_eq!(field(|c| c.image = "/images/x.sif".into()), "image");
    assert_eq!(field(|c| c.image = "docker://x".into()), "image");
    assert_eq!(field(|c| c.image = "a b".into()), "image");
    let mount = |c: &mut ContainerConfig| {
        c.mounts.push(Mount { source: "/a,ro".into(), target: "/a".into(), read_only: false });
    };
    assert_eq!(field(mount), "mount");
}
