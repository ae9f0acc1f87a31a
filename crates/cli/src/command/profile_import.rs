//! `towline profile import`

use std::path::PathBuf;

use crate::app;
use crate::config::{ConfigFile, EditError, Imported, Legacy, read_profiles};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::names;
use crate::render::Terminal;

/// Import the profiles of Blackfish
///
/// Host, user and home directory are taken over; services get a directory `.towline` beside Blackfish's own. Profiles
/// whose names are taken are left alone.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Blackfish's file [default: ~/.blackfish/profiles.cfg]
    file: Option<PathBuf>,
}

/// Imports all profiles that can be imported.
pub(super) fn import(terminal: Terminal, args: &ImportArgs) -> Outcome<()> {
    let source = match &args.file {
        Some(file) => file.clone(),
        None => etcetera::home_dir()
            .map_err(|_| Failure::new(Kind::Config, "failed to find a home directory").hint("name the file"))?
            .join(".blackfish/profiles.cfg"),
    };
    let text = std::fs::read_to_string(&source).map_err(|err| {
        Failure::new(Kind::NotFound, format!("failed to read {}: {err}", source.display()))
            .hint("name Blackfish's profiles.cfg as the argument")
    })?;
    let profiles = read_profiles(&text).map_err(|problem| {
        Failure::new(Kind::Config, format!("{} is no file of profiles: {problem}", source.display()))
    })?;
    let failed = || format!("failed to import profiles from {}", source.display());
    let paths = app::find_paths()?;
    let mut file = ConfigFile::open(&paths.config_file).during(failed)?;
    let mut count = 0;
    for profile in &profiles {
        if import_one(terminal, &mut file, profile).during(failed)? {
            count += 1;
        }
    }
    if count > 0 {
        file.save().during(failed)?;
    }
    terminal.note(&format!(
        "{count} of {} profiles imported into {}",
        profiles.len(),
        paths.config_file.display()
    ));
    Ok(())
}

fn import_one(terminal: Terminal, file: &mut ConfigFile, profile: &Legacy) -> Outcome<bool> {
    let shown = names::shown(&profile.name);
    let Imported { name, values } = match &profile.imported {
        Ok(imported) => imported,
        Err(problem) => {
            terminal.warn(&format!("profile {shown} is left out: {problem}"));
            return Ok(false);
        }
    };
    match file.add_profile(name, values) {
        Ok(()) => {}
        Err(error @ (EditError::Duplicate { .. } | EditError::BuiltIn)) => {
            terminal.warn(&format!("profile {shown} is left out: {error}"));
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    if profile.default && file.default_profile().is_none() {
        file.set_default_profile(name.as_str());
        terminal.note(&format!("profile {shown} is imported and is the default"));
    } else {
        terminal.note(&format!("profile {shown} is imported"));
    }
    Ok(true)
}
