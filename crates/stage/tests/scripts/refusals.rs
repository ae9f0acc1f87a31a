//! What the hub refuses, and what is refused of it.

use serde_json::json;
use towline_stage::{Choice, Hub, StageError, Token, Want};

use crate::support::{Host, want};
use crate::web::{COMMIT, Mood, Web};

async fn asked(host: &Host, web: &Web, token: Option<&Token>) -> StageError {
    host.stage.manifest(&web.hub(), token, &want("org/m"), &Choice::default()).await.unwrap_err()
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (host, (web, _)) = (Host::new(), Web::with_model());
    let token = Token::new("hush").unwrap();
    let of = async |status, headers, token| {
        web.mood("/api/", Mood::Status(status, headers));
        asked(&host, &web, token).await
    };
    let gated = "X-Error-Code: GatedRepo\r\nX-Error-Message: Access to model org/m is restricted.\r\n";
    let error = of(401, gated, None).await;
    assert!(
        matches!(&error, StageError::Gated { with_token: false, words, .. } if words.contains("restricted")),
        "{error}"
    );
    let error = of(403, gated, Some(&token)).await;
    assert!(matches!(&error, StageError::Gated { with_token: true, .. }), "{error}");
    let error =
        of(401, "X-Error-Message: Invalid credentials in Authorization header\r\n", Some(&token)).await;
    assert!(matches!(&error, StageError::BadToken { words } if words.starts_with("Invalid")), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
    let error = of(401, "", None).await;
    assert!(matches!(&error, StageError::NoModel { .. }), "{error}");
    let error = of(404, "X-Error-Code: RepoNotFound\r\n", None).await;
    assert!(matches!(&error, StageError::NoModel { .. }), "{error}");
    let error = of(404, "x-error-code: RevisionNotFound\r\n", None).await;
    assert!(matches!(&error, StageError::NoRevision { .. }), "{error}");
    let error = of(429, "Retry-After: 300\r\n", None).await;
    assert!(matches!(&error, StageError::Limited { words } if words.contains("300 s")), "{error}");
    let error = of(418, "", None).await;
    assert!(matches!(&error, StageError::Hub { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_refused_names_what_to_do() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    web.mood(
        "HEAD config",
        Mood::Status(403, "X-Error-Code: GatedRepo\r\nX-Error-Message: Ask for access.\r\n"),
    );
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(&error, StageError::Gated { words, .. } if words == "Ask for access."), "{error}");
    web.mood("HEAD config", Mood::Status(404, "X-Error-Code: EntryNotFound\r\n"));
    let error = host.add(&web.hub(), &want, None).await.unwrap_err();
    assert!(matches!(&error, StageError::Hub { what } if what == "HTTP 404 for config.json"), "{error}");
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_told() {
    let host = Host::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hub: Hub = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    drop(listener);
    let error = host.stage.manifest(&hub, None, &want("a/b"), &Choice::default()).await.unwrap_err();
    assert!(matches!(&error, StageError::NoAnswer { words } if words.contains("connect")), "{error}");
}

#[tokio::test]
async fn without_curl_it_is_missed_by_name() {
    let host = Host::new();
    let web = Web::new();
    // Tools of this machine but for one.
    host.command("curl", "exit 0\n");
    std::fs::remove_file(host.path("bin/curl")).unwrap();
    let names = ["awk", "mktemp", "sh", "cat", "rm"];
    let bare = tempfile::tempdir().unwrap();
    for name in names {
        let real = ["/usr/bin", "/bin"].map(|dir| std::path::Path::new(dir).join(name));
        let real = real.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(real, bare.path().join(name)).unwrap();
    }
    let host = host.with_path(bare.path());
    let error = asked(&host, &web, None).await;
    assert!(matches!(&error, StageError::NoTool { tool } if tool == "curl"), "{error}");
}

#[tokio::test]
async fn a_list_that_cannot_be_right_is_refused_before_anything_is_written() {
    let (host, (web, want)) = (Host::new(), Web::with_model());
    let hash = "a".repeat(40);
    let file = |path: &str| json!({ "rfilename": path, "size": 1, "blobId": hash });
    let list = |siblings: serde_json::Value| json!({ "sha": COMMIT, "siblings": siblings });
    for path in [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "",
        ".",
        "a//b",
        "a\nb",
        "a\u{0}b",
        "a\tb",
        "a\\..\\b",
        "x/..",
        "a/.",
    ] {
        web.list(list(json!([file("config.json"), file(path)])));
        let error = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap_err();
        assert!(matches!(&error, StageError::Hostile { .. }), "{path:?}: {error}");
    }
    for siblings in [
        json!([file("a"), file("a")]),
        json!([file("a"), file("a/b")]),
        json!([{ "rfilename": "a", "size": 1, "blobId": "../../x" }]),
        json!([{ "rfilename": "a", "size": 1, "blobId": "A".repeat(40) }]),
        json!([{ "rfilename": "a", "size": 1 }]),
        json!([{ "rfilename": "a", "size": u64::MAX, "blobId": hash }]),
        json!([{ "rfilename": "a", "blobId": hash }]),
        json!([{ "rfilename": "a", "lfs": { "sha256": "$(id)", "size": 1 } }]),
    ] {
        web.list(list(siblings.clone()));
        let error = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap_err();
        assert!(matches!(&error, StageError::Hostile { .. }), "{siblings}: {error}");
    }
    for odd in [json!([]), json!({ "siblings": [] }), json!("x"), json!({ "sha": 1, "siblings": [] })] {
        web.list(odd.clone());
        let error = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap_err();
        assert!(matches!(&error, StageError::Hub { .. }), "{odd}: {error}");
    }
    web.list(json!({ "sha": "../x", "siblings": [] }));
    let error = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap_err();
    assert!(matches!(&error, StageError::Hostile { .. }), "{error}");
    web.list(list(json!([])));
    let error = host.stage.manifest(&web.hub(), None, &want, &Choice::default()).await.unwrap_err();
    assert!(matches!(&error, StageError::Nothing { .. }), "{error}");
    assert!(!host.models().exists());
}

#[test]
fn names_and_revisions_are_narrow() {
    use towline_stage::ModelName;
    for good in ["gpt2", "Qwen/Qwen3-8B", "a/b.c_d"] {
        assert!(good.parse::<ModelName>().is_ok(), "{good}");
    }
    for bad in
        ["", "/a", "a/", "a/b/c", "../x", "a--b", "a..b", "-a", "a b", "a\nb", "$(id)", ".a", &"x".repeat(97)]
    {
        assert!(bad.parse::<ModelName>().is_err(), "{bad}");
    }
    for good in ["main", "v1.0", "refs/pr/1", COMMIT] {
        assert!(Want::is_revision(good), "{good}");
    }
    for bad in ["", "..", "a/../b", "/a", "a/", "-a", "a b", "a\n", "a'b", "$x"] {
        assert!(!Want::is_revision(bad), "{bad}");
    }
}
