//! Downloads that come to a good end.

use std::fs;

use towline_stage::{Begun, Choice, Errand, Place, StageError, State, Token};

use crate::support::{Host, PATIENCE, want};
use crate::web::{COMMIT, Mood, Web, sha256};

const LARGE: &str = "model.safetensors";

fn snapshot(host: &Host, file: &str) -> std::path::PathBuf {
    host.models().join("models--org--model-1.5/snapshots").join(COMMIT).join(file)
}

fn check(host: &Host, web: &Web) {
    for file in ["config.json", "sub dir/tokenizer +ü.json", LARGE] {
        assert_eq!(fs::read(snapshot(host, file)).unwrap(), web.content(file), "{file}");
    }
    let blobs = fs::read_dir(host.models().join("models--org--model-1.5/blobs")).unwrap();
    assert_eq!(blobs.count(), 3, "no partial download is left");
}

#[tokio::test]
async fn a_model_is_downloaded_as_servers_look_for_it() {
    for shell in ["dash", "bash"] {
        let (host, (web, want)) = (Host::with(shell), Web::with_model());
        let done = host.add(&web.hub(), &want, None).await.unwrap();
        assert_eq!((done.files, done.bytes), (3, 2 + 6 + 800_000));
        check(&host, &web);
        let dir = host.models().join("models--org--model-1.5");
        assert_eq!(fs::read_to_string(dir.join("refs/main")).unwrap(), COMMIT);
        let link = fs::read_link(snapshot(&host, LARGE)).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("../../blobs/{}", sha256(&web.content(LARGE))));
        let staged = host.stage.look().await.unwrap();
        let (model, revision) = staged.find("org/model-1.5", None).unwrap();
        assert_eq!((model.bytes, revision.is_whole(), model.partial), (800_008, true, None));
        // What is there is not loaded again.
        let asked = web.asked().len();
        host.add(&web.hub(), &want, None).await.unwrap();
        assert_eq!(web.asked().len(), asked + 1, "the list alone");
    }
}

#[tokio::test]
async fn some_files_of_it_may_be_chosen() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let choice = Choice { include: vec!["*.json".into()], exclude: vec!["sub dir/".into()] };
    let manifest = host.stage.manifest(&web.hub(), None, &want, &choice).await.unwrap();
    assert_eq!(manifest.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["config.json"]);
    host.stage.download(&web.hub(), None, &manifest, &Place::Here).await.unwrap();
    host.end(&Errand::model(&want, false)).await.unwrap();
    assert!(snapshot(&host, "config.json").exists() && !snapshot(&host, LARGE).exists());
    let staged = host.stage.look().await.unwrap();
    assert!(staged.find("org/model-1.5", None).is_none(), "a part of it is not run");
    assert!(staged.find("org/model-1.5", Some("main")).is_some());
}

#[tokio::test]
async fn a_download_that_was_killed_is_gone_on_with() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let errand = Errand::model(&want, false);
    web.mood(LARGE, Mood::Stall(500_000));
    host.begin(&web.hub(), &want, None).await.unwrap();
    let part =
        host.models().join("models--org--model-1.5/blobs").join(sha256(&web.content(LARGE)) + ".incomplete");
    let far = host.until(&errand, |it| it.bytes >= 400_000).await.unwrap();
    assert!(matches!(far.state, State::Loading(ref file) if file == LARGE), "{far:?}");
    let pid = fs::read_to_string(host.path("home/.tow line/stage/models--org--model-1.5/pid")).unwrap();
    let group = format!("-{}", pid.split_whitespace().nth(1).unwrap());
    let killed = std::process::Command::new("kill").args(["-9", "--", &group]).status().unwrap();
    assert!(killed.success());
    let told = host.end(&errand).await.unwrap_err().to_string();
    assert!(told.contains("before it was done"), "{told}");
    let staged = host.stage.look().await.unwrap();
    let [model] = staged.named("org/model-1.5")[..] else { panic!("{staged:?}") };
    let partial = model.partial.unwrap();
    assert_eq!(partial.files, 1);
    assert!(partial.bytes > 0 && model.revisions.is_empty(), "{staged:?}");
    let had = fs::metadata(&part).unwrap().len();
    host.add(&web.hub(), &want, None).await.unwrap();
    check(&host, &web);
    assert_eq!(web.gets(LARGE).last().unwrap().range, Some(format!("bytes={had}-")));
}

#[tokio::test]
async fn one_that_is_stopped_leaves_what_it_has() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let errand = Errand::model(&want, false);
    web.mood(LARGE, Mood::Stall(500_000));
    host.begin(&web.hub(), &want, None).await.unwrap();
    host.until(&errand, |it| it.bytes >= 400_000).await.unwrap();
    assert_eq!(host.stage.stop(&errand).await.unwrap(), None);
    assert!(host.end(&errand).await.unwrap_err().to_string().contains("it was stopped"));
    let part =
        host.models().join("models--org--model-1.5/blobs").join(sha256(&web.content(LARGE)) + ".incomplete");
    assert!(fs::metadata(part).unwrap().len() > 0);
}

