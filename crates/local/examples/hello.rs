//! Starts a web server as a service of this machine, prints where it listens and what it logged, and ends it.
//!
//! `cargo run -p towline-local --example hello`

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::time::Duration;

use tokio::time::sleep;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{JobState, Sight, Sighting};
use towline_core::ports::{LogFrom, Scheduler, ServiceFiles, Subject, Tunnels};
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::spec::{Bind, ServiceSpec};
use towline_core::time::Timestamp;
use towline_local::{DirectTunnels, LocalScheduler};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let scheduler = LocalScheduler::new(root.path());
    // Whoever starts a service mints its id, usually at random.
    let id: ServiceId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
    let spec = ServiceSpec {
        name: "hello".parse()?,
        profile: "local".into(),
        command: ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"].map(String::from).to_vec(),
        setup: vec!["echo This shell runs the set-up first.".into()],
        env: [("GREETING".to_owned(), "it's a secret".to_owned())].into(),
        secret: None,
        chdir: None,
        container: None,
        bind: Bind::All,
        health: "/".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(60),
        resources: Resources { time: Some("10".into()), ..Resources::default() },
    };

    let job = scheduler.submit(id, &spec).await?;
    println!("job {job}; submitted again it is still job {}", scheduler.submit(id, &spec).await?);

    let sighting = until(&scheduler, id, &job, |sighting| {
        sighting.place.as_ref().is_some_and(|place| place.listening) || has_ended(sighting)
    });
    if let Some(place) = sighting.await?.place {
        println!(
            "process {} listens: {}",
            place.pid,
            DirectTunnels.open(id, &place, None, None).await?.url()
        );
    }

    scheduler.cancel(id, &job).await?;
    if let Sight::Seen(report) = until(&scheduler, id, &job, has_ended).await?.sight {
        println!("{}: {:?}", report.word, report.state);
    }
    let log = scheduler.read_log(id, LogFrom::Tail(10), Duration::ZERO).await?;
    println!("its log:\n{}", String::from_utf8_lossy(&log.bytes));
    scheduler.remove(id).await?;
    Ok(())
}

fn has_ended(sighting: &Sighting) -> bool {
    matches!(&sighting.sight, Sight::Seen(report) if matches!(report.state, JobState::Ended(_)))
}

/// Looks again and again until the sighting is what is wanted.
async fn until(
    scheduler: &LocalScheduler,
    id: ServiceId,
    job: &JobId,
    wanted: impl Fn(&Sighting) -> bool,
) -> Result<Sighting, Box<dyn Error>> {
    loop {
        let subject = Subject { id, job: Some(job.clone()), created_at: Timestamp::from_secs(0) };
        let mut survey = scheduler.survey(&[subject]).await?;
        match survey.sightings.remove(&id) {
            Some(sighting) if wanted(&sighting) => return Ok(sighting),
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}
