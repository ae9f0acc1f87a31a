//! A hub that misbehaves, and what the download makes of it.

use std::fs;
use std::path::PathBuf;

use towline_stage::{Errand, StageError, State};

use crate::support::Host;
use crate::web::{COMMIT, Mood, Web, sha256};

const LARGE: &str = "model.safetensors";

fn part(host: &Host, web: &Web) -> PathBuf {
    host.models().join("models--org--model-1.5/blobs").join(sha256(&web.content(LARGE)) + ".incomplete")
}

/// Puts what a download that was broken off would have left.
fn begun(host: &Host, web: &Web, content: &[u8]) {
    let part = part(host, web);
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(part, content).unwrap();
}

fn is_whole(host: &Host, web: &Web) {
    let file = host.models().join("models--org--model-1.5/snapshots").join(COMMIT).join(LARGE);
    assert_eq!(fs::read(file).unwrap(), web.content(LARGE));
    assert!(!part(host, web).exists());
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_gone_on_with() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood(LARGE, Mood::Cut(300_000));
    web.mood(LARGE, Mood::Cut(1));
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
    let ranges: Vec<_> = web.gets(LARGE).into_iter().map(|it| it.range).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-".into()), Some("bytes=300001-".into())]);
}

#[tokio::test]
async fn a_hub_without_parts_is_asked_for_the_whole() {
    for mood in [Mood::NoRanges, Mood::WrongRange, Mood::Status(416, "")] {
        let (host, (web, want)) = (Host::new(), Web::with_model());
        begun(&host, &web, &web.content(LARGE)[..1000]);
        web.mood(LARGE, mood);
        host.add(&web.hub(), &want, None).await.unwrap();
        is_whole(&host, &web);
        assert_eq!(web.gets(LARGE).last().unwrap().range, None);
    }
}

#[tokio::test]
async fn what_lies_there_and_is_another_file_is_loaded_anew() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    begun(&host, &web, &vec![7; 500_000]);
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
    let (host, (web, want)) = (Host::new(), Web::with_model());
    begun(&host, &web, &vec![7; 900_000]);
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
    assert_eq!(web.gets(LARGE)[0].range, None);
}

#[tokio::test]
async fn a_wrong_checksum_is_tried_once_more_and_then_told() {
    for file in [LARGE, "config.json"] {
        let (host, (web, want)) = (Host::new(), Web::with_model());
        web.mood(file, Mood::Spoilt);
        host.add(&web.hub(), &want, None).await.unwrap();
        assert_eq!(web.gets(file).len(), 2);
        let (host, (web, want)) = (Host::new(), Web::with_model());
        web.mood(file, Mood::Spoilt);
        web.mood(file, Mood::Spoilt);
        let error = host.add(&web.hub(), &want, None).await.unwrap_err();
        assert!(matches!(&error, StageError::Checksum { path } if path == file), "{error}");
        assert!(!part(&host, &web).exists(), "what is wrong is not kept");
        assert!(!host.models().join("models--org--model-1.5/refs/main").exists());
    }
}

#[tokio::test]
async fn the_hub_is_heeded_when_it_asks_for_fewer_requests() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood("/api/", Mood::Status(429, "Retry-After: 0\r\n"));
    web.mood(LARGE, Mood::Status(429, "Retry-After: 2\r\n"));
    web.mood("HEAD config", Mood::Status(503, ""));
    web.mood("config", Mood::Status(500, ""));
    host.begin(&web.hub(), &want, None).await.unwrap();
    let errand = Errand::model(&want, false);
    let waits = host
        .until(&errand, |it| matches!(&it.state, State::Pausing(why) if why.contains("fewer requests")))
        .await
        .unwrap();
    assert!(matches!(&waits.state, State::Pausing(why) if why.ends_with("next try in 2 s")), "{waits:?}");
    host.end(&errand).await.unwrap();
    is_whole(&host, &web);
    let no_ranges = web.gets(LARGE).iter().all(|it| it.range.is_none());
    assert!(no_ranges, "words about an error are no part of the file");
}

#[tokio::test]
async fn there_is_an_end_to_trying() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    for _ in 0..9 {
        web.mood(LARGE, Mood::Status(429, "Retry-After: 0\r\n"));
    }
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(error, StageError::Limited { .. }), "{error}");
    for _ in 0..9 {
        web.mood(LARGE, Mood::Cut(0));
    }
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(error, StageError::NoAnswer { .. }), "{error}");
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
}

#[tokio::test]
async fn a_hub_that_knows_no_head_is_asked_for_the_file() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood(&format!("HEAD {LARGE}"), Mood::Status(405, ""));
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
}

#[tokio::test]
async fn a_list_that_is_cut_off_is_asked_for_again() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood("/api/", Mood::Cut(40));
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
}

#[tokio::test]
async fn redirects_have_an_end() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    for _ in 0..20 {
        web.mood("HEAD config.json", Mood::To(format!("/org/model-1.5/resolve/{COMMIT}/config.json")));
    }
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(error.to_string().contains("redirects without end"), "{error}");
    for _ in 0..20 {
        web.mood("/api/", Mood::To("/api/models/org/model-1.5".into()));
    }
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(error.to_string().contains("redirects without end"), "{error}");
}