#[tokio::test]
async fn two_of_the_same_are_one() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let errand = Errand::model(&want, false);
    web.mood(LARGE, Mood::Stall(500_000));
    let manifest = host.begin(&web.hub(), &want, None).await.unwrap();
    host.until(&errand, |it| it.bytes >= 400_000).await.unwrap();
    let again = host.stage.download(&web.hub(), None, &manifest, &Place::Here).await.unwrap();
    assert_eq!(again, Begun::Joined(None));
    let staged = host.stage.look().await.unwrap();
    let removed = host.stage.remove(&want, &staged.named("org/model-1.5")[0].removal()).await;
    assert!(matches!(removed, Err(StageError::Busy)), "{removed:?}");
    web.go_on();
    host.end(&errand).await.unwrap();
    check(&host, &web);
    assert_eq!(web.gets(LARGE).len(), 1);
}

/// As two members of a group do, or one on two clusters with one file system.
#[tokio::test]
async fn two_homes_with_one_cache_load_each_file_once() {
    let (first, (web, want)) = (Host::new(), Web::with_model());
    let second = Host::at(tempfile::tempdir().unwrap(), "sh", &first.path("a cache"));
    fs::create_dir(second.path("home")).unwrap();
    web.mood(LARGE, Mood::Stall(500_000));
    first.begin(&web.hub(), &want, None).await.unwrap();
    let errand = Errand::model(&want, false);
    first.until(&errand, |it| it.bytes >= 400_000).await.unwrap();
    second.begin(&web.hub(), &want, None).await.unwrap();
    let waits = second.until(&errand, |it| matches!(it.state, State::Pausing(_))).await.unwrap();
    assert!(matches!(waits.state, State::Pausing(ref why) if why.contains("somebody else")), "{waits:?}");
    web.go_on();
    first.end(&errand).await.unwrap();
    second.end(&errand).await.unwrap();
    check(&first, &web);
    assert_eq!(web.gets(LARGE).len(), 1);
}

