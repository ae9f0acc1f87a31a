//! A server that is restarted in the middle of the work.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tokio::sync::mpsc;
use towline_core::ports::{Ledger, LedgerError, SaveOutcome, Select};
use towline_core::testing::sample_service;
use towline_store::{Location, Store};

use crate::postgres_server::is_wanted;
use crate::shared::{insert, save, told};

/// A server of its own, for a test that restarts it.
struct Server {
    dir: TempDir,
    url: String,
}

impl Server {
    /// Starts one where the tests are to use PostgreSQL, or says that the test `test` is skipped.
    fn start(test: &str) -> Option<Self> {
        if !is_wanted(test) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut server = Self { dir, url: String::new() };
        server.url = server.run(&["start"]).trim().to_owned();
        Some(server)
    }

    fn run(&self, args: &[&str]) -> String {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres-for-tests");
        let data = self.dir.path().join("server");
        // The server runs as another user.
        let open = Command::new("chmod").arg("755").arg(self.dir.path()).status().unwrap();
        assert!(open.success());
        let output = Command::new(script).args(args).env("TOWLINE_TEST_POSTGRES_DIR", data).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

/// What a writer has come to, told as it goes on.
#[derive(Debug)]
enum News {
    Saved(u64),
    Failed(LedgerError),
}

/// Saves one service over and over, whatever happens, and tells of each save.
async fn write(store: Store, told: mpsc::UnboundedSender<News>) {
    let web = sample_service(1, "web");
    loop {
        let news = match store.list(Select::Id(web.id)).await {
            Ok(listing) => match save(&store, &listing.services[0]).await {
                Ok(SaveOutcome::Saved(generation)) => News::Saved(generation),
                Ok(SaveOutcome::Conflict) => panic!("nobody else writes it"),
                Err(error) => News::Failed(error),
            },
            Err(error) => News::Failed(error),
        };
        if told.send(news).is_err() {
            return;
        }
    }
}

/// What a writer has told so far.
#[derive(Default)]
struct Course {
    generation: u64,
    saves: usize,
    errors: Vec<LedgerError>,
}

impl Course {
    fn take(&mut self, news: News) {
        match news {
            News::Saved(generation) => {
                let last = self.generation;
                assert!(generation > last, "{generation} after {last}: what was saved is lost");
                (self.generation, self.saves) = (generation, self.saves + 1);
            }
            News::Failed(error) => self.errors.push(error),
        }
    }

    /// Waits for `count` more saves than those that have been told by now.
    async fn go_on(&mut self, news: &mut mpsc::UnboundedReceiver<News>, count: usize) {
        while let Ok(told) = news.try_recv() {
            self.take(told);
        }
        let enough = self.saves + count;
        while self.saves < enough {
            self.take(news.recv().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_is_told_and_used_again() {
    let Some(server) = Server::start("a_server_that_is_restarted_is_told_and_used_again") else { return };
    let location: Location = server.url.parse().unwrap();
    let store = Store::open(&location).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    let (tell, mut news) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write(store.clone(), tell));
    let mut course = Course::default();
    // In order, with all sessions ended by the server, and as if it had crashed.
    for mode in ["fast", "immediate"] {
        course.go_on(&mut news, 5).await;
        // Connections that nobody uses die as well.
        let idle: Vec<_> = (0..3).map(|_| store.list(Select::All)).collect();
        for listing in futures_util::future::join_all(idle).await {
            drop(listing.unwrap());
        }
        tokio::task::block_in_place(|| server.run(&["restart", mode]));
        course.go_on(&mut news, 100).await;
    }
    // A writer that never pauses is in the middle of a call.
    assert!(!course.errors.is_empty(), "it was told of no restart");
    for error in &course.errors {
        assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
        let words = told(error);
        assert!(words.starts_with("failed to use the ledger postgres://towline@127.0.0.1:"), "{words}");
        println!("{words}");
    }
    writer.abort();
    drop(writer.await);
    let report = Store::check(&location).await.unwrap();
    assert_eq!((report.services, report.problems), (1, Vec::new()));
    store.close().await.unwrap();
}
