//! One look at what is staged.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use towline_stage::StageError;

use crate::support::{Host, lay_out};

const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";

/// Sets when a snapshot was changed, and all in it.
fn touch(path: &std::path::Path, seconds: u64) {
    let at = format!("@{seconds}");
    let done = Command::new("find").arg(path).args(["-exec", "touch", "-h", "-d", &at, "{}", "+"]).status();
    assert!(done.unwrap().success());
}

#[tokio::test]
async fn one_command_finds_all_caches() {
    for shell in ["dash", "bash"] {
        let host = Host::with(shell);
        let empty = host.stage.look().await.unwrap();
        assert!(empty.models.is_empty() && empty.warnings.is_empty(), "{empty:?}");
        let models = host.models();
        lay_out(&models, "models--org--m", OLD, "v1", &[("config.json", "old"), ("a/w.bin", "weights")]);
        lay_out(&models, "models--org--m", NEW, "main", &[("config.json", "newer"), ("a/w.bin", "weights")]);
        touch(&models.join("models--org--m/snapshots").join(OLD), 1_000_000);
        touch(&models.join("models--org--m/snapshots").join(NEW), 2_000_000);
        fs::write(models.join("models--org--m/blobs/abc.incomplete"), "12345").unwrap();
        lay_out(&host.path("home/.tow line/hub"), "models--gpt2", OLD, "main", &[("x", "gpt")]);
        lay_out(&host.path("home/.cache/huggingface/hub"), "models--o--own", OLD, "main", &[("x", "own")]);
        fs::write(models.join("plain.gguf"), "gguf").unwrap();
        fs::create_dir_all(host.path("a cache/images")).unwrap();
        fs::write(host.path("a cache/images/vllm_1.sif"), "image").unwrap();
        fs::write(host.path("a cache/images/.vllm_1.sif.source"), "docker://vllm:1\n").unwrap();
        fs::write(host.path("a cache/odd one.sif"), "x").unwrap();
        let runs = host.runs();
        let staged = host.stage.look().await.unwrap();
        assert_eq!(host.runs(), runs + 1, "one remote command");
        assert_eq!(staged.warnings, Vec::<String>::new());
        let [model] = staged.named("org/m")[..] else { panic!("{staged:?}") };
        // "weights" is the same file of both revisions.
        assert_eq!(model.bytes, 7 + 3 + 5);
        assert_eq!(model.partial.map(|it| (it.files, it.bytes)), Some((1, 5)));
        let told: Vec<_> =
            model.revisions.iter().map(|it| (it.commit.as_str(), it.bytes, it.files)).collect();
        assert_eq!(told, [(NEW, 12, 2), (OLD, 10, 2)]);
        assert_eq!(model.revisions[0].refs, ["main"]);
        assert_eq!(staged.find("org/m", None).unwrap().1.commit, NEW);
        assert_eq!(staged.find("org/m", Some("v1")).unwrap().1.commit, OLD);
        assert_eq!(staged.find("org/m", Some("1111111")).unwrap().1.commit, OLD);
        assert!(staged.find("org/m", Some("111111")).is_none(), "too short for a commit");
        assert!(fs::read_dir(&staged.find("gpt2", None).unwrap().1.path).is_ok());
        assert_eq!(staged.named("o/own").len(), 1);
        assert_eq!(staged.files.iter().map(|file| file.bytes).collect::<Vec<_>>(), [4]);
        assert_eq!(staged.image_from("docker://vllm:1").unwrap().name, "vllm_1");
        assert!(staged.images.iter().any(|image| image.name == "odd one" && image.source.is_none()));
    }
}

#[tokio::test]
async fn names_may_hold_anything() {
    let host = Host::new();
    let hub = host.models();
    for (number, name) in ["a\nb", "$(touch x)", "it's", "\u{1e}end", "-rf", "*"].iter().enumerate() {
        lay_out(&hub, &format!("models--{name}"), OLD, "main", &[(name, &format!("{number}"))]);
    }
    let staged = host.stage.look().await.unwrap();
    assert_eq!(staged.warnings, Vec::<String>::new());
    assert_eq!(staged.models.len(), 6, "{staged:?}");
    assert!(
        staged.models.iter().all(|model| model.bytes == 1 && model.revisions[0].is_whole()),
        "{staged:?}"
    );
    assert_eq!(staged.named("a\nb").len(), 1);
}