#[tokio::test]
async fn the_token_goes_to_the_hub_alone_and_is_left_nowhere() {
    const TOKEN: &str = "hf_SecretOfAlice";
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let elsewhere = Web::new();
    elsewhere.file("cdn/blob?sig=a", &web.content(LARGE), true);
    web.token(TOKEN);
    web.mood(
        &format!("HEAD {LARGE}"),
        Mood::To(format!("http://127.0.0.1:{}/cdn/blob?sig=a", elsewhere.port)),
    );
    elsewhere.mood("/cdn", Mood::Stall(500_000));
    let token = Token::new(TOKEN).unwrap();
    let errand = Errand::model(&want, true);
    host.begin(&web.hub(), &want, Some(&token)).await.unwrap();
    host.until(&errand, |it| it.bytes >= 400_000).await.unwrap();
    // While it runs: in no file, on no command line and in no environment.
    assert_eq!(host.files_with(TOKEN), Vec::<std::path::PathBuf>::new());
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains(TOKEN), "{entry:?} {file}");
        }
    }
    elsewhere.go_on();
    host.end(&errand).await.unwrap();
    check(&host, &web);
    assert!(web.asked().iter().all(|it| it.authorization.as_deref() == Some("Bearer hf_SecretOfAlice")));
    assert!(elsewhere.asked().iter().all(|it| it.authorization.is_none()));
    assert_eq!(host.files_with(TOKEN), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_job_is_submitted_and_followed() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    // What Slurm would do: the job is in the queue while it runs.
    let queue = host.path("queue");
    host.command("squeue", &format!("cat '{}' 2>/dev/null; exit 0\n", queue.display()));
    host.command(
        "sbatch",
        &format!(
            "for file do :; done\ngrep '^#SBATCH' \"$file\" >'{0}/options'\necho '7 PENDING (Priority)' >'{1}'\n\
             ( while [ ! -e '{0}/go' ]; do sleep 0.01; done; sh \"$file\"; rm '{1}' ) </dev/null >/dev/null 2>&1 &\necho 7\n",
            host.root.path().display(),
            queue.display()
        ),
    );
    let manifest = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap();
    let place = Place::Job(vec!["--partition=cpu".into()]);
    let token = Token::new("hush").unwrap();
    let hub = web.hub();
    let begin = || host.stage.download(&hub, Some(&token), &manifest, &place);
    assert_eq!(begin().await.unwrap(), Begun::Started(Some("7".into())));
    let errand = Errand::model(&want, true);
    let waits = host.stage.progress(&errand, std::time::Duration::ZERO).await.unwrap();
    assert!(matches!(waits.state, State::Waiting(ref words) if words == "PENDING (Priority)"), "{waits:?}");
    assert_eq!(waits.job.as_deref(), Some("7"));
    assert_eq!(begin().await.unwrap(), Begun::Joined(Some("7".into())), "one job");
    fs::write(host.path("go"), "").unwrap();
    host.end(&errand).await.unwrap();
    check(&host, &web);
    let options = fs::read_to_string(host.path("options")).unwrap();
    assert!(
        options.contains("--partition=cpu\n")
            && options.contains("--job-name=towline-add-models--org--model-1.5")
    );
    let begin = std::time::Instant::now();
    while queue.exists() {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(host.files_with("hush"), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_job_that_ends_without_a_word_has_failed() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    host.command("squeue", "exit 0\n");
    host.command("sbatch", "echo 7\n");
    let manifest = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap();
    let place = Place::Job(Vec::new());
    host.stage.download(&web.hub(), None, &manifest, &place).await.unwrap();
    let errand = Errand::model(&want, false);
    assert!(host.end(&errand).await.unwrap_err().to_string().contains("ended before it was done"));
    host.command("sbatch", "echo 'sbatch: error: invalid account' >&2; exit 1\n");
    let refused = host.stage.download(&web.hub(), None, &manifest, &place).await.unwrap_err();
    assert!(refused.to_string().contains("invalid account"), "{refused}");
}

#[tokio::test]
async fn an_old_name_and_a_model_alone_are_names_too() {
    let (host, (web, _)) = (Host::new(), Web::with_model());
    web.mood("/api/", Mood::To("/api/models/org/model-1.5/revision/main?blobs=true".into()));
    let want = want("gpt2");
    host.add(&web.hub(), &want, None).await.unwrap();
    assert!(host.stage.look().await.unwrap().find("gpt2", Some("main")).is_some());
}

#[tokio::test]
async fn without_locks_one_is_told_by_its_process() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let tools = tempfile::tempdir().unwrap();
    for entry in ["/bin", "/usr/bin"].iter().flat_map(|dir| fs::read_dir(dir).unwrap().flatten()) {
        if entry.file_name() != "flock" {
            // What is in both is the same.
            drop(std::os::unix::fs::symlink(entry.path(), tools.path().join(entry.file_name())));
        }
    }
    let host = host.with_path(tools.path());
    let errand = Errand::model(&want, false);
    web.mood(LARGE, Mood::Stall(500_000));
    let manifest = host.begin(&web.hub(), &want, None).await.unwrap();
    host.until(&errand, |it| it.bytes >= 400_000).await.unwrap();
    let again = host.stage.download(&web.hub(), None, &manifest, &Place::Here).await.unwrap();
    assert_eq!(again, Begun::Joined(None));
    host.stage.stop(&errand).await.unwrap();
    assert!(host.end(&errand).await.unwrap_err().to_string().contains("it was stopped"));
    host.add(&web.hub(), &want, None).await.unwrap();
    check(&host, &web);
}

#[tokio::test]
async fn what_waits_in_the_queue_keeps_its_model_and_its_token() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    host.add(&web.hub(), &want, None).await.unwrap();
    host.command("squeue", &format!("cat '{}' 2>/dev/null; exit 0\n", host.path("queue").display()));
    host.command(
        "sbatch",
        &format!("echo '7 PENDING (Priority)' >'{}'\necho 7\n", host.path("queue").display()),
    );
    let manifest = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap();
    let token = Token::new("hf_hush").unwrap();
    let place = Place::Job(Vec::new());
    host.stage.download(&web.hub(), Some(&token), &manifest, &place).await.unwrap();
    let staged = host.stage.look().await.unwrap();
    assert_eq!(host.files_with("hf_hush").len(), 1);
    let removal = staged.named("org/model-1.5")[0].removal();
    let removed = host.stage.remove(&want, &removal).await;
    assert!(matches!(removed, Err(StageError::Busy)), "{removed:?}");
    host.command("squeue", "exit 1\n");
    let removed = host.stage.remove(&want, &removal).await;
    assert!(matches!(removed, Err(StageError::Refused { .. })), "{removed:?}");
    host.stage.look().await.unwrap();
    assert_eq!(host.files_with("hf_hush").len(), 1, "nobody knows that it has gone");
    host.command("squeue", "exit 0\n");
    host.stage.look().await.unwrap();
    assert_eq!(host.files_with("hf_hush"), Vec::<std::path::PathBuf>::new(), "it was cancelled");
    host.stage.remove(&want, &removal).await.unwrap();
    assert!(!host.path("home/.tow line/stage/models--org--model-1.5").exists());
}
