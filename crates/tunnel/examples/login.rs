//! Logs in to a host that wants a password or a code besides a key, at the terminal, and leaves the connection behind for
//! other programs of the same control directory.
//!
//! ```text
//! cargo run -p towline-tunnel --example login -- login.example.org /run/user/1000/app [SSH_CONFIG]
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use towline_tunnel::{Master, MasterConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [host, control_dir, rest @ ..] = args.as_slice() else {
        return Err("usage: login SSH_HOST CONTROL_DIR [SSH_CONFIG]".into());
    };
    let ssh_config = rest.first().map(Into::into);
    let master = Master::new(MasterConfig { ssh_config, ..MasterConfig::new(host, control_dir) })?;
    let within = Duration::from_secs(std::env::var("LOGIN_WITHIN").map_or(Ok(300), |text| text.parse())?);
    let mut said = |line: &str| eprintln!("ssh: {line}");
    let login = tokio::select! {
        login = master.log_in(within, &mut said) => login?,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
    };
    println!("{login:?}");
    Ok(())
}