#[tokio::test]
async fn what_is_broken_is_told_and_what_is_not_is_shown() {
    let host = Host::new();
    let hub = host.models();
    lay_out(&hub, "models--o--m", NEW, "main", &[("a", "aa"), ("b", "bbb")]);
    lay_out(&hub, "models--o--m", OLD, "old", &[("a", "aa")]);
    let model = hub.join("models--o--m");
    fs::remove_file(
        fs::read_link(model.join("snapshots").join(NEW).join("b"))
            .map(|it| model.join("snapshots").join(NEW).join(it))
            .unwrap(),
    )
    .unwrap();
    symlink("loop", model.join("snapshots").join(NEW).join("loop")).unwrap();
    symlink("/", model.join("snapshots").join(OLD).join("machine")).unwrap();
    fs::create_dir_all(model.join("snapshots/empty")).unwrap();
    fs::write(model.join("snapshots").join(OLD).join("by itself"), "12345").unwrap();
    fs::write(hub.join("models--file"), "").unwrap();
    symlink("/nonexistent", hub.join("models--gone")).unwrap();
    let staged = host.stage.look().await.unwrap();
    let [model] = staged.named("o/m")[..] else { panic!("{staged:?}") };
    let of = |commit: &str| model.revisions.iter().find(|it| it.commit == commit).unwrap();
    assert_eq!((of(NEW).missing, of(NEW).is_whole()), (2, false));
    assert_eq!((of(OLD).missing, of(OLD).bytes), (0, 7));
    assert!(!of("empty").is_whole());
    assert_eq!(model.bytes, 7);
    assert_eq!(staged.find("o/m", None).unwrap().1.commit, OLD, "the newest that is whole");
    assert_eq!(staged.find("o/m", Some("main")).unwrap().1.commit, NEW, "the one that was asked for");
    lay_out(&host.path("home/.tow line/models"), "models--o--m", OLD, "main", &[("a", "aa")]);
    let staged = host.stage.look().await.unwrap();
    assert_eq!(staged.find("o/m", Some("main")).unwrap().1.commit, OLD, "of two the one that is whole");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_warning() {
    let host = Host::new();
    lay_out(&host.models(), "models--o--m", NEW, "main", &[("a", "aa")]);
    lay_out(&host.models(), "models--o--n", NEW, "main", &[("a", "aa")]);
    let shut = host.models().join("models--o--n/snapshots");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    let staged = host.stage.look().await.unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(staged.find("o/m", None).is_some());
    // root reads everything.
    if fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it)).unwrap() != 0 {
        assert!(staged.warnings.iter().any(|line| line.contains("Permission denied")), "{staged:?}");
    }
}

#[tokio::test]
async fn ten_thousand_files_are_one_answer() {
    let host = Host::new();
    let dir = host.models().join("models--o--many");
    let snapshot = dir.join("snapshots").join(NEW);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(dir.join("blobs")).unwrap();
    for number in 0..10_000 {
        fs::write(dir.join(format!("blobs/{number}")), "x").unwrap();
        symlink(format!("../../blobs/{number}"), snapshot.join(format!("{number}.bin"))).unwrap();
    }
    let staged = host.stage.look().await.unwrap();
    let (model, revision) = staged.find("o/many", None).unwrap();
    assert_eq!((model.bytes, revision.files, revision.missing), (10_000, 10_000, 0));
}

#[tokio::test]
async fn a_revision_goes_without_what_another_one_needs() {
    let host = Host::new();
    lay_out(&host.models(), "models--o--m", OLD, "v1", &[("c", "old"), ("w", "weights")]);
    lay_out(&host.models(), "models--o--m", NEW, "main", &[("c", "newer"), ("w", "weights")]);
    let want = crate::support::want("o/m");
    let staged = host.stage.look().await.unwrap();
    let (model, revision) = staged.find("o/m", Some("v1")).unwrap();
    let removal = model.removal_of(revision);
    assert_eq!(removal.bytes, 3);
    host.stage.remove(&want, &removal).await.unwrap();
    let staged = host.stage.look().await.unwrap();
    let (model, revision) = staged.find("o/m", None).unwrap();
    assert_eq!((model.bytes, model.revisions.len(), revision.is_whole()), (12, 1, true));
    assert_eq!(revision.refs, ["main"]);
    // The last one takes the model with it.
    host.stage.remove(&want, &model.removal_of(revision)).await.unwrap();
    assert!(host.stage.look().await.unwrap().models.is_empty());
    assert!(!host.models().join("models--o--m").exists());
}

