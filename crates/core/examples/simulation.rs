//! A service's whole life in the simulated world: a queue, a network failure, a requeue, a stop. Takes no real time.

use std::sync::Arc;
use std::time::Duration;

use towline_core::lifecycle::{EndStatus, Status, Terms};
use towline_core::ports::{Clock as _, Ledger as _};
use towline_core::service::Service;
use towline_core::testing::{Faults, MemoryLedger, World, sample_service};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (world, ledger) = (World::new(), Arc::new(MemoryLedger::new()));
    let engine = world.engine("lab", Arc::clone(&ledger) as _);

    let sample = sample_service(1, "web");
    let service =
        Service::new(sample.id, sample.spec, Terms::with_grace(Duration::from_secs(600)), world.now());
    let service = engine.start(service, Some(&mut |_| {})).await?;

    world.break_down(Faults { network_down: true, ..Faults::default() });
    world.advance(Duration::from_secs(3600));
    engine.refresh(service.id).await?;
    world.break_down(Faults::default());
    engine.wait(service.id, &[Status::Healthy], &mut |_| {}).await?;

    world.requeue(service.id);
    world.advance(Duration::from_secs(60));
    engine.wait(service.id, &[Status::Healthy], &mut |_| {}).await?;

    engine.stop(service.id, Duration::ZERO, EndStatus::Stopped).await?;
    engine.wait(service.id, &[], &mut |_| {}).await?;

    for event in ledger.history(service.id).await? {
        let from = event.from.map_or("", Status::as_str);
        #[expect(clippy::print_stdout, reason = "printing is what this program is for")]
        {
            println!("{}  {from:>9} -> {:<9}  {}", event.at, event.to.as_str(), event.why);
        }
    }
    Ok(())
}
