//! A way to a host that can be cut for one story alone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// How often the state is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Hands on what arrives at a local port. While it is cut nothing is lost, and nothing arrives, as where packets are
/// dropped.
pub(crate) struct Relay {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
}

impl Relay {
    /// A relay to that address.
    pub(crate) fn to(address: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((near, _)) => join(&near, &TcpStream::connect(address).unwrap(), &shared),
                    Err(_) => sleep(PAUSE),
                }
            }
        });
        Self { port, state }
    }

    /// The local port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the way, or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.state.cut.store(cut, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

fn join(near: &TcpStream, far: &TcpStream, state: &Arc<State>) {
    for (from, to) in [(near, far), (far, near)] {
        from.set_nonblocking(false).unwrap();
        from.set_read_timeout(Some(PAUSE)).unwrap();
        let (from, to, state) = (from.try_clone().unwrap(), to.try_clone().unwrap(), state.clone());
        spawn(move || hand_on(from, to, &state));
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut piece = [0; 65536];
    while !state.over.load(Ordering::Relaxed) {
        if state.cut.load(Ordering::Relaxed) {
            sleep(PAUSE);
            continue;
        }
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) if to.write_all(&piece[..count]).is_ok() => {}
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => break,
        }
    }
    // Either end may have gone already.
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
