//! Opens a forward to a server behind an SSH host, asks it over HTTP, and closes everything again.
//!
//! ```text
//! cargo run -p towline-tunnel --example tunnel -- login.example.org c1:8000 /health
//! ```
//!
//! The host is anything that `ssh` takes without asking a question; try `localhost` and a server of your own.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use towline_core::job::Place;
use towline_core::ports::{Probe, RemoteShell, ShellScript, Tunnels};
use towline_tunnel::{HttpProbe, Master, MasterConfig, SshShell, SshTunnels};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [ssh_host, target, rest @ ..] = args.as_slice() else {
        return Err("usage: tunnel SSH_HOST HOST:PORT [PATH]".into());
    };
    let path = rest.first().map_or("/", String::as_str);
    let (host, port) = target.rsplit_once(':').ok_or("the target needs a port, as in c1:8000")?;
    let place =
        Place { host: host.to_owned(), port: port.parse()?, pid: 0, listening: true, loopback: false };

    // A short path of this user's own; a program that stays would take `$XDG_RUNTIME_DIR`.
    let user = rustix::process::geteuid().as_raw();
    let control_dir = std::env::temp_dir().join(format!("towline-example-{user}"));
    let master = Arc::new(Master::new(MasterConfig::new(ssh_host, control_dir))?);

    let shell = SshShell::new(Arc::clone(&master));
    let script = ShellScript { text: "hostname".to_owned(), deadline: Duration::from_secs(20) };
    let output = shell.run(&script).await?;
    println!("logged in to {}", String::from_utf8_lossy(&output.stdout).trim());

    let tunnels = SshTunnels::new(Arc::clone(&master));
    let service = "0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse()?;
    let tunnel = tunnels.open(service, &place, None, None).await?;
    println!("{} leads to {target}", tunnel.url());
    println!("GET {path}: {:?}", HttpProbe::default().ping(&tunnel, path).await);

    tunnels.close(&tunnel).await?;
    master.stop().await?;
    println!("closed");
    Ok(())
}