#[tokio::test]
async fn nothing_goes_while_a_part_of_the_model_cannot_be_read() {
    let host = Host::new();
    lay_out(&host.models(), "models--o--m", OLD, "v1", &[("c", "old"), ("w", "weights")]);
    lay_out(&host.models(), "models--o--m", NEW, "main", &[("c", "newer"), ("w", "weights")]);
    // Root reads everything; its `find` is one of somebody else's.
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    host.command(
        "find",
        &format!("[ \"$(id -u)\" -ne 0 ] || nobody='{nobody}'\nexec $nobody /usr/bin/find \"$@\"\n"),
    );
    for dir in [host.root.path().to_owned(), host.path("a cache"), host.path("home")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let shut = host.models().join("models--o--m/snapshots").join(OLD);
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    let staged = host.stage.look().await.unwrap();
    let (model, revision) = staged.find("o/m", Some("main")).unwrap();
    let want = crate::support::want("o/m");
    for removal in [model.removal_of(revision), model.removal()] {
        let error = host.stage.remove(&want, &removal).await.unwrap_err();
        assert!(matches!(&error, StageError::Unseen { words } if words.contains("Permission")), "{error}");
    }
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o755)).unwrap();
    let staged = host.stage.look().await.unwrap();
    assert!(staged.models[0].revisions.iter().all(|it| it.missing == 0), "{staged:?}");
}

#[tokio::test]
async fn what_somebody_else_has_downloaded_in_part_is_not_run() {
    let host = Host::new();
    let weights = ("model.safetensors", "weights");
    lay_out(&host.models(), "models--o--m", OLD, "old", &[("config.json", "old"), weights]);
    lay_out(&host.models(), "models--o--m", NEW, "main", &[("config.json", "newer")]);
    let model = host.models().join("models--o--m");
    touch(&model.join("snapshots").join(OLD), 1_000_000);
    fs::remove_dir_all(model.join(".towline")).unwrap();
    let found = async || host.stage.look().await.unwrap().find("o/m", None).map(|(_, it)| it.commit.clone());
    assert_eq!(found().await.as_deref(), Some(OLD), "without weights it is none");
    // All has weights now, but not all of the newest one may be there.
    symlink("../../blobs/abc", model.join("snapshots").join(NEW).join("model.safetensors")).unwrap();
    fs::write(model.join("blobs/abc"), "w").unwrap();
    assert_eq!(found().await.as_deref(), Some(NEW));
    fs::write(model.join("blobs/def.incomplete"), "w").unwrap();
    assert_eq!(found().await.as_deref(), Some(OLD));
    fs::create_dir(model.join(".towline")).unwrap();
    fs::write(model.join(".towline").join(NEW), "").unwrap();
    assert_eq!(found().await.as_deref(), Some(NEW), "by our note");
}

#[tokio::test]
async fn names_of_revisions_may_be_deep_and_files_are_none() {
    let host = Host::new();
    lay_out(&host.models(), "models--o--m", NEW, "main", &[("refs/foo", "weights"), ("a", "aa")]);
    let deep = host.models().join("models--o--m/refs/a/b/c/d/e/f");
    fs::create_dir_all(deep.parent().unwrap()).unwrap();
    fs::write(deep, NEW).unwrap();
    fs::write(host.models().join("models--o--m/snapshots").join(NEW).join("refs/by itself"), OLD).unwrap();
    let staged = host.stage.look().await.unwrap();
    assert_eq!(staged.models.len(), 1, "{staged:?}");
    assert!(staged.find("o/m", Some("a/b/c/d/e/f")).is_some());
}
