//! Opens a forward to a server behind an SSH host, uses it over HTTP, heals it after its connection was lost, and closes it.
//!
//! ```text
//! cargo run -p towline-tunnel --example tunnel -- login.example.org c1:8000 /health
//! ```
//!
//! The host is anything that `ssh` takes without asking a question; try `localhost` and a server of your own.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use towline_tunnel::{
    Forward, HttpProbe, Master, MasterConfig, RemoteShell as _, ShellScript, Side, SshShell,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [ssh_host, target, rest @ ..] = args.as_slice() else {
        return Err("usage: tunnel SSH_HOST HOST:PORT [PATH]".into());
    };
    let path = rest.first().map_or("/", String::as_str);
    let (host, port) = target.rsplit_once(':').ok_or("the target needs a port, as in c1:8000")?;

    // A short path of this user's own; a program that stays would take `$XDG_RUNTIME_DIR`.
    let user = rustix::process::geteuid().as_raw();
    let control_dir = std::env::temp_dir().join(format!("towline-example-{user}"));
    let master = Arc::new(Master::new(MasterConfig::new(ssh_host, control_dir))?);

    let script = ShellScript { text: "hostname".to_owned(), deadline: Duration::from_secs(20) };
    let output = SshShell::new(Arc::clone(&master)).run(&script).await?;
    println!("logged in to {}", String::from_utf8_lossy(&output.stdout).trim());

    let forward = master.forward(host, port.parse()?, None).await?;
    println!("{} leads to {forward}", forward.url());
    look(&forward, path).await?;

    // Whatever happens to the connection: here it is ended, and the forward with it.
    master.stop().await?;
    look(&forward, path).await?;
    let forward = master.heal(&forward).await?;
    println!("healed: {} again", forward.url());
    look(&forward, path).await?;

    forward.close().await?;
    master.stop().await?;
    println!("closed");
    Ok(())
}

/// Asks whether the server answers, and gets the first line if it does.
async fn look(forward: &Forward, path: &str) -> Result<(), Box<dyn Error>> {
    match HttpProbe::default().look(forward, path).await {
        Ok(()) => println!("GET {path}: {}", first_line(forward, path)?),
        Err(miss) => {
            let side = match miss.side {
                Side::ThisMachine => "this machine",
                Side::SshHost => "the SSH host",
                Side::FarSide => "the far side",
            };
            println!("GET {path}: {miss} ({side})");
        }
    }
    Ok(())
}

/// What any program does with the local port.
fn first_line(forward: &Forward, path: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(("127.0.0.1", forward.local_port()))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