#[tokio::test]
async fn more_than_was_announced_is_refused() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood(LARGE, Mood::Long);
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(error, StageError::Hub { .. }), "{error}");
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
}

#[tokio::test]
async fn what_has_no_end_is_bounded() {
    for shell in ["dash", "bash"] {
        let (host, (web, want)) = (Host::with(shell), Web::with_model());
        web.mood("/api/", Mood::Endless);
        let error = host.add(&web.hub(), &want, None).await.unwrap_err();
        assert!(matches!(&error, StageError::Hub { what } if what.contains("no end")), "{error}");
        web.mood("config.json", Mood::Endless);
        let error = host.add(&web.hub(), &want, None).await.unwrap_err();
        assert!(matches!(&error, StageError::Hub { what } if what.contains("more of")), "{error}");
        assert_eq!(web.gets("config.json").len(), 1);
        let left = fs::read_dir(host.models().join("models--org--model-1.5/blobs")).unwrap();
        assert_eq!(left.count(), 0, "what is too long is not kept");
    }
}

#[tokio::test]
async fn what_gets_lost_again_and_again_is_no_progress() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    for _ in 0..30 {
        web.mood(LARGE, Mood::CutNoRanges(100_000));
    }
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(error, StageError::NoAnswer { .. } | StageError::Hub { .. }), "{error}");
    assert!(web.gets(LARGE).len() <= 12, "{}", web.gets(LARGE).len());
}

/// A file system of its own, which only root can make, with all that is written there: also the word that it is full.
#[tokio::test]
async fn a_full_disk_is_told_and_what_is_there_stays() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("home");
    fs::create_dir_all(&home).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=600k", "tmpfs"])
        .arg(&home)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("skipped: a_full_disk_is_told_and_what_is_there_stays needs root");
        return;
    }
    let host = Host::at(root, "sh", &home);
    let (web, want) = Web::with_model();
    let outcome = host.add(&web.hub(), &want, None).await;
    let part =
        home.join("models/models--org--model-1.5/blobs").join(sha256(&web.content(LARGE)) + ".incomplete");
    let left = fs::metadata(part).map(|it| it.len());
    let done = std::process::Command::new("umount").arg(&home).status().unwrap();
    assert!(done.success());
    let error = outcome.unwrap_err();
    assert!(matches!(&error, StageError::Full { words } if words.contains("No space left")), "{error}");
    assert!(left.unwrap() > 100_000);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_told() {
    let host = Host::new();
    fs::write(host.models(), "a file in the way").unwrap();
    let (web, want) = Web::with_model();
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(&error, StageError::Directory { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_where_a_file_belongs_is_told() {
    let model = "a cache/models/models--org--model-1.5";
    let hash = sha256(&Web::with_model().0.content(LARGE));
    for place in [
        format!("snapshots/{COMMIT}/config.json"),
        format!("blobs/{hash}"),
        format!("blobs/{hash}.incomplete"),
        "refs/main".to_owned(),
    ] {
        let (host, (web, want)) = (Host::new(), Web::with_model());
        fs::create_dir_all(host.path(model).join(&place)).unwrap();
        let error = host.add(&web.hub(), &want, None).await.unwrap_err();
        assert!(matches!(&error, StageError::Directory { .. }), "{place}: {error}");
        assert_eq!(fs::read_dir(host.path(model).join(&place)).unwrap().count(), 0, "{place}");
        assert!(web.gets(LARGE).len() <= 1, "{place}");
    }
}

#[tokio::test]
async fn what_others_have_left_is_compared_once() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let blob = part(&host, &web).with_extension("");
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    let mut spoilt = web.content(LARGE);
    spoilt[7] ^= 1;
    fs::write(&blob, &spoilt).unwrap();
    host.add(&web.hub(), &want, None).await.unwrap();
    is_whole(&host, &web);
    assert!(host.models().join("models--org--model-1.5/.towline").join(COMMIT).exists());
}

#[tokio::test]
async fn a_mirror_that_knows_no_head_may_lead_elsewhere() {
    for mood in [Mood::Status(405, ""), Mood::Status(403, "")] {
        let (host, (web, want)) = (Host::new(), Web::with_model());
        let elsewhere = Web::new();
        let place = "cdn/[a]{b}";
        elsewhere.file(place, &web.content(LARGE), true);
        web.mood(&format!("HEAD {LARGE}"), mood);
        web.mood(LARGE, Mood::To(format!("http://127.0.0.1:{}/{place}", elsewhere.port)));
        host.add(&web.hub(), &want, None).await.unwrap();
        is_whole(&host, &web);
        assert_eq!(elsewhere.gets("cdn").len(), 1);
    }
}

#[tokio::test]
async fn another_header_tells_how_long_to_wait_as_well() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood("/api/", Mood::Status(429, "RateLimit: \"api\";r=0;t=77\r\n"));
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(&error, StageError::Limited { words } if words.contains("77 s")), "{error}");
}
