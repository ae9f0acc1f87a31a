//! The engine: carries out what a life plans, over the ports.
//!
//! It awaits ports and nothing else: it never sleeps but by the clock port, never spawns, and keeps no state of its
//! own, so several engines, in several processes, may work on one ledger.
//!
//! The verbs, in the simulated world (feature `testing`):
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use towline_core::job::Sight;
//! use towline_core::lifecycle::{EndStatus, Status, Terms};
//! use towline_core::ports::Clock as _;
//! use towline_core::service::Service;
//! use towline_core::testing::{MemoryLedger, World, sample_service};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let world = World::new();
//! let engine = world.engine("lab", Arc::new(MemoryLedger::new()));
//! let sample = sample_service(1, "web");
//! let terms = Terms::with_grace(Duration::from_secs(600));
//!
//! // start: recorded, submitted, waited for
//! let service = Service::new(sample.id, sample.spec, terms, world.now());
//! let service = engine.start(service, Some(&mut |now| println!("{}", now.status()))).await?;
//! assert_eq!(service.status(), Status::Healthy);
//!
//! // get_job and refresh: what the scheduler says, and what follows from it
//! assert!(matches!(engine.get_job(service.id).await?.sight, Sight::Seen(_)));
//! assert_eq!(engine.refresh(service.id).await?.status(), Status::Healthy);
//!
//! // the two tunnel verbs on their own
//! engine.close_tunnel(service.id).await?;
//! assert_eq!(world.open_tunnels(), 0);
//! let tunnel = engine.open_tunnel(service.id).await?;
//! assert_eq!(Some(tunnel.url()), service.url());
//!
//! // stop: the wish is recorded and the job cancelled; wait sees its end
//! engine.stop(service.id, Duration::ZERO, EndStatus::Stopped).await?;
//! let ended = engine.wait(service.id, &[], &mut |_| {}).await?;
//! assert_eq!(ended.status(), Status::Stopped);
//! # Ok(())
//! # }
//! ```

mod entry;
mod error;
mod keep;
mod perform;
mod refresh;
mod site;
mod start;
mod stop;
mod tunnel;
mod turn;
mod wait;

pub use error::{EngineError, error_chain};
pub use keep::next_look;
pub use site::{Engine, Site, Watch};
