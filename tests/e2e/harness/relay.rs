//! A way to a host that can be cut for one story alone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// How often the state is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Hands on what arrives at a local port. While it is cut nothing is lost, and nothing arrives, as where packets are
/// dropped for a while.
pub(crate) struct Relay {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
    links: Mutex<Vec<Arc<Link>>>,
}

/// One connection through the relay.
struct Link {
    near: TcpStream,
    far: TcpStream,
    /// Whatever is sent is dropped, and neither end is told.
    lost: AtomicBool,
    /// It ends without a farewell.
    reset: AtomicBool,
}

impl Relay {
    /// A relay to the login host.
    pub(crate) fn to_login() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((near, _)) => {
                        // Where the host refuses, by another story's fault, the connection breaks.
                        if let Ok(far) = TcpStream::connect("10.77.1.2:22") {
                            join(near, far, &shared);
                        }
                    }
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

    /// Whether something is held back that was sent to the host.
    pub(crate) fn holds_back(&self) -> bool {
        let links = self.state.links.lock().unwrap();
        self.state.cut.load(Ordering::Relaxed)
            && links.iter().any(|link| matches!(link.near.peek(&mut [0]), Ok(1..)))
    }

    /// The ports of this machine from which the login host sees the connections come.
    pub(crate) fn far_ports(&self) -> Vec<u16> {
        let links = self.state.links.lock().unwrap();
        links.iter().map(|link| link.far.local_addr().unwrap().port()).collect()
    }

    /// Resets the connections that there are (RST).
    pub(crate) fn reset(&self) {
        for link in self.state.links.lock().unwrap().drain(..) {
            for stream in [&link.near, &link.far] {
                // tcp(7), socket(7): closing with a linger time of 0 sends a reset.
                set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
            }
            link.reset.store(true, Ordering::Relaxed);
        }
    }

    /// Drops from now on whatever is sent over the connections that there are; new ones get through.
    pub(crate) fn lose(&self) {
        for link in self.state.links.lock().unwrap().iter() {
            link.lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

fn join(near: TcpStream, far: TcpStream, state: &Arc<State>) {
    for stream in [&near, &far] {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PAUSE)).unwrap();
    }
    let link = Arc::new(Link { near, far, lost: AtomicBool::new(false), reset: AtomicBool::new(false) });
    state.links.lock().unwrap().push(link.clone());
    for outwards in [true, false] {
        let (link, state) = (link.clone(), state.clone());
        spawn(move || {
            let ends = if outwards { (&link.near, &link.far) } else { (&link.far, &link.near) };
            hand_on(ends, &link, &state);
        });
    }
}

fn hand_on((mut from, mut to): (&TcpStream, &TcpStream), link: &Link, state: &State) {
    let mut piece = [0; 65536];
    while !state.over.load(Ordering::Relaxed) {
        if link.reset.load(Ordering::Relaxed) {
            return;
        }
        if state.cut.load(Ordering::Relaxed) {
            sleep(PAUSE);
            continue;
        }
        match from.read(&mut piece) {
            Ok(_) if link.lost.load(Ordering::Relaxed) => sleep(PAUSE),
            Ok(0) => break,
            Ok(count) if to.write_all(&piece[..count]).is_ok() => {}
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => break,
        }
    }
    // Either end may have gone already.
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
