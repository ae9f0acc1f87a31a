//! `towline config`

use crate::app;
use crate::args::JsonArg;
use crate::config::{Flags, Layers};
use crate::exit::Outcome;
use crate::render::{Columns, Terminal};

/// Look at the configuration
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show every value and where it came from; secrets are hidden
    Show(JsonArg),
    /// Print the path of the configuration file, which need not exist; as JSON also where data and sockets lie
    Path(JsonArg),
}

/// Does what the verb says. Values are shown even if the configuration as a whole is wrong; that is told last.
pub(super) fn config(terminal: Terminal, verb: &ConfigVerb) -> Outcome<()> {
    let paths = app::find_paths()?;
    match verb {
        ConfigVerb::Path(args) if args.json => Ok(terminal.json(&serde_json::json!({
            "config_file": paths.config_file,
            "data_dir": paths.data_dir,
            "runtime_dir": paths.runtime_dir,
        }))?),
        ConfigVerb::Path(_) => Ok(terminal.data(&paths.config_file.display().to_string())?),
        ConfigVerb::Show(args) => {
            let layers = Layers::load(&paths.config_file, app::environment(), &Flags::default())?;
            let settings = layers.settings();
            if args.json {
                terminal.json(&settings)?;
            } else {
                let mut table = Columns::new(["KEY", "VALUE", "ORIGIN"]);
                for setting in settings {
                    table.row([setting.key, setting.value, setting.origin]);
                }
                terminal.table(&table)?;
            }
            layers.config()?;
            Ok(())
        }
    }
}
