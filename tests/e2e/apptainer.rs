//! Services in containers of Apptainer, in jobs of a user who is nobody special there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Host, Lab, PATIENCE, SOON, Service, eventually, get, installed, on, processes_with};

const ALICE: Host = on("login").as_("alice");

/// Names that no shell, list or table of mounts may take apart.
const ODD: [&str; 3] = ["it's", "a \"box\", or two", "$HOME; `id` \\"];

/// A directory that all hosts see, and that Apptainer shows to no container by itself, unlike homes and `/tmp`.
fn shown_to_nobody() -> TempDir {
    let dir = tempfile::Builder::new().prefix("tl-").tempdir_in(installed("images")).unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

/// One in it with such a name, which belongs to alice.
fn odd(dir: &TempDir, number: usize) -> PathBuf {
    let path = dir.path().join(ODD[number]);
    fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(2001), Some(2001)).unwrap();
    path
}

/// The same files again, without a copy of what is in them.
fn link_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match path.is_dir() {
            true => fs::create_dir(&target).map(|()| link_all(&path, &target)).unwrap(),
            false => fs::hard_link(path, target).unwrap(),
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The line that puts Apptainer on the `PATH`.
fn setup() -> String {
    format!("export PATH={}:$PATH", installed("sid/bin"))
}

/// The variables of the process in the container that has this in its command line, and what it says of its mounts.
fn inside(mark: &str) -> (Vec<String>, String) {
    let read = |pid: u32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let boxed = |(pid, _): (u32, String)| {
        let variables: Vec<String> = read(pid, "environ").split('\0').map(str::to_owned).collect();
        let is_inside = variables.iter().any(|variable| variable.starts_with("APPTAINER_CONTAINER="));
        is_inside.then(|| (variables, read(pid, "mountinfo")))
    };
    processes_with(mark).into_iter().find_map(boxed).unwrap()
}

#[test]
fn a_model_in_a_container() {
    let (lab, dir) = (Lab::new(), shown_to_nobody());
    let model = odd(&dir, 1);
    link_all(Path::new(&installed("models/all-MiniLM-L6-v2")), &model);
    let (image, setup, model) = (installed("images/embeddings"), setup(), text(&model));
    let container = ["--container", "apptainer", "--image", &image, "--setup", &setup];
    // The recipe asks for a GPU, so that it is called with --nv.
    let words = [&["embeddings", model, "--cpus", "2", "--mem", "1000"][..], &container].concat();
    let service = Service::start(&lab, "near", &words).healthy();

    let near = service.used(&["similarity", "A man is eating food.", "A man is eating a piece of bread."]);
    assert!(near["cosines"][0].as_f64().is_some_and(|cosine| cosine > 0.6), "{near}");
    service.assert_key_is_asked_for(&["similarity", "a", "b"]);
    let (variables, _) = inside(model);
    let key = format!("API_KEY={}", lab.towline(&["key", "near"]).ok().trim());
    assert!(variables.contains(&key) && variables.contains(&format!("APPTAINER_CONTAINER={image}")));
    service.stop(model);
}

#[test]
fn what_a_container_is_given_and_what_it_gives_back() {
    let (lab, dir) = (Lab::new(), shown_to_nobody());
    let (site, orders) = (odd(&dir, 1), odd(&dir, 2));
    fs::write(site.join("page"), "from outside").unwrap();
    let (image, setup, odd) = (installed("images/embeddings"), setup(), format!("ODD={}", ODD.join(" ")));
    let paths = ["--site", text(&site), "--orders", text(&orders)];
    let words = [&["boxed", "--image", &image, "--setup", &setup, "--env", &odd][..], &paths].concat();
    Service::start(&lab, "boxed", &words).healthy();

    let url = lab.towline(&["url", "boxed"]).ok();
    assert_eq!(get(&format!("{}/page", url.trim())).unwrap().body(), "from outside");
    let (variables, mounts) = inside(text(&orders));
    assert!(variables.contains(&odd), "{variables:#?}");
    let mount = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/srv/site")).unwrap();
    assert!(mount.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{mount}");

    fs::write(orders.join("end.new"), "7").unwrap();
    fs::rename(orders.join("end.new"), orders.join("end")).unwrap();
    let ended = lab.wait_for("boxed", "FAILED", SOON);
    assert!(ended["cause"].as_str().unwrap().contains("exit code 7"), "{ended}");
}

/// Such an image is mounted by FUSE, for which the node is given the device.
#[test]
fn an_image_in_one_file_that_is_cancelled_with_its_job() {
    let (lab, dir) = (Lab::new(), shown_to_nobody());
    let fuse = "[ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229";
    on("c1").run(&["bash", "-c", fuse]).ok();
    let (site, orders) = (odd(&dir, 0), odd(&dir, 1));
    let (image, setup) = (installed("images/embeddings.sif"), setup());
    let paths = ["--site", text(&site), "--orders", text(&orders)];
    let words = ["boxed", "--image", &image, "--setup", &setup, "--nodelist", "c1"];
    Service::start(&lab, "boxed", &[&words[..], &paths].concat()).healthy();
    let (variables, _) = inside(text(&orders));
    assert!(variables.contains(&format!("APPTAINER_CONTAINER={image}")), "{variables:#?}");

    let job = lab.show("boxed")["job_id"].as_str().unwrap().to_owned();
    ALICE.run(&["scancel", &job]).ok();
    let ended = lab.wait_for("boxed", "STOPPED", SOON);
    assert!(ended["cause"].as_str().unwrap().contains("the job was cancelled"), "{ended}");
    eventually("the end of what is in the container", SOON, || {
        let left = [text(&orders), &image].map(processes_with);
        left.iter().all(Vec::is_empty).then_some(())
    });
}

#[test]
fn an_image_that_is_not_there() {
    let lab = Lab::new();
    let setup = setup();
    let words = ["boxed", "--image", "/nowhere/box.sif", "--site", "/tmp", "--orders", "/tmp"];
    Service::start(&lab, "boxed", &[&words[..], &["--setup", &setup]].concat());
    let ended = lab.wait_for("boxed", "FAILED", PATIENCE);
    let told = lab.towline(&["why", "boxed", "--json"]).json();
    assert!(told["log"].to_string().contains("/nowhere/box.sif"), "{told:#}");
    // Apptainer's own code, not that of a command that is missing in the container.
    assert!(ended["cause"].as_str().unwrap().contains("exit code 255"), "{ended}");
    let sentence = told["sentence"].as_str().unwrap();
    assert!(sentence.ends_with("the image of its container is not there, or is none"), "{told:#}");
    assert!(told["advice"].as_str().unwrap().contains("towline image add"), "{told:#}");
}
