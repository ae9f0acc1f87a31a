//! A service's whole life in the simulated world, and of a process that is killed in the middle of it: a submission whose
//! answer is lost, a network failure, a requeue, a stop. Takes no real time.

use std::sync::Arc;
use std::time::Duration;

use towline_core::lifecycle::{EndStatus, Status, Terms};
use towline_core::ports::{Clock as _, Ledger as _};
use towline_core::service::Service;
use towline_core::testing::{Call, Errand, Faults, MemoryLedger, Mishap, Process, World, sample_service};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (world, ledger) = (World::new(), Arc::new(MemoryLedger::new()));
    let sample = sample_service(1, "web");
    let terms = Terms::with_grace(Duration::from_secs(600));
    let service = Service::new(sample.id, sample.spec, terms, world.now());
    let id = service.id;

    // A process sends the job, and is killed before it hears what became of it.
    let process = Process::new(&world, Arc::clone(&ledger) as _);
    process.befall(Call::Submit, Mishap::LostAfter);
    let engine = process.engine("lab");
    let mut start = Errand::new(&process, async move { drop(engine.start(service, None).await) });
    while world.live_jobs(id) == 0 {
        start.step(0);
    }
    drop(start);

    // Another one finds the job, and follows it. Its calls are done at once.
    let engine = world.engine("lab", Arc::clone(&ledger) as _);
    engine.wait(id, &[Status::Healthy], &mut |_| {}).await?;

    world.break_down(Faults { network_down: true, ..Faults::default() });
    world.advance(Duration::from_secs(3600));
    engine.refresh(id).await?;
    world.break_down(Faults::default());
    engine.wait(id, &[Status::Healthy], &mut |_| {}).await?;

    world.requeue(id);
    world.advance(Duration::from_secs(60));
    engine.wait(id, &[Status::Healthy], &mut |_| {}).await?;

    engine.stop(id, Duration::ZERO, EndStatus::Stopped).await?;
    engine.wait(id, &[], &mut |_| {}).await?;

    for event in ledger.history(id).await? {
        let from = event.from.map_or("", Status::as_str);
        #[expect(clippy::print_stdout, reason = "printing is what this program is for")]
        {
            println!("{}  {from:>9} -> {:<9}  {}", event.at, event.to.as_str(), event.why);
        }
    }
    assert_eq!((world.most_live_jobs(id), world.open_tunnels()), (1, 0), "one job ever, and nothing left");
    Ok(())
}
