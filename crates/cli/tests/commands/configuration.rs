//! The configuration, the profiles, and what is generated from the command line's definition.

use std::os::unix::fs::PermissionsExt;

use crate::world::World;

const FILE: &str = ".config/towline/config.toml";

#[test]
fn profiles_come_and_go() {
    let world = World::new();
    let names = |world: &World| -> Vec<String> {
        let listed = world.run(&["profile", "ls", "--json"]).exits(0).json();
        listed.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&world), ["local"]);
    let ssh_config = world.write("ssh_config", "");
    world
        .run(&[
            "profile",
            "add",
            "lab",
            "--host",
            "login",
            "--user",
            "alice",
            "--account",
            "12345",
            "--ssh-config",
        ])
        .exits(2);
    let args = [
        "profile",
        "add",
        "lab",
        "--host",
        "login",
        "--user",
        "alice",
        "--home",
        "~/.towline",
        "--account",
        "12345",
    ];
    world.run(&[&args[..], &["--ssh-config", ssh_config.to_str().unwrap()]].concat()).exits(0);
    assert_eq!(world.path(FILE).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&world), ["lab", "local"]);
    let shown = world.run(&["profile", "show", "lab"]).exits(0).stdout;
    assert!(shown.contains("12345") && shown.contains("ssh_config") && shown.contains("file /"), "{shown}");

    world.run(&["profile", "add", "lab", "--host", "other"]).exits(7).says(&["a profile lab already"]);
    world.run(&["profile", "add", "local", "--host", "other"]).exits(5).says(&["built in"]);
    world.run(&["profile", "add", "a b", "--host", "other"]).exits(2).says(&["not a profile's name"]);
    world.run(&["profile", "add", "x", "--host", "-oProxyCommand=id"]).exits(2);
    world.run(&["profile", "add", "x"]).exits(2).says(&["--host"]);
    world.run(&["profile", "show", "lba"]).exits(4).says(&["did you mean lab?"]);

    world.run(&["profile", "default", "lab"]).exits(0);
    assert_eq!(world.run(&["profile", "default"]).exits(0).stdout, "lab\n");
    world.run(&["profile", "rm", "lab"]).exits(0);
    assert_eq!(world.run(&["profile", "default"]).exits(0).stdout, "local\n");
    world.run(&["profile", "rm", "lab"]).exits(4);
    world.run(&["profile", "rm", "local"]).exits(5);
}

#[test]
fn a_profile_in_use_is_not_removed() {
    let world = World::new();
    world.write(FILE, "default_profile = 'box'\n\n[profiles.box] # mine\nkind = 'local'\n");
    world.serve("web");
    assert_eq!(world.list(&[])[0]["profile"], "box");
    world.run(&["profile", "rm", "box"]).exits(5).says(&["service web of profile box", "towline stop web"]);
    world.run(&["stop", "web"]).exits(0);
    world.run(&["profile", "rm", "box"]).exits(0);
    world.run(&["rm", "web"]).exits(4).says(&["there is no profile box", "--keep-files"]);
    world.run(&["rm", "--keep-files", "web"]).exits(0);
}

#[test]
fn values_come_from_four_layers() {
    let world = World::new();
    let toml =
        "[profiles.lab]\nkind = 'slurm'\nhost = 'login'\npartition = 'cpu'\nsetup = ['module load a']\n";
    world.write(FILE, toml);
    let vars = [("TOWLINE_PROFILES__LAB__PARTITION", "gpu"), ("TOWLINE_DEFAULT_PROFILE", "lab")];
    let shown = world.run_with(&vars, &["config", "show", "--json"]).exits(0).json();
    let origin = |key: &str| {
        let setting = shown.as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap();
        format!("{} {}", setting["value"].as_str().unwrap(), setting["origin"].as_str().unwrap())
    };
    assert_eq!(origin("profiles.local.kind"), "local built in");
    assert!(origin("profiles.lab.host").starts_with("login file "));
    assert_eq!(origin("profiles.lab.partition"), "gpu environment variable TOWLINE_PROFILES__LAB__PARTITION");

    let dry = ["run", "--dry-run", "--time", "10", "--setup", "module load b", "--", "serve", "{port}"];
    let script = world.run_with(&vars, &dry).exits(0).stdout;
    for line in ["#SBATCH --partition=gpu", "#SBATCH --time=10", "module load a", "module load b"] {
        assert!(script.contains(line), "no {line:?} in {script}");
    }
    let script =
        world.run_with(&vars, &[&dry[..2], &["--partition=big"], &dry[2..]].concat()).exits(0).stdout;
    assert!(script.contains("--partition=big") && !script.contains("gpu"), "the command line wins");
}

#[test]
fn a_profile_with_values_that_no_service_could_use_is_not_added() {
    let world = World::new();
    for (option, value, word) in [
        ("--time", "soon", "bad time"),
        ("--health", "health", "bad health"),
        ("--grace", "0", "bad grace"),
        ("--mem", "lots", "bad mem"),
        ("--sbatch-arg", "--wrap=id", "--wrap"),
        ("--env", "1A=hush", "bad env"),
        ("--home", "a\tb", "--home"),
    ] {
        let ran = world.run(&["profile", "add", "lab", "--host", "login", option, value]);
        assert!(matches!(ran.code, 2 | 3), "{option}: {ran:?}");
        assert!(ran.stderr.contains(word) && !ran.stderr.contains("hush"), "{option}: {}", ran.stderr);
        assert!(!world.path(FILE).exists(), "{option}");
    }
    let good =
        ["--time", "1-0", "--health", "/v1", "--mem", "1G", "--sbatch-arg", "--nice=5", "--env", "A=1"];
    world.run(&[&["profile", "add", "lab", "--host", "login"], &good[..]].concat()).exits(0);
}

#[test]
fn a_broken_configuration_keeps_its_secrets() {
    let world = World::new();
    world.write(FILE, "database_url = 'postgres://u:hush@127.0.0.1:1/db\n");
    for args in [&["ls"][..], &["doctor"], &["config", "show"], &["profile", "add", "x", "--host", "y"]] {
        let ran = world.run(args).exits(3);
        let all = ran.stdout.clone() + &ran.stderr;
        assert!(all.contains("line 1") && !all.contains("hush"), "{args:?}: {ran:?}");
    }
    world.write(FILE, "database_ulr = 'postgres://u:hush@127.0.0.1:1/db'\n");
    let ran = world.run(&["config", "show"]).exits(3).says(&["did you mean database_url?"]);
    assert!(!ran.stdout.contains("hush") && ran.stdout.contains("database_ulr"), "{ran:?}");
}

#[test]
fn a_wrong_configuration_is_named_with_its_source() {
    let world = World::new();
    world.write(FILE, "defualt_profile = 'lab'\n");
    let words = ["unknown key defualt_profile", "did you mean default_profile?", "config.toml", "hint:"];
    world.run(&["ls"]).exits(3).says(&words);
    world.run(&["doctor"]).exits(3);
    world.write(FILE, "[profiles.lab\n");
    world.run(&["ls"]).exits(3).says(&["bad configuration", "config.toml"]);
    world.run(&["profile", "add", "x", "--host", "y"]).exits(3).says(&["failed to understand"]);
    let path = world.run(&["config", "path"]).exits(0).stdout;
    assert_eq!(path.trim(), world.path(FILE).to_str().unwrap());
    world.write(FILE, "");
    world.run_with(&[("TOWLINE_COLOUR", "red")], &["ls"]).exits(3).says(&["colour", "TOWLINE_COLOUR"]);
    world.run_with(&[("TOWLINE_LOG", "===")], &["ls"]).exits(2).says(&["TOWLINE_LOG"]);
}

#[test]
fn profiles_of_blackfish_are_imported() {
    let world = World::new();
    let ini = "[default]\nschema = local\nhome_dir = /h\ncache_dir = /c\n\n\
               [della]\ntype = slurm\nhost = della\nuser = alice\nhome_dir = /home/alice/.blackfish\ndefault = true\n\n\
               [odd name]\nschema = slurm\n";
    world.run(&["profile", "import"]).exits(4).says(&["profiles.cfg"]);
    world.write(".blackfish/profiles.cfg", ini);
    let words =
        ["profile della is imported and is the default", "\"odd name\" is left out", "2 of 3 profiles"];
    world.run(&["profile", "import"]).exits(0).says(&words);
    let shown = world.run(&["profile", "show", "della"]).exits(0).stdout;
    assert!(shown.contains("/home/alice/.towline"), "{shown}");
    assert_eq!(world.run(&["profile", "default"]).exits(0).stdout, "della\n");
    world.run(&["profile", "import"]).exits(0).says(&["a profile della already", "0 of 3"]);
}

#[test]
fn pages_and_completions_are_generated() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.run(&["completion", shell]).exits(0).stdout.contains("towline"), "{shell}");
    }
    assert!(world.run(&["man"]).exits(0).stdout.contains(".TH towline 1"));
    let out = world.path("man");
    world.run(&["man", "--out", out.to_str().unwrap()]).exits(0);
    for page in ["towline.1", "towline-run.1", "towline-profile-add.1"] {
        assert!(out.join(page).is_file(), "{page}");
    }
    assert!(world.run(&["--version"]).exits(0).stdout.starts_with("towline "));
    let help = world.run(&["--help"]).exits(0).stdout;
    assert!(help.contains("Exit codes:") && help.contains("prune"), "{help}");
}
